"""What changed, in which order, for everybody who keeps a copy: numbered rows, tombstones, and reading what is new."""
