"""The tables of exports."""

from .backup import BUCKET_BACKUPS, Backup, BackupSchedule, Scope, backups_folder
from .destination import BUCKET_RECORDS, ExportDestination
from .export import Export, ExportDownload, own_folder
from .restore import Restore, WaitingFacts, restores_folder
from .selected import SelectedPhoto

__all__ = [
    "BUCKET_BACKUPS",
    "BUCKET_RECORDS",
    "Backup",
    "BackupSchedule",
    "Export",
    "ExportDestination",
    "ExportDownload",
    "Restore",
    "Scope",
    "SelectedPhoto",
    "WaitingFacts",
    "backups_folder",
    "own_folder",
    "restores_folder",
]
