"""The export record store: what has been exported to a destination, kept in JSON Lines files there (no Django here)."""
