"""The sync app."""

from django.apps import AppConfig


class SyncConfig(AppConfig):
    """What devices push and pull."""

    name = "sync"

    def ready(self) -> None:
        """Register the checks, and let every process know the tasks."""
        from . import checks, tasks  # noqa: F401
