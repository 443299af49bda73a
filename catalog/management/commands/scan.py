"""`scan`: make a folder a library if it is none yet, and scan it in the foreground, without a worker."""

from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User
from catalog.checks import SETTINGS
from catalog.libraries.adding import add_library
from catalog.management.targets import root_of
from catalog.models import Library
from catalog.roots.folders import LibraryRefused
from operations.foreground import add_foreground_arguments, left_behind, run_in_foreground
from operations.models import Operation
from operations.running import AlreadyActive, start


class Command(BaseCommand):
    """Scans a library, named by its folder or its id. Ctrl-C leaves it resumable."""

    help = __doc__
    requires_system_checks = [SETTINGS]

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the folder or library, --user and --json."""
        parser.add_argument("target", metavar="PATH|LIBRARY", help="A folder under PHOTOLALA_ROOTS, or a library's id.")
        parser.add_argument("--user", default="", help="Who owns the library, if the folder is none yet.")
        parser.add_argument("--confirm-gone", action="store_true", help="Even if more than a fifth is gone.")
        parser.add_argument(
            "--verify-heads",
            action="store_true",
            help="Also read the first 4 KB of files that look unchanged: finds edits that kept size and time.",
        )
        add_foreground_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Scan, print the result, and exit 0 (done), 1 (failures), 2 (wrong usage) or 130 (interrupted)."""
        library = self.library(options["target"], options["user"])
        asked = {name: options[name] for name in ("confirm_gone", "verify_heads")}
        try:
            operation = start(
                "scan",
                library.owner,
                subject=library.name,
                active_key=library.scan_key,
                params={"library": str(library.pk), **asked},
                enqueue=False,
            )
        except AlreadyActive as running:
            if running.operation.kind != "scan":
                raise CommandError(
                    f"The catalog of this library is being restored (operation {running.operation.pk}). Wait for it, or "
                    "cancel it, then scan."
                ) from None
            operation = left_behind(running.operation, "This library is being scanned")
            if any(asked.values()):
                params = {**operation.params, **{name: True for name, is_asked in asked.items() if is_asked}}
                Operation.objects.filter(pk=operation.pk, token=operation.token).update(params=params)
        run_in_foreground(self, operation, as_json=options["json"], describe=describe)

    def library(self, target: str, username: str) -> Library:
        """Return the library that `target` names, adding it if it is a folder that is none yet."""
        try:
            by_id = Library.objects.filter(pk=UUID(target)).first()
        except ValueError:
            by_id = None
        if by_id:
            return by_id
        folder = Path(target).expanduser()
        known = Library.objects.filter(root=root_of(target)).first()
        user = User.objects.filter(username=username).first() if username else None
        if username and user is None:
            raise CommandError(f"There is no user called {username!r}.", returncode=2)
        if known:
            if user and known.owner_id != user.pk:
                raise CommandError(f"{target} is a library of another user.", returncode=2)
            return known
        if user is None:
            raise CommandError(f"{target} is no library yet: say whose it shall be with --user NAME.", returncode=2)
        try:
            return add_library(user, str(folder))
        except LibraryRefused as error:
            raise CommandError(error.operators_sentence, returncode=2) from None


def describe(result: dict[str, Any]) -> str:
    """Return the result of a scan as one line for people."""
    text = (
        f"{result['found']:,} photos: {result['added']:,} added, {result['changed']:,} changed, {result['moved']:,} moved, "
        f"{result['gone']:,} gone, {result['unchanged']:,} unchanged"
    )
    return f"{text}; {result['failed']:,} cannot be shown, or only in part (see Problems)" if result["failed"] else text
