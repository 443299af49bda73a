"""The operations app."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    """Long work."""

    name = "operations"

    def ready(self) -> None:
        """Connect the worker's shutdown to the operations it runs."""
        from . import signals  # noqa: F401
