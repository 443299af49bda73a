"""What runs on a device: its store, its outbox, and the client that keeps them in step with a server. Pure: no Django."""
