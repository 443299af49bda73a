"""The exports app."""

from django.apps import AppConfig

KINDS_OF_OPERATIONS = {
    "export": "catalogs.run",
    "export_folder": "originals.run",
    "rebuild_records": "originals.rebuild",
    "verify_destination": "originals.verify",
    "backup": "backup.run",
    "verify_backup": "backup.verify",
}
"""The module that registers each."""


class ExportsConfig(AppConfig):
    """Registers the kinds of exports and the folders that they take."""

    name = "exports"

    def ready(self) -> None:
        """Register where the kinds of operations are, which folders are taken, what members are told, and whose exports go."""
        from exports.catalogs import left_behind  # noqa: F401
        from exports.catalogs import requests as catalog_requests  # noqa: F401
        from exports.destinations import folders  # noqa: F401
        from exports.originals import requests as original_requests  # noqa: F401
        from operations.kinds import KINDS

        KINDS.declare({kind: f"exports.{module}" for kind, module in KINDS_OF_OPERATIONS.items()})
