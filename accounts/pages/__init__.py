"""The pages of accounts: sign-in and profile."""
