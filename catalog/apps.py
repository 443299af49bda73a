"""The catalog app."""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """Libraries and photos."""

    name = "catalog"

    def ready(self) -> None:
        """Register the kinds of operations, the system checks, and what follows when a user is deleted."""
        from . import checks, filing, importing, leaving, purging, rebuilding, restoring, scan, trash, writing  # noqa: F401
