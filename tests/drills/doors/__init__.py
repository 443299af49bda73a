"""What a stranger with an account, or without one, may try at the doors of issue 12, a file for each point."""
