"""The REST API of devices and one's own profile."""
