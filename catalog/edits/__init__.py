"""What people say of photos, one verb for each kind: rating, favourite, date, caption; and taking it back."""
