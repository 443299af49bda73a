"""Devices and other servers: what they say to one another, and both ends of it."""
