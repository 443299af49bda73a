"""Make a picture of an original that the cache has not, and open that original as the catalog knows it."""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from catalog.browsing.stored import Stored
from catalog.entries import read_here
from catalog.entries.previews import PREVIEW_EDGE_PX, DecoderBusy, decoder
from catalog.media.task import Job
from catalog.models import Photo, TrashItem
from catalog.roots.reach import source_for
from catalog.roots.trash_folder import folder_of_item
from catalog.sources.base import FileChanged, NotARegularFile, Source, SourceUnavailable
from photolala.lib.digests import md5_of_descriptor
from photolala.web.refusals import Conflict, NotThere, Unavailable

LARGEST_HASHED_BYTES = 256 * 1024 * 1024


def make_thumbnail(photo: Stored) -> bytes:
    """Return a 256 px JPEG of the file, if it is the one that is known by its MD5. Raises problems."""
    found = _decode(photo, decoder.digest)
    if found.photo_md5 and found.photo_md5 != photo.photo_md5:
        raise _other_content(photo)
    if found.thumbnail is None or not found.photo_md5:
        raise NotThere(found.problem or "No thumbnail could be made of this file.", "no_picture")
    _note_read(photo)
    return found.thumbnail


def make_preview(photo: Stored) -> bytes:
    """Return a JPEG of at most 1,600 px of the file as the catalog knows it. Raises problems."""
    found = _decode(photo, partial(decoder.preview, edge_px=PREVIEW_EDGE_PX), is_shared=is_kept(photo))
    if found.picture is None:
        raise NotThere(found.problem or "No picture could be made of this file.", "no_picture")
    return found.picture


def is_kept(photo: Stored) -> bool:
    """Tell whether a preview may go into the cache, where everybody's photos of the same MD5 find it."""
    return bool(photo.photo_md5) and photo.size_bytes <= LARGEST_HASHED_BYTES


def open_as_known(photo: Stored, *, is_shared: bool = False) -> int:
    """Return a descriptor of the file as the catalog knows it, for the caller to close. Raises problems.

    What will be shared by MD5 is made of bytes that have that MD5 (`is_shared`): size and time of a file can be forged.
    """
    source = source_for(photo.library)
    try:
        descriptor = open_original(source, photo, as_known=True)
    finally:
        source.close()
    if is_shared:
        if md5_of_descriptor(descriptor) != photo.photo_md5:
            os.close(descriptor)
            raise _other_content(photo)
        _note_read(photo)
    return descriptor


def _decode(photo: Stored, verb: Callable[[Job], Any], *, is_shared: bool = False) -> Any:
    """Open the file as the catalog knows it and hand it to the decoder. Raises problems."""
    descriptor = open_as_known(photo, is_shared=is_shared)
    # The pool closes what it opens, and opens again when a decoder crashed on it: hence the copies.
    params = {"zone": photo.library.time_zone, "mtime_ns": photo.mtime_ns, "size_bytes": photo.size_bytes}
    try:
        return verb(Job(photo.path, photo.filename, partial(os.dup, descriptor), params))
    except DecoderBusy:
        raise Unavailable(
            "Many pictures are being made just now. Try again in a moment.", "busy", wait_seconds=3
        ) from None
    finally:
        os.close(descriptor)


def open_original(source: Source, photo: Stored, *, as_known: bool = False) -> int:
    """Return a descriptor of the photo's file, or raise the problem that says why there is none."""
    try:
        return source.open(photo.path, expected=(photo.size_bytes, photo.mtime_ns) if as_known else None)
    except FileChanged:
        raise _changed(photo) from None
    except (FileNotFoundError, NotADirectoryError, NotARegularFile, ValueError):
        if as_known and photo.state == Photo.State.MISSING:
            descriptor = _opened_in_trash(source, photo)
            if descriptor is not None:
                return descriptor
        if not _is_reachable(source):
            raise Unavailable(
                "The folder of this library cannot be reached. Is its disk or share mounted? Nothing is lost.",
                "root_unavailable",
                wait_seconds=60,
            ) from None
        raise NotThere(
            f"The file {photo.told_path} is not in its place. A scan of the library will find it if it was moved.",
            "file_gone",
        ) from None
    except OSError as error:
        raise Unavailable(
            f"The file {photo.told_path} cannot be read now: {error.strerror}.", "unreadable", wait_seconds=60
        ) from None


def _opened_in_trash(source: Source, photo: Stored) -> int | None:
    """Return a descriptor of a deleted photo's file as the catalog knows it; None if it is not in the trash."""
    item = TrashItem.objects.filter(photo=photo.pk).first()
    if item is None:
        return None
    path = f"{folder_of_item(item)}/{item.filename}"
    with suppress(OSError, ValueError):  # FileChanged is one, too
        return source.open(path, expected=(photo.size_bytes, photo.mtime_ns))
    return None


def _is_reachable(source: Source) -> bool:
    try:
        source.check()
    except SourceUnavailable:
        return False
    return True


def _changed(photo: Stored) -> Conflict:
    return Conflict(
        f"The file {photo.told_path} has changed since it was scanned. Scan the library again.", "file_changed"
    )


def _note_read(photo: Stored) -> None:
    if photo.read_md5 != photo.photo_md5:
        read_here.note_read(photo.pk, photo.photo_md5)


def _other_content(photo: Stored) -> Conflict:
    """Return the problem of a file of the known size and time that has another MD5; the next scan reads it."""
    read_here.note_other_content(photo.library, photo.pk, photo.photo_md5)
    return _changed(photo)
