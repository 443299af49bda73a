"""The tables of exports."""

from .destination import ExportDestination
from .export import Export, ExportDownload, own_folder

__all__ = ["Export", "ExportDestination", "ExportDownload", "own_folder"]
