"""`export_folder`: copy the originals of a library into dated folders, in the foreground, without a worker."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from exports.destinations.folders import destination_for_command, prefix_for_command
from exports.models import ExportDestination
from exports.originals.requests import start_folder_export
from exports.refusals import ExportRefused
from operations.foreground import add_foreground_arguments, left_behind, run_in_foreground
from operations.running import AlreadyActive

from .export import check_output, find_library


class Command(BaseCommand):
    """Copies what the folder lacks, each original once. Killed at any point, run it again: it continues."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare --library, --destination, --start-anew and --json."""
        parser.add_argument("--library", required=True, metavar="ID", help="The library's id.")
        parser.add_argument(
            "--destination",
            required=True,
            metavar="DIR",
            help="The folder, or s3://bucket/prefix, that gets YYYY/MM/ folders.",
        )
        parser.add_argument(
            "--start-anew", action="store_true", help="Even if the records of earlier exports are gone from there."
        )
        add_foreground_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Export, print the result, and exit 0 (done), 1 (failures), 2 (wrong usage) or 130 (interrupted)."""
        library = find_library(options["library"])
        is_bucket = options["destination"].startswith("s3://")
        folder = Path(options["destination"]).expanduser()
        try:
            if is_bucket:
                destination = prefix_for_command(library.owner, options["destination"])
            else:
                destination = destination_for_command(library.owner, folder)
        except ExportRefused as refused:
            raise CommandError(refused.operators_sentence, returncode=2) from None
        if not destination.has_records and not is_bucket:
            check_output(folder)
        if options["start_anew"]:
            ExportDestination.objects.filter(pk=destination.pk).update(has_records=False)
        try:
            operation = start_folder_export(library.owner, library, destination, enqueue=False)
        except AlreadyActive as running:
            operation = left_behind(running.operation, "This is being exported")
            if operation.params["library"] != str(library.pk):
                raise CommandError(
                    f"An export of another library to {destination.folder} waits to go on (operation {operation.pk}). Run or "
                    "cancel that one first."
                ) from None
        run_in_foreground(self, operation, as_json=options["json"], describe=describe)


def describe(result: dict[str, Any]) -> str:
    """Return the result of a folder export as one line for people."""
    text = (
        f"{result['copied'] + result['adopted']:,} photos copied to {result['destination']}, "
        f"{result['skipped']:,} were there already"
    )
    if result["failed"]:
        text += f"; {result['failed']:,} could not be copied"
    return "\n".join([text, *(f"The records are damaged: {one}" for one in result.get("record_problems", []))])
