"""The catalog app."""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """Libraries and photos."""

    name = "catalog"

    def ready(self) -> None:
        """Register the kinds of operations and the system checks."""
        from . import checks, scan  # noqa: F401
