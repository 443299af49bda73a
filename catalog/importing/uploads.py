"""Files that are being sent in pieces: begin one, take a piece, end or drop it. The staged file's size is the truth."""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from accounts.models import User
from catalog.entries.quota import holding
from catalog.importing.finished_uploads import close_if_done, find_finished
from catalog.importing.requests import EXPIRES_AFTER, ImportRefused, open_batch, take_in
from catalog.importing.reservations import room_to_promise, room_to_send
from catalog.importing.staging import remove_staged, staged_path
from catalog.importing.upload_refusals import UploadRefused, checked_name, complete, gone, refuse_known
from catalog.models import FinishedUpload, Import, Library, Upload
from photolala.lib.files import fsync_directory

CHUNK_BYTES = 1024 * 1024
LEAST_FREE_BYTES = 256 * 1024 * 1024
_LOCK_ATTEMPTS, _LOCK_PAUSE_SECONDS = 20, 0.1
CHECKSUMS = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "md5": hashlib.md5}


def begin(
    user: User, wanted: Import, path: str, size_bytes: int, *, mtime_ns: int | None = None, md5: str = ""
) -> Upload:
    """Make room for a file of `size_bytes` that `user` is going to send into an open batch of theirs.

    `path` is its name, perhaps with folders, as on the device. `md5`, if it is known there: then a file that the library has,
    or its trash, is refused at once. Raises UploadRefused.
    """
    directory, filename = checked_name(path)
    refuse_known(wanted.library, md5)
    upload = Upload(
        user=user,
        import_run=wanted,
        directory=directory,
        filename=filename,
        sent_path=path,
        size_bytes=size_bytes,
        mtime_ns=mtime_ns if mtime_ns is not None else int(timezone.now().timestamp()) * 10**9,
        expires_at=timezone.now() + EXPIRES_AFTER,
    )
    _reserve(upload)  # a row without a file is seen and removed later; a file without a row would not be
    try:
        _make_staged(upload)
    except (UploadRefused, OSError):
        upload.delete()
        raise
    if not size_bytes:
        take_in(upload)
    return upload


def _reserve(upload: Upload) -> None:
    """Write the row, by which its bytes are reserved until it is removed. Raises UploadRefused if there is no room."""
    library = upload.import_run.library
    with holding(upload.user, library.owner):
        if upload.size_bytes > room_to_send(upload.user):
            raise UploadRefused(
                "You have as much under way as the server takes at once. Wait until it is imported, then send more.",
                "quota",
                413,
            )
        room = room_to_promise(library)
        if room is not None and upload.size_bytes > room:
            raise UploadRefused("The owner of the library has no room left in their quota.", "quota", 413)
        upload.save()


def _make_staged(upload: Upload) -> None:
    staged = staged_path(upload.user_id, upload.pk)
    staged.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(staged.parent).free < upload.size_bytes + LEAST_FREE_BYTES:
        raise UploadRefused("The server's disk has no room for this file. Tell its administrator.", "no_space", 507)
    os.close(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))


def find(user: User, upload_id: UUID) -> Upload | None:
    """Return the user's own upload, if it is under way or just done."""
    return (
        Upload.objects.filter(user=user, pk=upload_id).select_related("import_run__library", "import_run__user").first()
    )


def find_any(user: User, upload_id: UUID) -> Upload | FinishedUpload | None:
    """Return the user's own upload, under way or over, until it expires."""
    return find(user, upload_id) or find_finished(
        user, upload_id
    )  # in the order in which it passes from one to the other


def offset_of(upload: Upload) -> int:
    """Return how many bytes have arrived; 0 if the staged file is gone."""
    try:
        there = staged_path(upload.user_id, upload.pk).stat().st_size
    except FileNotFoundError:
        return 0
    return there if upload.unchecked_from is None else min(there, upload.unchecked_from)


def settle(upload: Upload) -> Upload:
    """Take in an upload whose bytes are whole, if the process that received the last of them died; return it as it is now.

    A piece that came with a checksum, and was not compared with it any more, is taken back. A file longer than it should be
    is none that was sent, and counts as nothing. While another connection is sending, nothing is changed.
    """
    if upload.completed_at is None:
        with suppress(UploadRefused), _locked(upload) as descriptor:
            there = _arrived(upload, descriptor)
            if there > upload.size_bytes:
                os.ftruncate(descriptor, 0)
            elif there == upload.size_bytes and upload.completed_at is None:
                _take_in(upload, descriptor)
        upload = find(upload.user, upload.pk) or upload
    return upload


