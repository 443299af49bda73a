"""Reads all of a backup again, and says what is wrong with it."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from exports.bundle.files import open_bundle
from exports.bundle.layout import MANIFEST_NAME
from exports.bundle.lists import BundleRefused, InvalidBundle
from exports.bundle.verify import Verified, raise_if_no_room, verify
from exports.models import Backup
from operations.kinds import operation_kind
from operations.running import OperationFailed, Run

from .folder import READ_BYTES
from .issues import as_problems


def scratch_folder() -> Path:
    """Return the folder for what is unpacked of a ZIP while it is read: files without a name, gone when they are closed."""
    return Path(settings.DATA_DIR) / "working"


def nothing() -> None:
    """Do nothing."""


def verify_backup(
    backup: Backup,
    *,
    is_quick: bool = False,
    on_chunk: Callable[[], None] = nothing,
    on_file: Callable[[], None] = nothing,
) -> Verified:
    """Read all of a finished backup; of an encrypted one the bytes that were written. What cannot be read is a problem.

    `is_quick`: of one in a bucket, attached files whose MD5 the server tells are not read.
    """
    try:
        if backup.is_in_bucket:
            from .bucket import verify_in_bucket

            return verify_in_bucket(backup, is_quick=is_quick, on_chunk=on_chunk, on_file=on_file)
        if backup.packaging == Backup.Packaging.ZIP and _sha256(backup, on_chunk) != backup.sha256:
            return _only("Its bytes are not those that were written: the backup is damaged.")
        if backup.is_encrypted:
            return Verified()
        if backup.packaging == Backup.Packaging.FOLDER and not _has_its_manifest(backup):
            return _only(f"Its {MANIFEST_NAME} is not the one that was written: the backup is damaged.")
        with open_bundle(backup.path, scratch_folder()) as files:
            return verify(files, on_chunk=on_chunk, on_file=on_file)
    except FileNotFoundError:
        return _only("Its files are not there any more.")
    except InvalidBundle as error:
        is_gone = isinstance(error, BundleRefused) and error.code == "not_there"
        return _only("Its files are not there any more." if is_gone else str(error))
    except OSError as error:
        raise_if_no_room(error)
        return _only(f"It cannot be read: {error.strerror or error}.")


@operation_kind("verify_backup", label="Verification of a backup", queue="export")
def run_verification(run: Run) -> dict[str, Any]:
    """Verify the backup that names this operation, and note how it is. Changes nothing else."""
    backup = Backup.objects.filter(pk=run.params["backup"], completed_at__isnull=False).first()
    if backup is None:
        raise OperationFailed("This backup is not there any more.", "deleted")
    run.phase("Verifying", unit="files")

    def stop_if_asked() -> None:
        run.checkpoint(force=False, is_lasting=False)

    found = verify_backup(backup, on_chunk=stop_if_asked, on_file=run.advance)
    verified_at = None if found.problem_count else timezone.now()
    problem = found.problems[0] if found.problem_count else ""
    Backup.objects.filter(pk=backup.pk).update(verified_at=verified_at, problem=problem)
    return {
        "backup": str(backup.pk),
        "operation": str(run.operation.pk),
        "files": found.file_count,
        "size_bytes": found.size_bytes,
        "failed": found.problem_count,
        "problem_count": found.problem_count,
        "problems": as_problems(found.problems),
    }


def _only(problem: str) -> Verified:
    found = Verified()
    found.add(problem)
    return found


def _has_its_manifest(backup: Backup) -> bool:
    return hashlib.sha256((backup.path / MANIFEST_NAME).read_bytes()).hexdigest() == backup.sha256


def _sha256(backup: Backup, on_chunk: Callable[[], None]) -> str:
    digest = hashlib.sha256()
    with backup.path.open("rb", buffering=0) as file:
        while chunk := file.read(READ_BYTES):
            on_chunk()
            digest.update(chunk)
    return digest.hexdigest()
