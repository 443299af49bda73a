"""The catalog app."""

from importlib import import_module

from django.apps import AppConfig
from django.db.models.signals import post_migrate

KINDS_OF_OPERATIONS = {
    "empty_trash": "files.trash_empty",
    "filing": "files.filing",
    "import": "importing.importer",
    "purge": "files.purge",
    "rebuild": "scanning.rebuild",
    "rendition": "browsing.video_renditions",
    "restore": "history.restore",
    "scan": "scanning.scan",
    "similar": "duplicates.finding",
    "taken_over": "libraries.forget",
    "write": "files.write",
}
"""The module that registers each."""
SYNCED_TYPES = ("edits.synced_types",)
"""The modules that register what devices keep copies of."""


class CatalogConfig(AppConfig):
    """Libraries and photos."""

    name = "catalog"

    def ready(self) -> None:
        """Register synced types, system checks, what follows when a user is deleted, and where the kinds of operations are."""
        from catalog import checks  # noqa: F401
        from catalog.albums import kinds, user_deletion  # noqa: F401
        from catalog.libraries import forget  # noqa: F401
        from catalog.roots import told  # noqa: F401
        from catalog.words.tables import install_after_migration
        from operations.kinds import KINDS

        post_migrate.connect(install_after_migration, sender=self)
        for name in SYNCED_TYPES:
            import_module(f"catalog.{name}")
        KINDS.declare({kind: f"catalog.{module}" for kind, module in KINDS_OF_OPERATIONS.items()})
