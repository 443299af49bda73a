"""The sync app."""

from django.apps import AppConfig


class SyncConfig(AppConfig):
    """What devices push and pull."""

    name = "sync"

    def ready(self) -> None:
        """Register the checks."""
        from . import checks  # noqa: F401
