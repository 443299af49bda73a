"""Derived files that can always be made again: their tree, storage, quota, pruning and hashes."""
