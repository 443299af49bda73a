"""The same photo through moves, swaps, edits and rewritten bytes."""
