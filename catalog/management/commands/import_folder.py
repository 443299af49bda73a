"""`import_folder`: copy what is in a folder into a library, in the foreground, without a worker."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User
from catalog.importing.requests import ImportRefused, import_key, start_folder_import
from catalog.management.targets import known_library
from catalog.models import Import, Library
from catalog.roots.folders import LibraryRefused
from operations.foreground import add_foreground_arguments, left_behind, run_in_foreground
from operations.running import AlreadyActive, start


class Command(BaseCommand):
    """Copies each file once, into the folder of its date. Killed at any point, run it again: it continues."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the folder, --library, --user, --layout, --people-as-keywords and --json."""
        parser.add_argument("folder", help="Below one of PHOTOLALA_ROOTS. Nothing in it is changed.")
        parser.add_argument("--library", required=True, metavar="PATH|LIBRARY", help="The library's folder, or its id.")
        parser.add_argument("--user", metavar="NAME", help="Who imports; the library's owner if absent.")
        parser.add_argument("--layout", choices=Import.Layout.values, default=Import.Layout.MONTH)
        parser.add_argument(
            "--people-as-keywords", action="store_true", help="Add people's names from Google Takeout as keywords."
        )
        add_foreground_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Import, print the result, and exit 0 (done), 1 (failures), 2 (wrong usage) or 130 (interrupted)."""
        library = known_library(options["library"])
        user = _user(options["user"]) if options["user"] else library.owner
        if not Library.objects.editable_by(user).filter(pk=library.pk).exists():
            raise CommandError(f"{user} may not change that library. Nothing was changed.", returncode=2)
        try:
            _begin_or_go_on(library, user, options["folder"], options["layout"], options["people_as_keywords"])
        except LibraryRefused as refused:
            raise CommandError(refused.operators_sentence, returncode=2) from None
        except ImportRefused as refused:
            raise CommandError(str(refused), returncode=2) from None
        try:
            operation = start(
                "import",
                user,
                subject=library.name,
                active_key=import_key(library),
                params={"library": str(library.pk)},
                unit="files",
                enqueue=False,
            )
        except AlreadyActive as running:
            operation = left_behind(running.operation, "Files are being imported into that library")
        run_in_foreground(self, operation, as_json=options["json"], describe=describe)


def describe(result: dict[str, Any]) -> str:
    """Return the result of an import as one line for people."""
    text = f"{result['imported']:,} photos imported, {result['duplicate']:,} were there already"
    return f"{text}; {result['rejected']:,} were not imported" if result["rejected"] else text


def _begin_or_go_on(library: Library, user: User, folder: str, layout: str, people_as_keywords: bool) -> None:
    """Make an import of the folder, unless one that was interrupted waits to continue."""
    for waiting in Import.objects.filter(library=library, user=user, kind="folder", finished_at=None, error=""):
        if waiting.source.rstrip("/") == folder.rstrip("/"):
            return
    start_folder_import(library, user, folder, layout, people_as_keywords=people_as_keywords, enqueue=False)


def _user(name: str) -> User:
    user = User.objects.filter(username=name).first()
    if user is None:
        raise CommandError(f"There is no user {name}.", returncode=2)
    return user
