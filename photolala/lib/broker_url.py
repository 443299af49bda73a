"""The address of the default Celery broker, one SQLite file. Apart from `photolala.broker`, so that settings need no Celery."""

from urllib.parse import quote


def broker_url(path: str) -> str:
    """Return the broker URL of the SQLite file at the absolute `path`; special characters are quoted."""
    if not path.startswith("/"):
        raise ValueError(f"The path of the broker file must be absolute, but it is {path!r}.")
    return "sqliteq://" + quote(path)
