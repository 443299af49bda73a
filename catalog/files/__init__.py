"""The only code that changes people's own files: write tags, move into folders, trash."""
