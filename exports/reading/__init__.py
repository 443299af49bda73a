"""What exports read: rows as of one moment, and originals from their libraries."""
