"""Read the heads of entries that look unchanged: finds edits that kept a file's size and modification time."""

import hashlib
import os
import time
from collections.abc import Callable, Sequence

from django.db import transaction

from catalog.entries import known
from catalog.entries.folder_comparison import doubted, is_racy, will_settle
from catalog.entries.row_locks import hold_rows_of
from catalog.models import Library, Photo
from catalog.models.photo import HEAD_BYTES, PhotoQuerySet
from catalog.sources.base import Directory, Source
from photolala.lib.digests import md5_of_file
from photolala.lib.paths import join_path

FILES_PER_KEEPALIVE = 50
MOST_SETTLED = 20_000
"""Photos looked at once more in one scan; more than that in two seconds is left to the next scan."""


def altered_names(
    library: Library, source: Source, directory: Directory, names: Sequence[str], keepalive: Callable[[], None]
) -> list[str]:
    """Return those of `names` whose first 4,096 bytes are no longer those of the catalog, or cannot be read.

    `keepalive` is called every few files; it renews the lease, and raises to stop. Raises SourceUnavailable.
    """
    if not names:
        return []
    heads = known.known_heads(library, directory.path)
    altered = []
    for number, name in enumerate(names):
        if number % FILES_PER_KEEPALIVE == 0:
            keepalive()
        if _head_md5(source, directory.path_of(name)) != heads.get(name):
            altered.append(name)
    return altered


def settle_fresh(
    library: Library, source: Source, keepalive: Callable[[], None], fence: Callable[[], None] = lambda: None
) -> int:
    """Look once more at files that were read within two seconds of being written, as soon as those are over.

    What still has its size, time and MD5 is trusted from now on, so that the next scan need not open it; anything else,
    and photos with sidecars, are left to that scan. Returns how many are trusted. `keepalive` as above; `fence` is called in
    each transaction that writes, and raises if this run was overtaken.
    """
    fresh = Photo.objects.filter(library=library, sidecars=doubted("")).exclude(state=Photo.State.MISSING)
    columns = ("directory", "filename", "size_bytes", "mtime_ns")  # from the rescan's index alone
    settled = 0
    same: list[PhotoQuerySet] = []
    for directory, filename, size_bytes, mtime_ns in list(fresh.order_by().values_list(*columns)[:MOST_SETTLED]):
        while will_settle(mtime_ns, time.time_ns()):
            keepalive()
            time.sleep(0.1)
        path = join_path(directory, filename)
        photo_md5 = None if is_racy(mtime_ns, time.time_ns()) else _file_md5(source, path, (size_bytes, mtime_ns))
        if photo_md5:
            here = fresh.filter(directory=directory, filename=filename, photo_md5=photo_md5)
            same.append(here.filter(read_md5=photo_md5, size_bytes=size_bytes, mtime_ns=mtime_ns))
        if len(same) >= FILES_PER_KEEPALIVE:
            settled += _trust(same, fence)
            same = []
            keepalive()
    return settled + _trust(same, fence)


def _trust(photos: list[PhotoQuerySet], fence: Callable[[], None]) -> int:
    if not photos:
        return 0
    with transaction.atomic():
        hold_rows_of(photos)
        fence()
        return sum(one.update(sidecars="") for one in photos)


def _file_md5(source: Source, path: str, expected: tuple[int, int]) -> str | None:
    """Return the MD5 of a file that still has its size and time; None otherwise."""
    try:
        with open(source.open(path, expected=expected), "rb", buffering=0) as file:
            return md5_of_file(file)
    except OSError:
        return None


def _head_md5(source: Source, path: str) -> str | None:
    """Return the MD5 of a file's head; None if it cannot be read: why not, the survey finds out."""
    try:
        descriptor = source.open_head(path)
    except OSError:
        return None
    try:
        head = b""
        while len(head) < HEAD_BYTES and (more := os.pread(descriptor, HEAD_BYTES - len(head), len(head))):
            head += more
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return hashlib.md5(head).hexdigest()
