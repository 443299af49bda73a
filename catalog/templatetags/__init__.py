"""Template filters for photos and folders."""
