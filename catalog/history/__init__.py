"""A library's snapshots over time: publish, compare, verify, restore, adopt."""
