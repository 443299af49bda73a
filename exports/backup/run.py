"""The operation `backup`: writes a bundle of one moment, packs it, and reads all of it again."""

import errno
import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any, cast

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from catalog.albums.media import opened as opened_media
from changes.models import Epoch
from exports.bundle import layout
from exports.bundle.entries import MediaFile, Metadata, Stats
from exports.bundle.files import FolderFiles
from exports.bundle.layout import MEDIA_FOLDER, ListFile
from exports.bundle.verify import STATS, Verified, verify
from exports.ledger.errors import advice_for
from exports.models import Backup, Scope
from exports.reading.moment import one_moment
from operations.database_conflicts import is_transient
from operations.kinds import operation_kind
from operations.models import Operation, State
from operations.running import Interrupted, LeaseLost, OperationFailed, Run
from photolala.web.refusals import NotThere, Unavailable

from .folder import READ_BYTES, BackupFolder, WrongContent
from .issues import Issues, as_problems
from .media import HeldMedia, owners_of
from .packing import pack, remove_unfinished
from .places import place_of
from .records import ExportRecords
from .server import server_lists
from .space import check_space, earlier_of, require_few_files
from .things import Things
from .verify import verify_backup

logger = logging.getLogger(__name__)
APP_VERSION = "0.1.0"
DEVICE = "server"


@operation_kind("backup", label="Backup", queue="export")
def run_backup(run: Run) -> dict[str, Any]:
    """Make the backup that names this operation; safe to run again after any end, also of the process."""
    backup = Backup.objects.select_related("user").filter(pk=run.params["backup"]).first()
    if backup is None:
        raise OperationFailed("This backup was deleted; there is nothing to go on with.", "deleted")
    if backup.scope == Scope.SERVER and not (backup.user.is_active and backup.user.is_superuser):
        raise OperationFailed(
            "Only an administrator makes backups of the whole server. Nothing was written.", "administrators_only"
        )
    try:
        return BackupRun(run, backup).run_all()
    except OSError as error:
        code = "disk_space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "disk"
        raise OperationFailed(
            f"The backup could not be written to {_place_words(backup)} ({error.strerror or error}). Earlier backups are "
            f"as they were. {advice_for(error)}",
            code,
        ) from error


