"""The server's side of the protocol: push, pull, digest, events, status, conflicts."""
