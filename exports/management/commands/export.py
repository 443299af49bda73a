"""`export`: write the catalog of a library as JSON or CSV into a folder, in the foreground, without a worker."""

import os
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from catalog.models import Library
from exports.catalogs.requests import Wishes, start_export_to
from exports.destinations.folders import refuse_output
from exports.models import Export
from exports.refusals import ExportRefused
from operations.foreground import add_foreground_arguments, left_behind, run_in_foreground
from operations.running import AlreadyActive


class Command(BaseCommand):
    """Exports the catalog of one library, for its owner. Ctrl-C leaves nothing behind but a resumable operation."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare --library, --format, --output, --include-media and --json."""
        parser.add_argument("--library", required=True, metavar="ID", help="The library's id.")
        parser.add_argument("--format", required=True, choices=Export.Format.values)
        parser.add_argument(
            "--output", required=True, metavar="DIR", help="The folder in which the export gets a folder of its own."
        )
        parser.add_argument("--include-media", action="store_true", help="Copy the original files, too.")
        add_foreground_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Export, print the result, and exit 0 (done), 1 (failures), 2 (wrong usage) or 130 (interrupted)."""
        library = find_library(options["library"])
        folder = Path(options["output"]).expanduser()
        try:
            refuse_output(library.owner, folder)
        except ExportRefused as refused:
            raise CommandError(refused.operators_sentence, returncode=2) from None
        check_output(folder)
        wishes = Wishes(format=options["format"], include_media=options["include_media"])
        try:
            operation = start_export_to(folder, library.owner, library, wishes).operation
        except AlreadyActive as running:
            operation = left_behind(running.operation, "This is being exported")
        except ExportRefused as refused:
            raise CommandError(refused.operators_sentence, returncode=2) from None
        assert operation is not None
        run_in_foreground(self, operation, as_json=options["json"], describe=describe)


def find_library(text: str) -> Library:
    """Return the library with that id. CommandError with exit code 2 if there is none."""
    try:
        library = Library.objects.select_related("owner").filter(pk=UUID(text)).first()
    except ValueError:
        library = None
    if library is None:
        raise CommandError(f"There is no library with the id {text!r}. Nothing was exported.", returncode=2)
    return library


def check_output(folder: Path) -> None:
    """Make the folder if it is missing. CommandError with exit code 2 if it cannot be made or written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"The folder {folder} cannot be made: {error.strerror}.", returncode=2) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CommandError(f"The folder {folder} cannot be written to by this user.", returncode=2)


def describe(result: dict[str, Any]) -> str:
    """Return the result of an export as one line for people."""
    text = f"{result['photos']:,} photos in {result['folder']}"
    if result["media"] or result["failed"]:
        text += f", with {result['media']:,} original files"
    return f"{text}; {result['failed']:,} files could not be exported" if result["failed"] else text
