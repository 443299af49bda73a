"""The exports app."""

from django.apps import AppConfig


class ExportsConfig(AppConfig):
    """Registers the kinds of exports and the folders that they take."""

    name = "exports"

    def ready(self) -> None:
        """Register the kinds of operations, and which folders are taken."""
        from . import catalog_export, destinations, folders, verifying  # noqa: F401
