"""Reading a root: scan, helpers, verification, rebuild, schedule, watch."""
