"""Who else has it."""
