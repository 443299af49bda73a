"""Ask for a restore: compare a backup with what is here, then put it back. The one way for API, page and command."""

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.db import transaction

from accounts.models import User
from catalog.sources.s3_keys import SCHEME
from exports.bundle.files import BundleFiles, open_bundle
from exports.models import Backup, Restore
from exports.refusals import ExportRefused
from exports.restore.texts import possible
from operations.models import Operation
from operations.running import start
from photolala.lib.files import atomic_write
from photolala.lib.paths import escape_path, unescape_path

KIND = "restore_backup"
MOST_KEPT = 20
LARGEST_SENT_BYTES = 32 << 20
"""What the server takes as one body."""
_SIGNATURE = b"PK"


def start_restore(
    user: User, path: Path, mode: str, *, is_dry_run: bool, enqueue: bool = True, name: str = ""
) -> Restore:
    """Begin to compare, or to put back, the backup at `path`, which the caller found to be the user's to read.

    Raises ExportRefused, and AlreadyActive if a restore of this person is under way.
    """
    real = os.path.realpath(os.fsencode(path))
    restore = Restore(
        user=user,
        mode=_mode(mode),
        is_dry_run=is_dry_run,
        source=escape_path(real),
        source_name=possible(name or path.name)[:255],
    )
    return _start(restore, enqueue=enqueue)


def start_from_bucket(
    user: User, uri: str, mode: str, *, is_dry_run: bool, enqueue: bool = True, name: str = ""
) -> Restore:
    """The same for a backup at `s3://…`."""
    restore = Restore(
        user=user,
        mode=_mode(mode),
        is_dry_run=is_dry_run,
        source=uri,
        source_name=possible(name or uri.rpartition("/")[2])[:255],
    )
    return _start(restore, enqueue=enqueue)


def start_of_backup(user: User, backup: Backup, mode: str, *, is_dry_run: bool = True) -> Restore:
    """Begin to compare, or to put back, a backup that the user sees, of the server or in a bucket. As `start_restore`."""
    if backup.completed_at is None or not backup.is_managed:
        raise ExportRefused("This backup is not finished, or is kept elsewhere. Nothing was started.", "not_finished")
    if backup.is_encrypted:
        raise ExportRefused(
            "This backup is encrypted, and the server has no key to it. Decrypt it with age and send the ZIP, or use the command "
            "`restore` with the passphrase. Nothing was started.",
            "encrypted",
        )
    if backup.is_in_bucket:
        return start_from_bucket(user, backup.address, mode, is_dry_run=is_dry_run)
    return start_restore(user, backup.path, mode, is_dry_run=is_dry_run)


def start_sent(user: User, chunks: Iterable[bytes], name: str, mode: str, *, is_dry_run: bool = True) -> Restore:
    """Keep a ZIP that the user sends, and begin to compare it, or to put it back. Raises as `start_restore`; OSError."""
    if Restore.objects.filter(user=user, source="", completed_at=None).count() >= MOST_KEPT:
        raise ExportRefused(
            f"{MOST_KEPT} backups that you sent wait to be restored. Delete one of them first. Nothing was kept.",
            "too_many",
        )
    restore = Restore(
        user=user, mode=_mode(mode), is_dry_run=is_dry_run, source_name=possible(name)[-255:] or "backup.zip"
    )
    restore.folder.mkdir(parents=True, exist_ok=True)
    try:
        atomic_write(restore.sent_file, _bounded(chunks), mode=0o600)
        return _start(restore)
    except BaseException:
        shutil.rmtree(restore.folder, ignore_errors=True)
        raise


def confirm(restore: Restore, mode: str | None = None) -> Restore:
    """Put back what was compared. Raises ExportRefused unless that is done, and AlreadyActive."""
    with transaction.atomic():
        held = Restore.objects.select_for_update(of=("self",)).select_related("operation").get(pk=restore.pk)
        if not held.can_be_confirmed:
            raise ExportRefused(
                "This backup is being compared or restored, or was restored already. Nothing was started.", "at_work"
            )
        if mode is not None and mode != held.mode:
            raise ExportRefused(
                "It was compared for the other mode: compare it anew, to see what that changes. Nothing was started.",
                "other_mode",
            )
        held.is_dry_run = False
        return _start(held)


def forget(restore: Restore) -> None:
    """Delete a restore, and the ZIP that was sent for it; what it put back stays. Raises ExportRefused while it is at work."""
    folder = restore.folder
    with transaction.atomic():
        held = Restore.objects.select_for_update(of=("self",)).select_related("operation").filter(pk=restore.pk).first()
        operation = held.operation if held is not None else None
        if operation is not None and operation.is_active:
            raise ExportRefused("This restore is still at work. Cancel it first. Nothing was deleted.", "at_work")
        if operation is not None:
            Operation.objects.filter(pk=operation.pk).update(superseded=True)
        if held is not None:
            held.delete()
    shutil.rmtree(folder, ignore_errors=True)  # what is left if this fails has no row: the schedule deletes it


def opened(restore: Restore, scratch: Path) -> BundleFiles:
    """Return the files of its backup; `scratch` is a folder for what is unpacked. Raises BundleRefused, OSError."""
    if restore.source.startswith(SCHEME):
        from exports.destinations.bucket_backups import open_bucket_bundle

        return open_bucket_bundle(restore.source)
    return open_bundle(path_of(restore), scratch)


def path_of(restore: Restore) -> Path:
    """Return where its backup is, if it is on a disk."""
    return Path(os.fsdecode(unescape_path(restore.source))) if restore.source else restore.sent_file


def working_folder_of(restore: Restore) -> Path:
    """Return the folder for what is unpacked while it is at work."""
    return Path(settings.DATA_DIR) / "working" / f"restore-{restore.pk}"


def _start(restore: Restore, *, enqueue: bool = True) -> Restore:
    with transaction.atomic():
        restore.operation = start(
            KIND,
            restore.user,
            subject=restore.source_name,
            active_key=f"{KIND}:{hashlib.sha256(restore.user.pk.bytes).hexdigest()[:40]}",
            params={"restore": str(restore.pk)},
            unit="entries",
            enqueue=enqueue,
        )
        restore.save()
    return restore


def _mode(mode: str) -> str:
    if mode not in Restore.Mode.values:
        raise ExportRefused("The mode is merge or replace. Nothing was started.", "bad_mode")
    return mode


def _bounded(chunks: Iterable[bytes]) -> Iterable[bytes]:
    """Yield what is sent. Raises ExportRefused for what is no ZIP, or larger than is kept."""
    size = 0
    for chunk in chunks:
        if not size and not chunk.startswith(_SIGNATURE):
            raise ExportRefused(
                "This is no ZIP file. Send the backup as it was downloaded. Nothing was kept.", "no_backup"
            )
        size += len(chunk)
        if size > LARGEST_SENT_BYTES:
            raise ExportRefused(
                f"A backup of up to {LARGEST_SENT_BYTES >> 20} MiB can be sent; a larger one is restored by the command "
                "`restore` on the server. Nothing was kept.",
                "too_large",
            )
        yield chunk
    if not size:
        raise ExportRefused("The file is empty. Nothing was kept.", "no_backup")
