"""Backups of what people made: bundles (formats.md §6) from one moment, verified, scheduled and thinned out."""
