"""`writes list|run`: what waits to be written into files, and writing it now."""

import json
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from catalog.entries.pending_writes import KIND, write_key
from catalog.models import FileWrite, Library
from operations.foreground import add_foreground_arguments, left_behind, run_in_foreground
from operations.running import AlreadyActive, start
from operations.templatetags.figures import counted


class Command(BaseCommand):
    """Shows what waits to be written into files, or writes it now, without a worker."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        listing = actions.add_parser("list", help="What is not in its file yet, with the reasons.")
        listing.add_argument("--json", action="store_true", help="Print one JSON object for each, and nothing else.")
        run = actions.add_parser("run", help="Write what is due in a library, here and now.")
        run.add_argument("--library", required=True, help="The library's id.")
        run.add_argument("--all", action="store_true", help="Also what was to be tried again later only.")
        add_foreground_arguments(run)

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it; exits 0 if all is written or nothing waits, 1 if something could not be written."""
        if options["action"] == "list":
            self._list(as_json=options["json"])
            return
        key = _id(options["library"])
        library = Library.objects.select_related("owner").filter(pk=key).first() if key else None
        if library is None:
            raise CommandError(f"There is no library {options['library']}.", returncode=2)
        if options["all"]:
            FileWrite.objects.filter(library=library, state="pending").update(try_at=timezone.now())
        try:
            operation = start(
                KIND,
                library.owner,
                subject=library.name,
                active_key=write_key(library),
                params={"library": str(library.pk)},
                unit="files",
                enqueue=False,
            )
        except AlreadyActive as running:
            operation = left_behind(running.operation, "Somebody writes into the files of this library")
        run_in_foreground(self, operation, as_json=options["json"], describe=describe)

    def _list(self, *, as_json: bool) -> None:
        waiting = (
            FileWrite.objects.filter(state__in=FileWrite.OPEN).select_related("photo", "library").defer("undo_delta")
        )
        for write in waiting.order_by("created_at", "pk").iterator(chunk_size=500):
            facts = {
                "id": str(write.pk),
                "library": write.library.name,
                "path": write.photo.path,
                "kind": write.kind,
                "wanted": write.wanted,
                "state": write.state,
                "reason": write.reason,
            }
            self.stdout.write(json.dumps(facts, ensure_ascii=False) if as_json else _line(facts))


def describe(result: dict[str, Any]) -> str:
    """Return the result as lines for people."""
    lines = [
        f"{counted(result['written'], 'file')} written, {result['waiting']:,} waiting, {result['failed']:,} not possible."
    ]
    lines += [f"  {problem['path']}: {problem['reason']}" for problem in result["problems"]]
    return "\n".join(lines)


def _line(facts: dict[str, Any]) -> str:
    return f"{facts['state']}  {facts['library']}/{facts['path']}  {facts['wanted']}  {facts['reason']}"


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
