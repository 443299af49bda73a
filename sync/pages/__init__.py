"""The page of sync: how one's devices stand, and conflicts to decide."""