class BackupRun:
    """One run of a backup: everything goes to a partial folder, which gets its name, or is sent, at the very end."""

    def __init__(self, run: Run, backup: Backup) -> None:
        self.run, self.backup = run, backup
        self.clock = time.monotonic()
        self.issues = Issues()
        self.user: User | None = backup.user if backup.scope == Scope.PERSON else None
        self.stop_if_asked = partial(run.checkpoint, force=False, is_lasting=False)
        self.place = place_of(backup, self._require_mine)

    def run_all(self) -> dict[str, Any]:
        """Write, publish, verify; return the counts. What an earlier run published is verified only."""
        if not self.place.is_there():
            remove_unfinished(self.backup, before=self.run.token, with_folders=False)
            folder = self.place.new_folder(self.run.token, self.stop_if_asked)
            try:
                folder.begin()
                self._write(folder)
            except BaseException as error:
                if isinstance(error, OSError) and not self.run.still_mine():  # another run took the folder
                    raise LeaseLost from error
                if not (
                    isinstance(error, Interrupted | SystemExit | KeyboardInterrupt | LeaseLost) or is_transient(error)
                ):
                    folder.give_up()
                raise
        result = self._verify()
        self.place.settle()
        remove_unfinished(self.backup, before=self.run.token + 1)
        return result

    def _progress(self, fraction: float, words: str, total: int | None = None, unit: str = "entries") -> None:
        self.run.metrics["fraction"] = fraction
        self.run.phase(words, total=total, unit=unit)

    def _write(self, folder: BackupFolder) -> None:
        counts: dict[str, int] = {}
        with one_moment(folder.folder) as using:
            created = timezone.now()
            epoch = Epoch.objects.using(using).values_list("number", flat=True).first() or 0
            things = Things(self.user, using)
            records = ExportRecords(self.user, using, self.issues)
            lists: dict[ListFile, Callable[[], Iterator[Any]]] = {
                layout.LIBRARIES: things.libraries,
                layout.ALBUMS: things.albums,
                layout.ALBUM_ITEMS: things.album_items,
                layout.NOTES: things.notes,
                layout.DRAFTS: things.drafts,
                layout.RATINGS: things.rated_photos,
                layout.PHOTOS: things.photo_references,
                layout.WAITING: things.waiting_photos,
                layout.DESTINATIONS: records.destinations,
                layout.EXPORT_RECORDS: records.records,
                **(server_lists(using) if self.user is None else {}),
            }
            for file, entries_of in lists.items():
                if file in STEPS:
                    self._progress(*STEPS[file])
                counts[file.name] = folder.write_list(file, entries_of())
            held = sorted(things.media_paths.all(), key=lambda one: one.path)
        require_few_files(held)
        check_space(self.backup, held)
        media = self._copy_media(folder, held)
        counts[layout.MEDIA_MANIFEST.name] = len(media)
        metadata = self._metadata(created, epoch, counts)
        manifest = folder.finish(created, metadata, media, self.issues.text() if self.issues.count else "")
        self._publish(folder, manifest, metadata["stats"])

    def _copy_media(self, folder: BackupFolder, held: list[HeldMedia]) -> list[MediaFile]:
        """Copy each content once, or link it where an earlier backup has it; return what is there."""
        self._progress(0.7, "Copying media", total=len(held), unit="files")
        earlier = [backup.path / MEDIA_FOLDER for backup in earlier_of(self.backup)]
        media: list[MediaFile] = []
        for one in held:
            if folder.reuse_media(one.path, one.md5, one.size_bytes, earlier) or self._copy(folder, one):
                media.append(
                    {
                        "exportPath": one.path,
                        "sourceUri": f"media/{one.md5[:2]}/{one.md5}",
                        "photo_md5": one.md5,
                        "size_bytes": one.size_bytes,
                        "media_type": one.media_type,
                    }
                )
            self.run.advance()
            self.run.checkpoint(force=False)
        return media

    def _copy(self, folder: BackupFolder, one: HeldMedia) -> bool:
        """Copy a content from the first media store that gives it; else note why it is missing."""
        reason = "It is not in the media store any more."
        for media in owners_of(one.md5, self.user):
            try:
                file, _ = opened_media(media)
            except (NotThere, Unavailable) as refusal:
                reason = str(refusal.detail)
                continue
            with file:
                try:
                    folder.copy_media(one.path, one.md5, _chunks(file))
                except WrongContent as error:
                    reason = str(error)
                    continue
                except OSError as error:
                    if error.filename is not None or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                        raise
                    reason = f"It cannot be read: {error.strerror or error}."
                    continue
            return True
        logger.warning("Backup %s continues without the file %s: %s", self.backup.pk, one.md5, reason)
        self.issues.add(f"{MEDIA_FOLDER}/{one.path}: {reason}")
        return False

    def _metadata(self, created: datetime, epoch: int, counts: dict[str, int]) -> Metadata:
        user = self.backup.user
        stats = cast(Stats, {told: counts.get(name, 0) for name, told in STATS.items()})
        return {
            "version": layout.VERSION,
            "exportDate": layout.time_text(created),
            "userId": str(user.pk),
            "username": user.get_username(),
            "deviceId": DEVICE,
            "appVersion": APP_VERSION,
            "epoch": epoch,
            "scope": self.backup.scope,
            "stats": stats,
            "counts": counts,
        }

    def _publish(self, folder: BackupFolder, manifest: bytes, stats: Stats) -> None:
        """Give it its name; what it has is noted before, so that a backup that is there is known."""
        backup = self.backup
        counts = {
            "album_count": stats["albumCount"],
            "note_count": stats["noteCount"],
            "draft_count": stats["draftCount"],
            "rating_count": stats["ratingCount"],
            "media_count": stats["mediaCount"],
            "issue_count": self.issues.count,
        }
        if backup.packaging == Backup.Packaging.FOLDER:
            size = sum(file.size_bytes for file in folder.files) + len(manifest)
            self._note(**counts, size_bytes=size, sha256=hashlib.sha256(manifest).hexdigest())
            if backup.is_in_bucket:
                self._progress(0.8, "Sending")
            folder.publish(backup.path)
        else:
            if backup.is_encrypted:  # nobody here can read it afterwards
                self._progress(0.75, "Verifying", unit="files")
                with FolderFiles(folder.folder) as files:
                    self._require_whole(verify(files, on_chunk=self.stop_if_asked))
            self._progress(0.8, "Packing")
            packed = pack(backup, folder.folder, self.run.token, self.stop_if_asked)
            self._note(**counts, size_bytes=packed.size_bytes, sha256=packed.sha256)
            self.place.put_file(packed, self.stop_if_asked)
            folder.give_up()
        logger.info("Backup %s of user %s is written.", backup.pk, backup.user_id)

    def _note(self, **values: Any) -> None:
        """Write columns of the backup, if the operation is still this run's. Raises LeaseLost."""
        with transaction.atomic():
            mine = Operation.objects.select_for_update().filter(pk=self.run.operation.pk, token=self.run.token)
            if mine.filter(state=State.RUNNING).values_list("pk").first() is None:
                raise LeaseLost
            Backup.objects.filter(pk=self.backup.pk).update(**values)
        for name, value in values.items():
            setattr(self.backup, name, value)

    def _require_mine(self) -> None:
        if not self.run.still_mine():
            raise LeaseLost

    def _require_whole(self, found: Verified) -> None:
        if found.problem_count:
            raise OperationFailed(
                f"The backup was written, but it is not whole: {found.problems[0]} Check the disk and make another one.",
                "not_verified",
                problems=as_problems(found.problems),
                problem_count=found.problem_count,
            )

    def _verify(self) -> dict[str, Any]:
        """Read all of it again, and tell what it has."""
        backup = self.backup
        self._progress(0.9, "Verifying", unit="files")
        try:
            found = verify_backup(backup, is_quick=True, on_chunk=self.stop_if_asked, on_file=self.run.advance)
        except OSError as error:  # of the server's own disk: the backup is there, and can be verified later
            found = Verified()
            found.add(f"There was no room on the server to verify it ({error.strerror or error}).")
        completed_at = backup.completed_at or timezone.now()
        if found.problem_count:
            self._note(completed_at=completed_at, verified_at=None, problem=found.problems[0])
        self._require_whole(found)
        self._note(completed_at=completed_at, verified_at=timezone.now(), problem="")
        self.run.metrics["fraction"] = 1.0
        return {
            "backup": str(backup.pk),
            "operation": str(self.run.operation.pk),
            "path": backup.address,
            "albums": backup.album_count,
            "notes": backup.note_count,
            "drafts": backup.draft_count,
            "ratings": backup.rating_count,
            "media": backup.media_count,
            "size_bytes": backup.size_bytes,
            "seconds": round(time.monotonic() - self.clock, 3),
            "problem_count": backup.issue_count,
            "problems": self.issues.problems(),
        }


def _place_words(backup: Backup) -> str:
    return backup.parent if backup.is_in_bucket else str(backup.parent_folder)


STEPS: dict[ListFile, tuple[float, str]] = {
    layout.LIBRARIES: (0.1, "Collecting albums"),
    layout.NOTES: (0.3, "Collecting notes"),
    layout.DRAFTS: (0.5, "Collecting drafts"),
    layout.RATINGS: (0.7, "Preparing the backup"),
}
"""How far it is when the writing of a file begins, and what is said of it (S1-U13)."""


def _chunks(file: Any) -> Iterator[bytes]:
    while chunk := file.read(READ_BYTES):
        yield chunk
