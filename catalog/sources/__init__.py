"""Where photos are: a local folder, a share, a bucket. No Django in here."""
