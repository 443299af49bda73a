"""Django's SQLite, whose connections the web process keeps open between requests."""
