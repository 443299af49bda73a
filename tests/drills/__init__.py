"""Drills: real processes, killed at random moments, against an undisturbed run of the same work."""
