"""The tables of exports."""

from .backup import Backup, BackupSchedule, Scope, backups_folder
from .destination import ExportDestination
from .export import Export, ExportDownload, own_folder

__all__ = [
    "Backup",
    "BackupSchedule",
    "Export",
    "ExportDestination",
    "ExportDownload",
    "Scope",
    "backups_folder",
    "own_folder",
]
