"""Tests of the broker that is one SQLite file."""
