"""Add, share, change, relocate, hand over and forget a library."""
