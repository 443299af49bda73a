"""The exports app."""

from django.apps import AppConfig


class ExportsConfig(AppConfig):
    """What has left."""

    name = "exports"

    def ready(self) -> None:
        """Register the kinds of operations."""
        from . import catalog_export, folders  # noqa: F401
