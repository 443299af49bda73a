"""Who: users, their devices and tokens, the sign-in pages."""
