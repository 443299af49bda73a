"""`import_catalog`: give what a catalog export says back to the photos of a library, and its albums, in the foreground."""

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from exports.catalogs.import_back import start_import_of_file
from operations.foreground import add_foreground_arguments, left_behind, run_in_foreground
from operations.running import AlreadyActive

from .export import find_library


class Command(BaseCommand):
    """Tells what an export would change, and with --apply changes it. What the catalog has is kept unless --overwrite."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the file, --library, --apply, --overwrite and --json."""
        parser.add_argument("file", help="photos.json or photos.csv of an export; albums.json beside it is read, too.")
        parser.add_argument("--library", required=True, metavar="ID", help="The library's id.")
        parser.add_argument("--apply", action="store_true", help="Make the changes.")
        parser.add_argument(
            "--overwrite",
            action="store_true",
            help="Also where the catalog has another caption, rating, place or date.",
        )
        add_foreground_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Import, print the result, and exit 0 (done), 1 (failures), 2 (wrong usage) or 130 (interrupted)."""
        library = find_library(options["library"])
        path = Path(os.path.realpath(Path(options["file"]).expanduser()))
        if path.suffix not in (".json", ".csv") or not path.is_file():
            raise CommandError(f"{path} is no file of an export (photos.json or photos.csv).", returncode=2)
        apply, overwrite = options["apply"], options["overwrite"]
        try:
            operation = start_import_of_file(library.owner, path, library, apply=apply, overwrite=overwrite)
        except AlreadyActive as running:
            operation = left_behind(running.operation, "An import to this library is at work")
            wanted = {"file": str(path), "library": str(library.pk), "apply": apply, "overwrite": overwrite}
            if operation.params != wanted:
                raise CommandError(
                    f"Another import to this library waits to go on (operation {operation.pk}). Run or cancel that one first."
                ) from None
        run_in_foreground(self, operation, as_json=options["json"], describe=describe)


def describe(result: dict[str, Any]) -> str:
    """Return the result as lines for people."""
    verb = "were given" if result["is_applied"] else "would be given"
    given = ", ".join(f"{result[name]:,} {name}" for name in ("captions", "ratings", "keywords", "places", "dates"))
    text = (
        f"Of {result['rows']:,} rows {result['matched']:,} are photos of the library; {given} {verb}, and "
        f"{result['album_items']:,} photos to albums, {result['albums']:,} of which are new; "
        f"{result['kept']:,} values stay as the catalog has them"
    )
    changes = [f"{one['path']}: {one['field']} {one['before']!r} -> {one['after']!r}" for one in result["changes"]]
    if result["change_count"] > len(changes):
        changes.append(f"({result['change_count'] - len(changes):,} more)")
    return "\n".join([text, *changes, *(f"{one['path']}: {one['reason']}" for one in result["problems"])])
