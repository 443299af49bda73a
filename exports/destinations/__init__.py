"""Where originals are exported to: which folders a user may have, what their records say, and whether they are there."""
