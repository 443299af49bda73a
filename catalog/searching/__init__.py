"""What people type to find photos: its grammar, the conditions that follow from it, and suggestions while they type."""
