"""The format of catalog snapshots and of their pointer: write, publish, choose, verify, read. No Django in here."""
