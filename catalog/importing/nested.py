"""ZIP archives inside a ZIP archive, as iCloud packs shared albums: each is unpacked once and becomes an import of its own."""

import os
from datetime import timedelta
from uuid import UUID, uuid5

from django.db import transaction
from django.utils import timezone

from catalog.importing.origins import Origin
from catalog.importing.reasons import Reason, reason_for_failure
from catalog.importing.requests import KEEP_REJECTED
from catalog.importing.reservations import room_of
from catalog.importing.staging import staged_path
from catalog.models import Import, ImportItem, Upload
from catalog.sources.archive_list import UNPACK_IT
from catalog.sources.hidden import require_room_beside
from operations.running import Run
from photolala.lib.files import fsync_directory

MOST_NESTED = 200
"""More archives in one are not looked into."""
_COPY_BYTES = 1024 * 1024


class NotTaken(Exception):
    """The archive is not looked into."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.sentence)
        self.reason = reason


def is_nested(wanted: Import) -> bool:
    """True for an archive that was found in another one: what archives it holds itself stay packed."""
    return wanted.kind == Import.Kind.ARCHIVE and wanted.archive is not None and "/" in wanted.source


def take_nested(run: Run, wanted: Import, origin: Origin, item: ImportItem, number: int) -> None:
    """Unpack the archive that `item` is, and make an import of it, of the same export. Safe to repeat; raises NotTaken.

    It lies where sent archives lie, and goes as these do when its import has ended.
    """
    if is_nested(wanted) or number > MOST_NESTED:
        sentence = f"It is an archive within an archive within an archive, or one of very many. {UNPACK_IT}"
        raise NotTaken(Reason("unsupported", sentence))
    key = uuid5(wanted.pk, f"archive:{item.path}")
    if Import.objects.filter(pk=key).exists():
        return
    room = room_of(wanted.library)
    if room is not None and item.size_bytes > room:
        sentence = "The owner of the library has no room left in their quota for what this archive holds."
        raise NotTaken(Reason("quota", sentence))
    try:
        _stage(run, wanted, origin, item, key)
    except OSError as error:
        staged_path(wanted.user_id, key).unlink(missing_ok=True)
        raise NotTaken(_why_not(error)) from None
    now = timezone.now()
    with transaction.atomic():
        Upload.objects.update_or_create(
            pk=key,
            defaults={
                "user": wanted.user, "import_run": wanted, "directory": item.directory, "filename": item.filename,
                "size_bytes": item.size_bytes, "mtime_ns": item.mtime_ns, "completed_at": now,
                "expires_at": now + KEEP_REJECTED + timedelta(days=1),
            },
        )  # fmt: skip
        Import.objects.create(
            pk=key, library=wanted.library, user=wanted.user, kind=Import.Kind.ARCHIVE, archive=key,
            source=f"{wanted.source}/{item.path}", layout=wanted.layout, export=wanted.export,
            people_as_keywords=wanted.people_as_keywords,
        )  # fmt: skip
        run.checkpoint(stop=False)
    run.raise_if_stopped()


def _why_not(error: OSError) -> Reason:
    reason = reason_for_failure(error, None)
    if reason.code == "no_space":
        sentence = (
            "The server's disk has no room for what this archive holds. Free some, then try again. Nothing was changed."
        )
        return reason._replace(sentence=sentence)
    sentence = f"This archive could not be unpacked: {error.strerror or error}. Nothing was changed."
    return reason._replace(sentence=sentence)


def _stage(run: Run, wanted: Import, origin: Origin, item: ImportItem, key: UUID) -> None:
    """Put the bytes of the archive where what people send lies, whole and on the disk. Raises OSError."""
    target = staged_path(wanted.user_id, key)
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(origin.open(item), "rb") as packed:
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            require_room_beside(folder, item.size_bytes)
        finally:
            os.close(folder)
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as copy:
            while piece := packed.read(_COPY_BYTES):
                copy.write(piece)
                run.checkpoint(force=False, is_lasting=False)
            copy.flush()
            os.fsync(copy.fileno())
    fsync_directory(target.parent)
    origin.forget(item)
