"""Bytes in, facts out: what a photo or a video says about itself, read by sandboxed child processes."""
