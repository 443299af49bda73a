"""From a file to a row: listing, decoder jobs, columns, SQL and counts."""
