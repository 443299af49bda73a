"""The media store: files that people attach to notes and drafts, each person's apart, by their MD5."""

import hashlib
import io
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import Storage, storages
from django.utils import timezone

from catalog.albums.refusals import Refused
from catalog.entries.quota import holding, room_for
from catalog.models import Media
from operations import clock
from photolala.web.refusals import NotThere, Unavailable

logger = logging.getLogger(__name__)
LARGEST_BYTES = 32 * 1024 * 1024
"""What the server takes as one body. A larger video is put into a library and attached as a photo."""
KEPT_FOR = timedelta(days=30)
TYPES = frozenset(
    {
        *(f"image/{name}" for name in ("jpeg", "png", "gif", "webp", "avif", "heic", "heif", "tiff")),
        *(f"video/{name}" for name in ("mp4", "quicktime", "webm", "3gpp")),
        *(f"audio/{name}" for name in ("mpeg", "mp4", "aac", "ogg", "wav", "webm", "flac")),
    }
)
_BLOCK_BYTES = 1 << 20


def storage() -> Storage:
    """Return the media store: a folder, or a bucket."""
    return storages["media"]


def name_of(owner_id: Any, md5: str) -> str:
    """Return where a file is kept in the store."""
    return f"{owner_id}/{md5[:2]}/{md5}"


def keep(user: Any, read: Callable[[int], bytes], media_type: str, md5: str = "") -> Media:
    """Keep a file that `user` sends, read by `read(bytes)`; the same content again is the same file.

    It counts in the user's quota. Nothing holds it yet: unless something does, it is removed after 30 days. Raises Refused
    if it is empty, too large, no picture, video or sound, not the content of `md5`, or if there is no room.
    """
    if media_type not in TYPES:
        raise Refused("invalid", f"Pictures, videos and sound can be attached: one of {', '.join(sorted(TYPES))}.")
    with _spooled(read) as (file, size_bytes, found):
        if md5 and md5 != found:
            raise Refused("invalid", "The file was damaged on its way: its MD5 is another. Send it again.", field="md5")
        with holding(user):
            media = Media.objects.filter(owner=user, md5=found).first()
            if media is None:
                room = room_for(user.pk)
                if room is not None and size_bytes > room:
                    raise Refused("quota", "There is no room left in your quota for this file. Nothing was changed.")
                media = Media(
                    owner=user, md5=found, media_type=media_type, size_bytes=size_bytes, unused_since=timezone.now()
                )
                media.save()
            elif media.unused_since is not None:
                Media.objects.filter(pk=media.pk).update(unused_since=timezone.now())
            name = name_of(user.pk, found)
            if not storage().exists(name):
                storage().save(name, File(file))
    return media


def opened(media: Media) -> tuple[BinaryIO, bytes | None]:
    """Return a file of the store, whole and open for reading, and its path on this machine if it has one."""
    name = name_of(media.owner_id, media.md5)
    try:
        path = storage().path(name)
    except NotImplementedError:  # a bucket
        return _fetched(media, name), None
    try:
        return open(path, "rb"), os.fsencode(path)
    except FileNotFoundError:
        raise _is_gone() from None
    except OSError:
        raise _is_away() from None


def remove_unused(now: datetime | None = None) -> int:
    """Remove files that nothing has held for 30 days. For the schedule; while the clock is suspect nothing is removed."""
    if now is None and clock.is_suspect():
        return 0
    before = clock.time_ago(KEPT_FOR, now)
    removed = 0
    for media in Media.objects.filter(unused_since__lte=before).select_related("owner"):
        with holding(media.owner):
            unused = Media.objects.filter(pk=media.pk, unused_since__lte=before, attached_to=None)
            if not unused.exists():
                continue
            storage().delete(name_of(media.owner_id, media.md5))  # before its row: a row finds what a failure left
            unused.delete()
            removed += 1
    return removed


def let_go(kept: Iterable[Media]) -> int:
    """Remove files that were kept for something that failed, unless something holds them or somebody sent them since.

    Returns how many were removed.
    """
    removed = 0
    for media in kept:
        with holding(media.owner):
            unused = Media.objects.filter(pk=media.pk, unused_since=media.unused_since, attached_to=None)
            if media.unused_since is None or not unused.exists():
                continue
            remove([name_of(media.owner_id, media.md5)])
            unused.delete()
            removed += 1
    return removed


def remove(names: Iterable[str]) -> None:
    """Remove files of a user who was deleted; one that cannot be removed now is left, and said in the log."""
    for name in names:
        try:
            storage().delete(name)
        except Exception:
            logger.warning("%s could not be removed from the media store.", name, exc_info=True)


@contextmanager
def _spooled(read: Callable[[int], bytes]) -> Iterator[tuple[BinaryIO, int, str]]:
    """Give what is read as a file, its size and its MD5."""
    Path(settings.UPLOADS_DIR).mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.md5(usedforsecurity=False), 0
    with tempfile.TemporaryFile(dir=settings.UPLOADS_DIR) as file:
        while block := read(_BLOCK_BYTES):
            size += len(block)
            if size > LARGEST_BYTES:
                raise Refused("too_large", f"A file may have {LARGEST_BYTES:,} bytes at most. Nothing was kept.")
            digest.update(block)
            file.write(block)
        if not size:
            raise Refused("invalid", "The file is empty. Nothing was kept.")
        file.seek(0)
        yield file, size, digest.hexdigest()


def _fetched(media: Media, name: str) -> BinaryIO:
    """Return a whole object of a bucket, so that nothing breaks off half-way to the person."""
    try:
        with storage().open(name) as file:
            content: bytes = file.read()
    except FileNotFoundError:
        raise _is_gone() from None
    except Exception:  # noqa: BLE001 - each storage has its own kinds of errors
        raise _is_away() from None
    if len(content) != media.size_bytes:
        raise _is_away()
    return io.BytesIO(content)


def _is_gone() -> NotThere:
    return NotThere("This file is not in the media store any more. Tell the server's administrator.", "file_gone")


def _is_away() -> Unavailable:
    return Unavailable("The media store does not answer. Nothing is lost; try again in a minute.", wait_seconds=60)
