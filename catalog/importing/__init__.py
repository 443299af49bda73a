"""What comes in: folders, archives, uploads, phones."""
