"""The catalog of a library as JSON or CSV files, with its originals if asked for: requests, runs, downloads, expiry."""
