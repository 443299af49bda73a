"""`doctor`: examine the installation and say what is wrong, what it means and what to do."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from catalog.doctor import Report, examine
from operations.progress import CommandProgress, quietly

EXIT_FINDINGS = 1


class Command(BaseCommand):
    """Examines settings, tools, disks, database, broker, operations, libraries and the cache. Touches no photo."""

    help = __doc__
    requires_system_checks = []  # they are the first examination

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare --full, --heal and --json."""
        parser.add_argument("--full", action="store_true", help="All thumbnails and snapshots, not only some.")
        parser.add_argument("--heal", action="store_true", help="Also fix what can be fixed without a loss.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object last, and nothing else.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Examine, print the findings, and exit 0 (nobody has to do anything) or 1."""
        progress = quietly if options["json"] else CommandProgress(self)
        report = examine(full=options["full"], heal=options["heal"], progress=progress)
        self.stdout.write(json.dumps(report.as_json(), ensure_ascii=False) if options["json"] else describe(report))
        if not report.is_fine:
            sys.exit(EXIT_FINDINGS)


def describe(report: Report) -> str:
    """Return the findings as lines for people, what is worst first."""
    order = ["error", "warning", "note"]
    lines = []
    for finding in sorted(report.findings, key=lambda finding: (bool(finding.healed), order.index(finding.severity))):
        lines.append(f"{'healed' if finding.healed else finding.severity}: {finding.sentence} [{finding.code}]")
        if words := finding.healed or finding.advice:
            lines.append(f"    {words}")
    lines.append(f"{'All is well' if report.is_fine else 'Examined'}: {', '.join(report.examined)}.")
    return "\n".join(lines)
