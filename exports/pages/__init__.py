"""The pages of exports: the list with its forms, and one destination with its months."""
