"""`rebuild`: build a library's catalog anew from its files, in the foreground, without a worker."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from catalog.scanning.rebuild import KIND, start_rebuild
from operations.foreground import add_foreground_arguments, left_behind, run_in_foreground
from operations.running import AlreadyActive

from .scan import Command as ScanCommand


class Command(ScanCommand):
    """Rebuilds the catalog of a library, named by its folder or its id. The old one stands until the new one is complete."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the folder or library, --user, --full and --json."""
        parser.add_argument("target", metavar="PATH|LIBRARY", help="A library's folder, or its id.")
        parser.add_argument("--user", default="", help="Who owns the library, if the folder is none yet.")
        parser.add_argument("--full", action="store_true", help="Read every file anew; believe no known hash.")
        add_foreground_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Rebuild, print the result, and exit 0 (done), 1 (failures), 2 (wrong usage) or 130 (interrupted)."""
        library = self.library(options["target"], options["user"])
        try:
            operation = start_rebuild(library, library.owner, full=options["full"], enqueue=False)
        except AlreadyActive as running:
            if running.operation.kind != KIND:
                raise CommandError(
                    f"This library is being scanned or restored (operation {running.operation.pk}). Wait for it, or cancel it, "
                    "then rebuild."
                ) from None
            operation = left_behind(running.operation, "This library is being rebuilt")
        run_in_foreground(self, operation, as_json=options["json"], describe=describe)


def describe(result: dict[str, Any]) -> str:
    """Return the result as a line for people."""
    return (
        f"Rebuilt from {result['found']:,} photos ({result['read']:,} read anew, {result['cache_hits']:,} known): "
        f"{result['added']:,} added, {result['changed']:,} changed, {result['gone']:,} gone. The catalog before is kept as "
        f"snapshot {result['backup_md5'] or '(there was none)'}; `snapshots restore` brings it back."
    )
