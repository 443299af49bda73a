"""Sends a finished catalog export as one ZIP: nothing is packed beforehand."""

import re

from django.http import HttpRequest, HttpResponseBase

from exports import downloads
from exports.formats.manifest import InvalidManifest
from exports.formats.zip_stream import stream_export_folder
from exports.models import Export, ExportDownload
from exports.reading.file_names import archive_name
from photolala.web.refusals import Conflict, NotThere

_YEAR = re.compile(r"[^/]+/media/[^/]+/(\d{4})/").match


def serve_export(request: HttpRequest, export: Export) -> HttpResponseBase:
    """Answer with the ZIP of a finished export, or the part asked for; the ETag changes when a byte does.

    Raises Conflict while it is not finished, NotThere if it expired or its files are gone or damaged, and TooManyRequests.
    """
    if export.completed_at is None:
        raise Conflict("This export is not finished; there is nothing to download yet.", "not_finished")
    if not export.is_kept_here:
        raise Conflict("A command wrote this export to another folder of the server; take it from there.", "elsewhere")
    if export.is_expired:
        raise NotThere(
            "This export has expired, and its files are deleted. Export again; no photo was touched.", "expired"
        )
    try:
        archive = stream_export_folder(export.folder)
    except (OSError, InvalidManifest):
        raise NotThere("The files of this export are gone or damaged. Delete it and export again.", "no_file") from None
    return downloads.serve_archive(
        request,
        archive,
        name=export.folder_name,
        user_id=export.user_id,
        filename=f"{archive_name(_years(export, archive.names))}.zip",
        export=export,
    )


def _years(export: Export, names: list[str]) -> set[int]:
    """Return in which years the photos of an export were taken, as far as its originals or its days tell."""
    found = {int(match[1]) for match in map(_YEAR, names) if match}
    if not found and export.start_date and export.end_date:
        found = {export.start_date.year, export.end_date.year}
    return found


def is_being_sent(export: Export) -> bool:
    """Tell whether somebody still downloads it: its files have to stay until then."""
    return downloads.is_being_sent(ExportDownload.objects.filter(export=export))
