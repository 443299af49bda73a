"""Throwaway PostgreSQL, Redis and S3 servers on free loopback ports, for tests."""
