"""Sync over HTTP, under `/api/v1/sync/`."""
