"""What a person selected, taken out: planned, and sent as one file or one ZIP."""
