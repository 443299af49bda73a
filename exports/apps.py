"""The exports app."""

from typing import Any

from django.apps import AppConfig

KINDS_OF_OPERATIONS = {
    "export": "catalogs.run",
    "export_folder": "originals.run",
    "export_selection": "originals.selection",
    "import_catalog": "catalogs.import_back",
    "rebuild_records": "originals.rebuild",
    "restore_backup": "restore.run",
    "verify_destination": "originals.verify",
    "backup": "backup.run",
    "find_backups": "backup.finding",
    "verify_backup": "backup.verify",
}
"""The module that registers each."""


def join_what_waits(library: Any, **_: Any) -> None:
    """Let what restored backups say of photos join those that `library` has got. One query where nothing waits."""
    from exports.models import WaitingFacts

    if WaitingFacts.objects.exists():
        from exports.restore.waiting import join_waiting

        join_waiting([library.owner_id, *library.members.values_list("pk", flat=True)])


class ExportsConfig(AppConfig):
    """Registers the kinds of exports and the folders that they take."""

    name = "exports"

    def ready(self) -> None:
        """Register where the kinds of operations are, which folders are taken, what members are told, and whose exports go."""
        from catalog.entries.arrivals import photos_arrived
        from exports.catalogs import left_behind  # noqa: F401
        from exports.catalogs import requests as catalog_requests  # noqa: F401
        from exports.destinations import folders  # noqa: F401
        from exports.originals import requests as original_requests  # noqa: F401
        from operations.kinds import KINDS

        photos_arrived.connect(join_what_waits, dispatch_uid="exports.join_what_waits")
        KINDS.declare({kind: f"exports.{module}" for kind, module in KINDS_OF_OPERATIONS.items()})
