"""What photos there are."""
