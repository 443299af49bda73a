"""How much fits into one request or reply."""

MOST_MUTATIONS = 500
"""Mutations in one push."""
MOST_BYTES = 1024 * 1024
"""Bytes of the body of one push."""
MOST_ROWS = 1000
"""Rows in one page of changes."""
MOST_TEXT = 100_000
"""Characters of one text field; a merge that would be longer makes a copy instead."""
