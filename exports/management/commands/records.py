"""`records`: look after an export destination: read its copies, rebuild, import or compact their records, or say where it is."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from exports.destinations.moving import move_destination
from exports.destinations.restored import add_records
from exports.ledger.errors import LedgerError
from exports.ledger.load import FOLDER_NAME, LoadedLedger, view_ledger
from exports.ledger.records import ExportRecord, RecordStatus
from exports.ledger.store import Ledger
from exports.models import ExportDestination
from exports.originals.checks import start_verification
from exports.originals.requests import start_rebuild
from exports.refusals import ExportRefused
from operations.foreground import add_foreground_arguments, left_behind, run_in_foreground
from operations.models import Operation
from operations.running import AlreadyActive
from photolala.lib.paths import escape_path

from .export import find_library


class Command(BaseCommand):
    """Examines the records of a destination and its copies. Nothing there is overwritten or deleted."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare verify, rebuild, compact, move and import, each with --destination and --json, and what each has of its own."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        verify = verbs.add_parser("verify", help="Read every copy and compare it with what was exported.")
        verify.add_argument(
            "--repair", action="store_true", help="Copy missing and damaged ones again, beside what is there."
        )
        compact = verbs.add_parser("compact", help="Write one snapshot of all records and empty their log.")
        rebuild = verbs.add_parser("rebuild", help="Find out which photos the copies in YYYY/MM/ are, and tell it.")
        rebuild.add_argument("--library", required=True, metavar="ID", help="The library whose photos are looked for.")
        rebuild.add_argument("--apply", action="store_true", help="Record what is found.")
        adopt = verbs.add_parser(
            "import", help="Tell which records of elsewhere this folder lacks and has the copies of."
        )
        adopt.add_argument("--from", required=True, metavar="DIR", dest="source", help="A folder with ExportRecords.")
        adopt.add_argument("--apply", action="store_true", help="Record them.")
        move = verbs.add_parser("move", help="Say that the destination's disk is mounted elsewhere now.")
        move.add_argument("--to", required=True, metavar="DIR", help="The folder that has its ExportRecords now.")
        for one in (verify, rebuild, compact, adopt, move):
            one.add_argument("--destination", required=True, metavar="DIR", help="The folder that was exported to.")
            add_foreground_arguments(one)

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 (done, all copies are whole), 1 (bad copies were found, also if they were copied again), 2 or 130."""
        folder = Path(os.path.realpath(Path(options["destination"]).expanduser()))
        if options["verb"] == "compact":
            self._compact(folder, as_json=options["json"])
            return
        name = escape_path(os.fsencode(folder))
        destination = ExportDestination.objects.select_related("owner").filter(folder=name).first()
        if destination is None:
            raise CommandError(f"{folder} is no export destination of this server. Nothing was read.", returncode=2)
        if options["verb"] == "move":
            self._move(destination, Path(options["to"]).expanduser(), as_json=options["json"])
        elif options["verb"] == "verify":
            self._verify(destination, repair=options["repair"], as_json=options["json"])
        elif options["verb"] == "import":
            source = Path(options["source"]).expanduser()
            self._import(destination, source, applies=options["apply"], as_json=options["json"])
        else:
            self._rebuild(destination, options["library"], apply=options["apply"], as_json=options["json"])

    def _verify(self, destination: ExportDestination, *, repair: bool, as_json: bool) -> None:
        operation = _begin(
            lambda: start_verification(destination.owner, destination, repair=repair, enqueue=False),
            destination,
            "verify_destination",
            {"destination": str(destination.pk), "repair": repair},
        )
        run_in_foreground(self, operation, as_json=as_json, describe=describe)

    def _rebuild(self, destination: ExportDestination, library_id: str, *, apply: bool, as_json: bool) -> None:
        library = find_library(library_id)
        operation = _begin(
            lambda: start_rebuild(destination.owner, library, destination, apply=apply, enqueue=False),
            destination,
            "rebuild_records",
            {"library": str(library.pk), "destination": str(destination.pk), "apply": apply},
        )
        run_in_foreground(self, operation, as_json=as_json, describe=describe_rebuild)

    def _import(self, destination: ExportDestination, source: Path, *, applies: bool, as_json: bool) -> None:
        folder = source / FOLDER_NAME if (source / FOLDER_NAME).is_dir() else source
        if not folder.is_dir():
            raise CommandError(f"There are no export records in {source}. Nothing was changed.", returncode=2)
        try:
            loaded = view_ledger(folder)
            if not len(loaded.state):
                raise CommandError(f"There are no export records in {source}. Nothing was changed.", returncode=2)
            done = add_records(destination, _done_in(loaded), applies=applies)
        except (LedgerError, OSError) as error:
            raise CommandError(str(error), returncode=1) from None
        body = {"added": done.added, "known": done.known, "away": done.away, "applied": applies}
        if as_json:
            self.stdout.write(json.dumps({**body, "record_problems": loaded.report.problems}, ensure_ascii=False))
        else:
            words = "records written" if applies else "records would be written"
            self.stdout.write(
                f"{words}: {done.added:,}; recorded before: {done.known:,}; copies that are not there: {done.away:,}"
            )
            for problem in loaded.report.problems:
                self.stderr.write(problem)

    def _move(self, destination: ExportDestination, folder: Path, *, as_json: bool) -> None:
        try:
            moved = move_destination(destination.owner, destination, str(folder.absolute()), is_operator=True)
        except ExportRefused as refused:
            raise CommandError(refused.operators_sentence, returncode=2) from None
        if as_json:
            self.stdout.write(json.dumps({"id": str(moved.pk), "folder": moved.folder}, ensure_ascii=False))
        else:
            self.stdout.write(f"“{moved.name}” is in {moved.folder} now. Nothing was copied.")

    def _compact(self, folder: Path, *, as_json: bool) -> None:
        records = folder / FOLDER_NAME
        if not records.is_dir():
            raise CommandError(f"There are no export records in {folder}. Nothing was changed.", returncode=2)
        try:
            with Ledger(records) as ledger:
                ledger.compact()
                count, report = len(ledger), ledger.report
        except (LedgerError, OSError) as error:
            raise CommandError(str(error), returncode=1) from None
        body = {
            "records": count,
            "bad_lines": report.bad_lines,
            "missing_numbers": report.missing_numbers,
            "record_problems": report.problems,
            "set_aside": report.set_aside,
        }
        if as_json:
            self.stdout.write(json.dumps(body, ensure_ascii=False))
        else:
            self.stdout.write(f"{count:,} records in one snapshot.")
            for problem in report.problems:
                self.stderr.write(problem)


def _done_in(loaded: LoadedLedger) -> Iterator[ExportRecord]:
    return (record for record in loaded.state.sorted_records() if record.status is RecordStatus.DONE)


def _begin(
    begin: Callable[[], Operation], destination: ExportDestination, kind: str, params: dict[str, Any]
) -> Operation:
    """Start the work, or take over the same that a killed command left; CommandError if other work is in the way."""
    try:
        return begin()
    except AlreadyActive as running:
        operation = left_behind(running.operation, "This destination is being exported to or read")
        if operation.kind != kind or operation.params != params:
            raise CommandError(
                f"Other work on {destination.folder} waits to go on (operation {operation.pk}). Run or cancel that one first."
            ) from None
        return operation


def describe_rebuild(result: dict[str, Any]) -> str:
    """Return the result of a rebuild as lines for people."""
    text = (
        f"Of {result['total']:,} files {result['known']:,} are recorded, {result['matched']:,} are recognised, "
        f"{result['ambiguous']:,} are doubtful, {result['unmatched']:,} belong to no photo; "
        f"records written: {result['recorded']:,}"
    )
    problems = [f"{one['path']}: {one['reason']}" for one in result["problems"]]
    return "\n".join([text, *problems, *(f"The records are damaged: {one}" for one in result["record_problems"])])


def describe(result: dict[str, Any]) -> str:
    """Return the result of a check as lines for people."""
    bad = {kind: result[kind] for kind in ("missing", "damaged", "unreadable") if result[kind]}
    text = f"As they were exported: {result['whole']:,} copies"
    if result["without_digest"]:
        text += f"; read, but without a digest to compare with: {result['without_digest']:,}"
    text += "".join(f"; {kind}: {count:,}" for kind, count in bad.items())
    if result["repaired"]:
        text += f"; copied again: {result['repaired']:,}"
    problems = [f"{one['path']}: {one['reason']}" for one in result["problems"]]
    return "\n".join(
        [text, *problems, *(f"The records are damaged: {one}" for one in result.get("record_problems", []))]
    )
