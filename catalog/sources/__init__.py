"""Where photos lie: a local folder, a share, a bucket. No Django in here."""
