"""Originals copied to a destination, one record each: plan, copy, verify, months."""
