"""`snapshots`: list, verify, compare, prune and restore the published catalogs of a library."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from catalog.history import compare, verify
from catalog.history.copies import SnapshotNotKept
from catalog.history.restore import start_restore
from catalog.management.targets import known_library
from catalog.models import Library, Snapshot
from catalog.snapshots.publish import KEEP_COUNT
from operations.foreground import add_foreground_arguments, left_behind, run_in_foreground
from operations.running import AlreadyActive
from operations.templatetags.figures import counted, file_size
from photolala.web.parameters import utc_text


class Command(BaseCommand):
    """Lists, verifies, compares, prunes and restores the snapshots of a library's catalog. No photo is touched."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the actions; each takes a library (folder or id) and --json."""
        actions = parser.add_subparsers(dest="action", required=True)

        def action(name: str, text: str) -> CommandParser:
            one: CommandParser = actions.add_parser(name, help=text)
            one.add_argument("library", metavar="PATH|LIBRARY", help="The library's folder or id.")
            add_foreground_arguments(one)
            return one

        action("list", "The history, newest first.")
        action("verify", "Recompute their MD5s; repair cache and folder from each other.")
        difference = action("diff", "What one has other than another.")
        difference.add_argument("older", metavar="MD5")
        difference.add_argument("newer", metavar="MD5", nargs="?", default="", help="The current one if absent.")
        prune = action("prune", "Remove all but the latest.")
        prune.add_argument("--keep", type=int, default=KEEP_COUNT, help=f"How many to keep; {KEEP_COUNT} if absent.")
        restore = action("restore", "Put the catalog back to a snapshot. Its files stay as they are.")
        restore.add_argument("md5", metavar="MD5", nargs="?", default="", help="The latest usable one if absent.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, print the result, and exit 0 (done), 1 (failed), 2 (wrong usage) or 130 (interrupted)."""
        library = known_library(options["library"])
        try:
            getattr(self, f"_{options['action']}")(library, options)
        except SnapshotNotKept as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"The snapshots cannot be read or written now: {error}. Retry when they can.") from None

    def _list(self, library: Library, options: dict[str, Any]) -> None:
        rows = [
            {
                "md5": row.md5,
                "entry_count": row.entry_count,
                "size_bytes": row.size_bytes,
                "published_at": utc_text(row.published_at),
                "in_cache": row.in_cache,
                "in_root": row.in_root,
                "current": row.md5 == library.snapshot_md5,
            }
            for row in Snapshot.objects.filter(library=library)
        ]
        lines = [
            f"{row['md5']}  {row['published_at']}  {counted(row['entry_count'], 'entry,entries')}, "
            f"{file_size(row['size_bytes'])}  {_kept(row)}{', current' if row['current'] else ''}"
            for row in rows
        ]
        self._say({"library": str(library.pk), "snapshots": rows}, lines or ["There are no snapshots yet."], options)

    def _verify(self, library: Library, options: dict[str, Any]) -> None:
        found = verify.verify(library)
        lines = [*found.set_aside, *found.repaired, *found.problems]
        lines.append(f"{counted(found.checked, 'file')} verified, {len(found.repaired) or 'nothing'} repaired.")
        self._say(vars(found), lines, options)
        if found.problems:
            sys.exit(1)

    def _diff(self, library: Library, options: dict[str, Any]) -> None:
        found = compare.diff_kept(library, options["older"], options["newer"] or library.snapshot_md5)
        lines = [f"+ {path}" for path in found.added] + [f"- {path}" for path in found.removed]
        lines += [f"~ {entry.path} ({', '.join(entry.fields)})" for entry in found.changed]
        lines.append(
            f"{found.added_count:,} added, {found.removed_count:,} removed, {found.changed_count:,} changed"
            f" (at most {compare.MOST_LISTED} of each are listed)"
        )
        self._say(found.as_json(), lines, options)

    def _prune(self, library: Library, options: dict[str, Any]) -> None:
        if options["keep"] < 1:
            raise CommandError("Keep at least 1: the latest is always kept.", returncode=2)
        removed = verify.prune(library, options["keep"])
        self._say({"removed": removed}, [*removed, f"Removed {counted(len(removed), 'file')}."], options)

    def _restore(self, library: Library, options: dict[str, Any]) -> None:
        try:
            operation = start_restore(library, library.owner, options["md5"], enqueue=False)
        except AlreadyActive as running:
            operation = left_behind(running.operation, "This library is being scanned or restored")
            if operation.kind != "restore" or operation.params.get("md5") != options["md5"]:
                raise CommandError(
                    f"Operation {operation.pk} ({operation.kind}) of this library was left unfinished. Let a worker finish "
                    "it, or cancel it, then restore."
                ) from None
        run_in_foreground(self, operation, as_json=options["json"], describe=describe)

    def _say(self, result: dict[str, Any], lines: list[str], options: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(result, ensure_ascii=False) if options["json"] else "\n".join(lines))


def describe(result: dict[str, Any]) -> str:
    """Return the result of a restore as one line for people."""
    return (
        f"The catalog is as in snapshot {result['snapshot_md5']}: {counted(result['entries'], 'entry,entries')}, "
        f"{result['added']:,} added, {result['changed']:,} changed, {result['gone']:,} missing now. Scan to compare it "
        "with the files."
    )


def _kept(row: dict[str, Any]) -> str:
    places = [name for name, is_there in (("folder", row["in_root"]), ("cache", row["in_cache"])) if is_there]
    return "in " + " and ".join(places) if places else "no longer kept"
