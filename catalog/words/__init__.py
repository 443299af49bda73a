"""The words by which photos, albums and notes are found: folded, kept current, looked up in the database's full-text index."""
