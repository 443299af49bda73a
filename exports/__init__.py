"""What has left."""
