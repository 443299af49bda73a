"""Random drills: every operation is hurt at random moments while people go on, then all of it is compared with the files."""
