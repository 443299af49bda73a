"""Writers for what leaves as files: JSON, CSV, manifests, ZIP downloads, all streaming (no Django here)."""
