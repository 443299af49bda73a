"""`restore`: put a backup back, or say what that would change, in the foreground, without a worker."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User
from exports.models import Restore
from exports.refusals import ExportRefused
from exports.restore.requests import start_restore
from operations.foreground import add_foreground_arguments, left_behind, run_in_foreground
from operations.running import AlreadyActive


class Command(BaseCommand):
    """Restores a backup as a person. Ctrl-C leaves what is here as it was, and a resumable operation."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare PATH, --user, --mode, --dry-run and --json."""
        parser.add_argument("path", metavar="PATH", help="The backup: a folder or a ZIP.")
        parser.add_argument(
            "--user", required=True, metavar="NAME", help="As whom: a backup of the server, as an administrator."
        )
        parser.add_argument(
            "--mode", required=True, choices=Restore.Mode.values, help="What is here: merge or replace."
        )
        parser.add_argument("--dry-run", action="store_true", help="Only say what would change.")
        add_foreground_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Restore, print the result, and exit 0 (done), 1 (failures), 2 (wrong usage) or 130 (interrupted)."""
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['user']!r}. Nothing was restored.", returncode=2)
        path = Path(options["path"]).expanduser()
        if not path.exists():
            raise CommandError(f"There is no backup at {path}. Nothing was restored.", returncode=2)
        try:
            operation = start_restore(
                user, path, options["mode"], is_dry_run=options["dry_run"], enqueue=False
            ).operation
        except AlreadyActive as running:
            operation = left_behind(running.operation, "A backup of this person is being restored")
        except ExportRefused as refused:
            raise CommandError(str(refused), returncode=2) from None
        assert operation is not None
        run_in_foreground(self, operation, as_json=options["json"], describe=describe)


def describe(result: dict[str, Any]) -> str:
    """Return the result of a restore as text for people: a line for each kind, then what could not be used."""
    head = "This would be changed:" if result["dry_run"] else "This was restored:"
    lines = [
        f"  {kind}: " + ", ".join(f"{count:,} {action.replace('_', ' ')}" for action, count in actions.items())
        for kind, actions in result["counts"].items()
    ]
    problems = [f"  {problem['what']}: {problem['reason']}" for problem in result["problems"]]
    if problems:
        problems = [f"{result['problem_count']:,} things of the backup cannot be used:", *problems]
    return "\n".join([head, *(lines or ["  nothing"]), *problems])
