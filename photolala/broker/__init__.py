"""The default Celery broker, one SQLite file: importing this package teaches kombu the URL scheme `sqliteq://`."""

from kombu.transport import TRANSPORT_ALIASES

from photolala.lib.broker_url import broker_url

__all__ = ["broker_url"]

TRANSPORT_ALIASES["sqliteq"] = "photolala.broker.sqlite_transport:Transport"