def append(
    upload: Upload, offset: int, read: Callable[[int], bytes], length: int | None, checksum: tuple[str, bytes] | None
) -> int:
    """Add a piece that begins at `offset`, read by `read(bytes)`; return how far the file has come.

    What arrived before the connection broke is kept, unless the piece came with a checksum: then all of it counts, or none.
    Raises UploadRefused with what is wrong; the file is then as it was. The last piece makes it an item of its import.
    """
    with _locked(upload) as descriptor:
        there = _arrived(upload, descriptor)
        if upload.completed_at is not None:
            if offset == upload.size_bytes and not read(1):  # nothing more, where nothing more belongs
                return upload.size_bytes
            raise complete()
        if offset != there:
            raise UploadRefused(f"The file has come to byte {there:,}; this piece begins at {offset:,}.", "offset", 409)
        left = upload.size_bytes - there
        if length is not None and length > left:
            raise UploadRefused("The piece is longer than what is missing of the file.", "too_long", 413)
        digest = CHECKSUMS[checksum[0]](usedforsecurity=False) if checksum else None
        if digest:
            Upload.objects.filter(pk=upload.pk).update(unchecked_from=there)
        try:
            for chunk in _chunks(read, left):
                if digest:
                    digest.update(chunk)
                _write(descriptor, chunk)
        except OSError as error:
            os.ftruncate(descriptor, there)
            raise UploadRefused("The server's disk has no room for more of this file.", "no_space", 507) from error
        if digest and checksum and digest.digest() != checksum[1]:
            os.ftruncate(descriptor, there)
            raise UploadRefused("The piece was spoilt on its way; send it again.", "checksum", 460)
        now = os.fstat(descriptor).st_size
        os.fsync(descriptor)
        Upload.objects.filter(pk=upload.pk, completed_at=None).update(
            expires_at=timezone.now() + EXPIRES_AFTER, unchecked_from=None
        )
        if now == upload.size_bytes:
            _take_in(upload, descriptor)
    return now


def _arrived(upload: Upload, descriptor: int) -> int:
    """Return how far the locked file has come, by its row as it is now. Raises UploadRefused if that is gone."""
    row = Upload.objects.filter(pk=upload.pk).values_list("completed_at", "unchecked_from").first()
    if row is None:
        raise gone(upload)
    upload.completed_at, upload.unchecked_from = row
    there = os.fstat(descriptor).st_size
    if upload.completed_at is None and upload.unchecked_from is not None and upload.unchecked_from < there:
        os.ftruncate(descriptor, upload.unchecked_from)
        there = upload.unchecked_from
    return there


def _take_in(upload: Upload, descriptor: int) -> None:
    """Bring the bytes and the name of a whole file to the disk, and make it an item of its import."""
    os.fsync(descriptor)
    fsync_directory(staged_path(upload.user_id, upload.pk).parent)
    take_in(upload)


def drop(upload: Upload) -> None:
    """Give an unfinished upload up. Raises UploadRefused for one that is being imported."""
    if not Upload.objects.filter(pk=upload.pk, completed_at=None).delete()[0]:
        raise complete()
    remove_staged(upload.user_id, [upload.pk])
    close_if_done(Import.objects.filter(pk=upload.import_run_id))


@contextmanager
def _locked(upload: Upload) -> Iterator[int]:
    """Open the staged file for one writer at a time."""
    try:
        descriptor = os.open(
            staged_path(upload.user_id, upload.pk), os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        )
    except FileNotFoundError:
        raise gone(upload) from None
    try:
        for attempt in range(_LOCK_ATTEMPTS):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt + 1 == _LOCK_ATTEMPTS:
                    raise UploadRefused("Another connection is sending this file just now.", "locked", 423) from None
                time.sleep(_LOCK_PAUSE_SECONDS)  # a piece that has arrived is written in no time
        yield descriptor
    finally:
        os.close(descriptor)


def _chunks(read: Callable[[int], bytes], left: int) -> Iterator[bytes]:
    """Yield what arrives, no more than is `left`; a connection that breaks is an end like any other."""
    while left > 0:
        try:
            chunk = read(min(CHUNK_BYTES, left))
        except OSError:
            return
        if not chunk:
            return
        left -= len(chunk)
        yield chunk


def _write(descriptor: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]


def batch_for(user: User, import_id: UUID | None, library_id: UUID | None, layout: str) -> Import:
    """Return the open batch that was named, else a new one into the library that was. Raises UploadRefused.

    Files that come without one within an hour share a batch, so that a phone need not know of any.
    """
    mine = Import.objects.filter(
        user=user, kind=Import.Kind.UPLOAD, library__in=Library.objects.editable_by(user).values("pk")
    )
    mine = mine.select_related("library__owner", "user")
    if import_id is not None:
        found = mine.filter(pk=import_id).first()
        if found is None:
            raise UploadRefused("There is no such import of yours that takes files.", "not_found", 404)
        return found
    library = Library.objects.editable_by(user).filter(pk=library_id).first() if library_id else None
    if library is None:
        raise UploadRefused(
            "Say into which library: `library` in Upload-Metadata, one that you may change.", "not_found", 404
        )
    recent = mine.filter(library=library, layout=layout, people_as_keywords=False)
    recent = recent.filter(created_at__gt=timezone.now() - timedelta(hours=1))
    try:
        with holding(user):
            return recent.order_by("-created_at").first() or open_batch(library, user, layout)
    except ImportRefused as refused:
        raise UploadRefused(str(refused), "impossible", 422) from None
