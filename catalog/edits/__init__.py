"""What people say of photos, one verb for each kind: rating, favourite, date; and taking it back."""
