"""Template filters and tags for all pages."""
