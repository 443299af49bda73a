"""`restore`: put a backup back, or say what that would change, in the foreground, without a worker."""

import os
import tempfile
from pathlib import Path
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User
from catalog.sources.s3_keys import SCHEME
from exports.backup.encryption import BadKey, decrypt
from exports.models import Restore
from exports.refusals import ExportRefused
from exports.restore.requests import path_of, start_from_bucket, start_restore
from operations.foreground import add_foreground_arguments, left_behind, run_in_foreground
from operations.running import AlreadyActive

from .backup import fetch_encrypted, read_passphrase


class Command(BaseCommand):
    """Restores a backup as a person. Ctrl-C leaves what is here as it was, and a resumable operation."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare PATH, --user, --mode, --dry-run and --json."""
        parser.add_argument(
            "path", metavar="PATH", help="The backup: a folder, .zip or .zip.age, or s3://…/Backups/NAME."
        )
        parser.add_argument(
            "--user", required=True, metavar="NAME", help="As whom: a backup of the server, as an administrator."
        )
        parser.add_argument(
            "--mode", required=True, choices=Restore.Mode.values, help="What is here: merge or replace."
        )
        parser.add_argument("--dry-run", action="store_true", help="Only say what would change.")
        parser.add_argument(
            "--passphrase-file",
            metavar="FILE",
            help="Of an encrypted backup, whose key file is beside it; - asks for it.",
        )
        add_foreground_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Restore, print the result, and exit 0 (done), 1 (failures), 2 (wrong usage) or 130 (interrupted)."""
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['user']!r}. Nothing was restored.", returncode=2)
        if options["path"].startswith(SCHEME):
            self._from_bucket(user, options["path"], options)
            return
        path = Path(options["path"]).expanduser()
        if not path.exists():
            raise CommandError(f"There is no backup at {path}. Nothing was restored.", returncode=2)
        if path.suffix != ".age":
            self._restore(user, path, options)
            return
        if not options["passphrase_file"]:
            raise CommandError("It is encrypted: give --passphrase-file. Nothing was restored.", returncode=2)
        working = Path(settings.DATA_DIR) / "working"
        working.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=working, prefix="restore-") as scratch:
            self._restore(user, decrypted(path, Path(scratch), options["passphrase_file"]), options)

    def _from_bucket(self, user: User, uri: str, options: dict[str, Any]) -> None:
        if not uri.endswith(".age"):
            self._restore(user, uri, options)
            return
        if not options["passphrase_file"]:
            raise CommandError("It is encrypted: give --passphrase-file. Nothing was restored.", returncode=2)
        working = Path(settings.DATA_DIR) / "working"
        working.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=working, prefix="restore-") as scratch:
            fetched = fetch_encrypted(uri, Path(scratch))
            self._restore(user, decrypted(fetched, Path(scratch), options["passphrase_file"]), options)

    def _restore(self, user: User, place: Path | str, options: dict[str, Any]) -> None:
        mode, is_dry_run = options["mode"], options["dry_run"]
        try:
            if isinstance(place, Path):
                operation = start_restore(user, place, mode, is_dry_run=is_dry_run, enqueue=False).operation
            else:
                operation = start_from_bucket(user, place, mode, is_dry_run=is_dry_run, enqueue=False).operation
        except AlreadyActive as running:
            same = Restore.objects.filter(operation=running.operation, mode=mode, is_dry_run=is_dry_run).first()
            if same is None or not _is_of(same, place):
                raise CommandError(
                    f"Another restore of this person is under way, or was killed (operation {running.operation.pk}): wait for "
                    "it, or cancel it. Nothing was restored."
                ) from None
            operation = left_behind(running.operation, "This backup is being restored")
        except ExportRefused as refused:
            raise CommandError(str(refused), returncode=2) from None
        assert operation is not None
        run_in_foreground(self, operation, as_json=options["json"], describe=describe)


def _is_of(restore: Restore, place: Path | str) -> bool:
    return restore.source == place if isinstance(place, str) else path_of(restore) == place.resolve()


def decrypted(path: Path, scratch: Path, passphrase_file: str) -> Path:
    """Return the ZIP in an encrypted backup. CommandError if it cannot be decrypted."""
    key_path = path.with_name(f"{path.name.removesuffix('.zip.age')}.key.age")
    plain = scratch / path.name.removesuffix(".age")
    try:
        descriptor = os.open(plain, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with path.open("rb") as source, open(descriptor, "wb") as target:
            passphrase = read_passphrase(passphrase_file)
            decrypt(cast(BinaryIO, source), target, key_path.read_text(), passphrase)
    except BadKey as error:
        raise CommandError(f"{error} Nothing was restored.", returncode=2) from None
    except OSError as error:
        raise CommandError(f"{path} cannot be decrypted: {error.strerror or error}.", returncode=2) from None
    return plain


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
