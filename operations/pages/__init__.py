"""The pages of operations: the list, one, and what people may do with it."""
