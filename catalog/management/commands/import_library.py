"""`import_library`: take the ratings of a version-1 library database over. Safe to repeat; the old file is only read."""

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User
from catalog.importing.version1 import import_version1
from catalog.libraries.members import role_of
from catalog.management.targets import known_library
from catalog.models import Membership
from catalog.version1.read import NotALibraryDatabase
from operations.progress import CommandProgress


class Command(BaseCommand):
    """Adds what is missing and changes nothing that people have said here. Back the old file up first all the same."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the file, --library, --user, --dry-run and --json."""
        parser.add_argument("file", metavar="FILE", help="The old library's database, closed by its application.")
        parser.add_argument("--library", required=True, metavar="PATH|LIBRARY", help="The library's folder, or its id.")
        parser.add_argument("--user", required=True, help="In whose name: the library's owner, or an editor.")
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be taken over.")
        parser.add_argument("--json", action="store_true", help="Print one object for scripts.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Take over, print the counts, and exit 0 (done), 1 (some rows were left out) or 2 (wrong usage)."""
        library = known_library(options["library"])
        user = User.objects.filter(username=options["user"], is_active=True).first()
        if user is None or role_of(library, user) not in ("owner", Membership.Role.EDITOR):
            raise CommandError(
                f"{options['user']} is no owner or editor of this library. Nothing was changed.", returncode=2
            )
        try:
            done = import_version1(
                library, user, Path(options["file"]), dry_run=options["dry_run"], progress=CommandProgress(self)
            )
        except NotALibraryDatabase as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}. Nothing was changed.") from None
        if options["json"]:
            self.stdout.write(json.dumps(done.as_json()))
        else:
            would = "would be " if done.dry_run else ""
            none = "" if done.has_ratings else " The old library knows no ratings yet: it has no such column."
            self.stdout.write(
                f"{done.rated:,} of {done.rows:,} photos {would}rated, {done.already:,} were rated here already, "
                f"{done.without_rating:,} have no rating; left out: {done.unknown:,} unknown, {done.changed:,} changed, "
                f"{done.bad:,} bad rows.{none}"
            )
            for problem in done.problems:
                self.stdout.write(f"  {problem['path']}: {problem['reason']}")
        if done.unknown or done.changed or done.bad:
            sys.exit(1)
