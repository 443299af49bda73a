"""The catalog app."""

from importlib import import_module

from django.apps import AppConfig

KINDS_OF_OPERATIONS = (
    "filing",
    "importing",
    "purging",
    "rebuilding",
    "renditions",
    "restoring",
    "scan",
    "trash_empty",
    "writing",
)
"""The modules that register one each."""


class CatalogConfig(AppConfig):
    """Libraries and photos."""

    name = "catalog"

    def ready(self) -> None:
        """Register the kinds of operations, the system checks, and what follows when a user is deleted."""
        from . import checks, leaving, told  # noqa: F401

        for name in KINDS_OF_OPERATIONS:
            import_module(f"catalog.{name}")
        import_module("catalog.library_gone").guard_all_kinds()
