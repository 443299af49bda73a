"""`backup`: write a bundle of what a person made, or of the whole server, in the foreground, without a worker."""

import getpass
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, BinaryIO, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.models import User
from exports.backup.encryption import BadKey, Key, decrypt, make_key
from exports.backup.requests import start_backup_to
from exports.backup.verify import scratch_folder
from exports.bundle.files import open_bundle
from exports.bundle.lists import InvalidBundle
from exports.bundle.verify import Verified, verify
from exports.destinations.folders import refuse_output
from exports.models import Backup, Scope
from exports.refusals import ExportRefused
from operations.foreground import EXIT_FAILURES, add_foreground_arguments, left_behind, run_in_foreground
from operations.running import AlreadyActive
from photolala.lib.files import atomic_write

from .export import check_output


class Command(BaseCommand):
    """Makes a backup, or verifies one. Ctrl-C leaves nothing behind but a resumable operation."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what to back up, where to, and how."""
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument(
            "--user", metavar="NAME", help="Whose things, or the administrator who makes a backup of all."
        )
        what.add_argument("--verify", metavar="PATH", help="Read all of this backup (a folder, .zip or .zip.age).")
        parser.add_argument("--output", metavar="DIR", help="The folder in which the backup gets its own name.")
        parser.add_argument("--zip", action="store_true", help="One ZIP instead of a folder.")
        parser.add_argument("--everything", action="store_true", help="The whole server; --user is an administrator.")
        secret = parser.add_mutually_exclusive_group()
        secret.add_argument(
            "--passphrase-file", metavar="FILE", help="Encrypt with age by the first line; - asks for it."
        )
        secret.add_argument("--recipient", metavar="AGE1", help="Encrypt with age for this public key.")
        add_foreground_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Back up or verify, print the result, and exit 0 (done), 1 (failures), 2 (wrong usage) or 130 (interrupted)."""
        if options["verify"]:
            self._verify(Path(options["verify"]).expanduser(), options)
            return
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user called {options['user']!r}. Nothing was written.", returncode=2)
        if not options["output"]:
            raise CommandError("Say with --output in which folder. Nothing was written.", returncode=2)
        folder = Path(options["output"]).expanduser()
        try:
            refuse_output(user, folder)
        except ExportRefused as refused:
            raise CommandError(refused.operators_sentence, returncode=2) from None
        check_output(folder)
        backup = self._started(user, folder, options)
        operation = backup.operation
        assert operation is not None
        run_in_foreground(self, operation, as_json=options["json"], describe=describe)

    def _started(self, user: User, folder: Path, options: dict[str, Any]) -> Backup:
        key = Key(options["recipient"] or "", "")
        try:
            if options["passphrase_file"]:
                key = make_key(read_passphrase(options["passphrase_file"]))
            backup = start_backup_to(
                folder,
                user,
                Scope.SERVER if options["everything"] else Scope.PERSON,
                is_zip=options["zip"],
                recipient=key.recipient,
                key_file=key.key_file,
            )
        except AlreadyActive as running:
            operation = left_behind(running.operation, "This backup is being made")
            backup = Backup.objects.select_related("operation").get(operation=operation)
        except (ExportRefused, BadKey) as refused:
            raise CommandError(str(refused), returncode=2) from None
        if backup.key_file:  # before the backup: without it nobody could ever read that
            atomic_write(folder / f"{backup.name}.key.age", backup.key_file.encode(), mode=0o600)
        return backup

    def _verify(self, path: Path, options: dict[str, Any]) -> None:
        try:
            found = self._found_in(path, options)
        except (InvalidBundle, BadKey) as error:
            is_there = getattr(error, "code", "") != "not_there"
            raise CommandError(str(error), returncode=EXIT_FAILURES if is_there else 2) from None
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror or error}.", returncode=2) from None
        note_verification(path, found)
        if options["json"]:
            body = {"path": str(path), "files": found.file_count, "size_bytes": found.size_bytes}
            self.stdout.write(
                json.dumps({**body, "failed": found.problem_count, "problems": found.problems}, ensure_ascii=False)
            )
        else:
            for problem in found.problems:
                self.stdout.write(problem)
            words = f"{found.problem_count:,} problems" if found.problem_count else "whole"
            self.stdout.write(f"{found.file_count:,} files, {found.size_bytes:,} bytes: {words}")
        if found.problem_count:
            sys.exit(EXIT_FAILURES)

    def _found_in(self, path: Path, options: dict[str, Any]) -> Verified:
        if path.suffix != ".age":
            with open_bundle(path, scratch_folder()) as files:
                return verify(files)
        if not options["passphrase_file"]:
            raise CommandError("It is encrypted: give --passphrase-file. Nothing was read.", returncode=2)
        key_path = path.with_name(f"{path.name.removesuffix('.zip.age')}.key.age")
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".verify-") as scratch:
            plain = Path(scratch) / "backup.zip"
            descriptor = os.open(plain, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with path.open("rb") as source, open(descriptor, "wb") as target:
                passphrase = read_passphrase(options["passphrase_file"])
                decrypt(cast(BinaryIO, source), target, key_path.read_text(), passphrase)
            with open_bundle(plain, Path(scratch)) as files:
                return verify(files)


def read_passphrase(name: str) -> str:
    """Return the first line of the file, or what a person types if `name` is `-`. CommandError if it cannot be read."""
    if name == "-":
        return getpass.getpass("Passphrase: ")
    try:
        with Path(name).expanduser().open(encoding="utf-8") as file:
            return file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"The passphrase cannot be read from {name}: {error}.", returncode=2) from None


def note_verification(path: Path, found: Verified) -> None:
    """Note with the backup that this server made, if it is one of those, how it is."""
    for backup in Backup.objects.filter(completed_at__isnull=False).order_by("-created_at"):
        if backup.name == path.name.split(".")[0] and backup.path.resolve() == path.resolve():
            problem = found.problems[0] if found.problem_count else ""
            Backup.objects.filter(pk=backup.pk).update(verified_at=None if problem else timezone.now(), problem=problem)


def describe(result: dict[str, Any]) -> str:
    """Return the result of a backup as one line for people."""
    counts = ", ".join(f"{result[name]:,} {name}" for name in ("albums", "notes", "drafts", "ratings", "media"))
    text = f"{counts} in {result['path']}, verified"
    return f"{text}; {result['problem_count']:,} things could not be read" if result["problem_count"] else text
