"""What people were told is done stays done: one drill for each path on which it once did not."""
