"""The catalog app."""

from importlib import import_module

from django.apps import AppConfig

KINDS_OF_OPERATIONS = (
    "browsing.renditions",
    "files.filing",
    "files.purge",
    "files.trash_empty",
    "files.write",
    "history.restore",
    "importing.importer",
    "scanning.rebuild",
    "scanning.scan",
)
"""The modules that register one each."""
SYNCED_TYPES = ("edits.synced_types",)
"""The modules that register what devices keep copies of."""


class CatalogConfig(AppConfig):
    """Libraries and photos."""

    name = "catalog"

    def ready(self) -> None:
        """Register the synced types, the kinds of operations, the system checks, and what follows when a user is deleted."""
        from catalog import checks  # noqa: F401
        from catalog.albums import kinds, leaving  # noqa: F401
        from catalog.libraries import forget  # noqa: F401
        from catalog.roots import told  # noqa: F401

        for name in (*SYNCED_TYPES, *KINDS_OF_OPERATIONS):
            import_module(f"catalog.{name}")
        import_module("catalog.libraries.gone").guard_all_kinds()
