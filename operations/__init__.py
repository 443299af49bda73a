"""How long work runs: claim, progress, checkpoint, cancel, resume."""
