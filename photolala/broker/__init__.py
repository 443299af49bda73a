"""The default Celery broker, one SQLite file: importing this package teaches kombu the URL scheme `sqliteq://`."""

from urllib.parse import quote

from kombu.transport import TRANSPORT_ALIASES

TRANSPORT_ALIASES["sqliteq"] = "photolala.broker.sqlite_transport:Transport"


def broker_url(path: str) -> str:
    """Return the broker URL of the SQLite file at the absolute `path`; special characters are quoted."""
    if not path.startswith("/"):
        raise ValueError(f"The path of the broker file must be absolute, but it is {path!r}.")
    return "sqliteq://" + quote(path)
