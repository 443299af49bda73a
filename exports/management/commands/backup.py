"""`backup`: write a bundle of what a person made, or of the whole server, in the foreground, without a worker."""

import getpass
import json
import os
import shutil
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.models import User
from catalog.sources.s3_keys import SCHEME, parse_uri
from exports.backup.encryption import BadKey, Key, decrypt, make_key
from exports.backup.requests import start_backup_in, start_backup_to
from exports.backup.verify import scratch_folder
from exports.bundle.files import open_bundle
from exports.bundle.lists import BundleRefused, InvalidBundle
from exports.bundle.verify import Verified, verify
from exports.destinations.folders import prefix_for_command, refuse_output
from exports.models import Backup, ExportDestination, Scope
from exports.refusals import ExportRefused
from operations.foreground import EXIT_FAILURES, add_foreground_arguments, left_behind, run_in_foreground
from operations.running import AlreadyActive
from photolala.lib.files import atomic_write

from .export import check_output

ENCRYPTED = ".zip.age"


class Command(BaseCommand):
    """Makes a backup, or verifies one. Ctrl-C leaves nothing behind but a resumable operation."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what to back up, where to, and how."""
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument(
            "--user", metavar="NAME", help="Whose things, or the administrator who makes a backup of all."
        )
        what.add_argument(
            "--verify",
            metavar="PATH",
            help="Read all of this backup: a folder, .zip or .zip.age, or s3://…/Backups/NAME.",
        )
        what.add_argument("--list", metavar="S3", help="Name the complete backups at s3://bucket/prefix.")
        parser.add_argument(
            "--output", metavar="DIR", help="The folder, or s3://bucket/prefix, in which the backup gets its own name."
        )
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
        if options["list"]:
            self._list(options["list"], options)
            return
        if options["verify"]:
            self._verify(options["verify"], options)
            return
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user called {options['user']!r}. Nothing was written.", returncode=2)
        if not options["output"]:
            raise CommandError("Say with --output in which folder. Nothing was written.", returncode=2)
        try:
            if options["output"].startswith(SCHEME):
                backup = self._started(user, prefix_for_command(user, options["output"].rstrip("/")), options)
            else:
                folder = Path(options["output"]).expanduser()
                refuse_output(user, folder)
                check_output(folder)
                backup = self._started(user, folder, options)
        except ExportRefused as refused:
            raise CommandError(refused.operators_sentence, returncode=2) from None
        operation = backup.operation
        assert operation is not None
        run_in_foreground(self, operation, as_json=options["json"], describe=describe)

    def _started(self, user: User, place: Path | ExportDestination, options: dict[str, Any]) -> Backup:
        key = Key(options["recipient"] or "", "")
        try:
            if options["passphrase_file"]:
                key = make_key(read_passphrase(options["passphrase_file"]))
            scope = Scope.SERVER if options["everything"] else Scope.PERSON
            secret = {"recipient": key.recipient, "key_file": key.key_file}
            if isinstance(place, Path):
                backup = start_backup_to(place, user, scope, is_zip=options["zip"], **secret)
            else:
                backup = start_backup_in(place, user, scope, **secret)
        except AlreadyActive as running:
            operation = left_behind(running.operation, "This backup is being made")
            backup = Backup.objects.select_related("operation").get(operation=operation)
        except (ExportRefused, BadKey) as refused:
            raise CommandError(str(refused), returncode=2) from None
        if backup.key_file and isinstance(place, Path):  # before the backup: without it nobody could ever read that
            atomic_write(place / f"{backup.name}.key.age", backup.key_file.encode(), mode=0o600)
        return backup

    def _list(self, uri: str, options: dict[str, Any]) -> None:
        """Name the complete backups below a prefix, the newest first."""
        from exports.destinations.bucket_backups import BucketBackups

        try:
            backups = BucketBackups(parse_uri(uri.rstrip("/")))
            found = backups.found()
        except (ValueError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise CommandError(f"{uri} cannot be listed: {reason}", returncode=2) from None
        for one in found:
            address = backups.address(one.name) + (ENCRYPTED if one.is_encrypted else "")
            if options["json"]:
                self.stdout.write(json.dumps({"address": address, "size_bytes": one.size_bytes}))
            else:
                self.stdout.write(f"{address}  {one.size_bytes:,} bytes")

    def _verify(self, name: str, options: dict[str, Any]) -> None:
        path = name if name.startswith(SCHEME) else Path(name).expanduser()
        try:
            if isinstance(path, Path):
                found = self._found_in(path, options)
            else:
                found = self._found_in_bucket(path, options)
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

    def _found_in_bucket(self, uri: str, options: dict[str, Any]) -> Verified:
        if not uri.endswith(ENCRYPTED):
            from exports.destinations.bucket_backups import open_bucket_bundle

            with open_bucket_bundle(uri) as files:
                return verify(files)
        scratch_folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=scratch_folder(), prefix="verify-") as scratch:
            return self._found_in(fetch_encrypted(uri, Path(scratch)), options)

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


def fetch_encrypted(uri: str, scratch: Path) -> Path:
    """Return a copy in `scratch` of the encrypted backup at `s3://…`, with its key file beside it. CommandError."""
    from exports.destinations.bucket_backups import KEY_FILE, BucketBackups, split_address

    try:
        root, file_name = split_address(uri)
        name = file_name.removesuffix(ENCRYPTED)
        backups = BucketBackups(root)
        for one in (name + ENCRYPTED, name + KEY_FILE):
            with closing(backups.open(one)) as source, (scratch / one).open("xb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
    except (BundleRefused, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CommandError(f"{uri} cannot be read: {reason}. Nothing was changed.", returncode=2) from None
    return scratch / (name + ENCRYPTED)


def note_verification(path: Path | str, found: Verified) -> None:
    """Note with the backup that this server made, if it is one of those, how it is."""
    for backup in Backup.objects.filter(completed_at__isnull=False).order_by("-created_at"):
        if backup.is_in_bucket:
            is_this = backup.address == str(path)
        else:
            is_this = isinstance(path, Path) and backup.path.resolve() == path.resolve()
        if is_this:
            problem = found.problems[0] if found.problem_count else ""
            Backup.objects.filter(pk=backup.pk).update(verified_at=None if problem else timezone.now(), problem=problem)


def describe(result: dict[str, Any]) -> str:
    """Return the result of a backup as one line for people."""
    counts = ", ".join(f"{result[name]:,} {name}" for name in ("albums", "notes", "drafts", "ratings", "media"))
    text = f"{counts} in {result['path']}, verified"
    return f"{text}; {result['problem_count']:,} things could not be read" if result["problem_count"] else text
