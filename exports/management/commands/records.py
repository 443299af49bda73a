"""`records`: look after the records of an export destination: read the copies they tell of, compact them."""

import json
import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from exports.ledger.errors import LedgerError
from exports.ledger.load import FOLDER_NAME
from exports.ledger.store import Ledger
from exports.models import ExportDestination
from exports.originals.checks import start_verification
from operations.foreground import add_foreground_arguments, left_behind, run_in_foreground
from operations.running import AlreadyActive
from photolala.lib.paths import escape_path


class Command(BaseCommand):
    """Examines the records of a destination and its copies. Nothing there is overwritten or deleted."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare verify and compact, each with --destination and --json, and --repair of verify."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        verify = verbs.add_parser("verify", help="Read every copy and compare it with what was exported.")
        verify.add_argument(
            "--repair", action="store_true", help="Copy missing and damaged ones again, beside what is there."
        )
        compact = verbs.add_parser("compact", help="Write one snapshot of all records and empty their log.")
        for one in (verify, compact):
            one.add_argument("--destination", required=True, metavar="DIR", help="The folder that was exported to.")
            add_foreground_arguments(one)

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 (done, all copies are whole), 1 (bad copies were found, also if they were copied again), 2 or 130."""
        folder = Path(os.path.realpath(Path(options["destination"]).expanduser()))
        if options["verb"] == "compact":
            self._compact(folder, as_json=options["json"])
        else:
            self._verify(folder, repair=options["repair"], as_json=options["json"])

    def _verify(self, folder: Path, *, repair: bool, as_json: bool) -> None:
        name = escape_path(os.fsencode(folder))
        destination = ExportDestination.objects.select_related("owner").filter(folder=name).first()
        if destination is None:
            raise CommandError(f"{folder} is no export destination of this server. Nothing was read.", returncode=2)
        try:
            operation = start_verification(destination.owner, destination, repair=repair, enqueue=False)
        except AlreadyActive as running:
            operation = left_behind(running.operation, "This destination is being exported to or read")
            wanted = {"destination": str(destination.pk), "repair": repair}
            if operation.kind != "verify_destination" or operation.params != wanted:
                raise CommandError(
                    f"Other work on {folder} waits to go on (operation {operation.pk}). Run or cancel that one first."
                ) from None
        run_in_foreground(self, operation, as_json=as_json, describe=describe)

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
