"""Read, keep and forget objects of the cache tree for people who wait: a cache that is away is said, and waited for once only."""

import hashlib
import logging
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage

from catalog.cache import tree
from catalog.sources.s3_keys import md5_in_etag
from photolala.web.ranges import opened
from photolala.web.refusals import Unavailable

logger = logging.getLogger(__name__)
AWAY_SECONDS = 10.0
"""So long nobody waits for a storage that has just failed."""
WAIT_SECONDS = 30
_BLOCK_BYTES = 1 << 20


class CacheAway(Exception):
    """The cache cannot be read now, or gave something else than the whole object."""


@dataclass(frozen=True, slots=True)
class Cached:
    """An object of the cache tree, open for reading, and its path on this machine if it has one."""

    file: BinaryIO
    size_bytes: int
    path: bytes | None


class _Away:
    """Which storage failed last, and until when it is left alone."""

    def __init__(self) -> None:
        self._storage: Storage | None = None
        self._until = 0.0

    def note(self, storage: Storage) -> None:
        self._storage, self._until = storage, time.monotonic() + AWAY_SECONDS

    def is_it(self, storage: Storage) -> bool:
        return self._storage is storage and time.monotonic() < self._until


_away = _Away()


def open_cached(name: str) -> Cached | None:
    """Return an object, for the caller to close; None if it is not there, or empty. Raises CacheAway."""
    storage = tree.cache()
    try:
        path = storage.path(name)
    except NotImplementedError:  # an object store
        return _fetched(storage, name)
    try:
        file = opened(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        logger.warning("The cache tree cannot be read: %s", error)
        raise CacheAway from None
    size = os.fstat(file.fileno()).st_size
    if size == 0:  # what a power cut may leave
        file.close()
        return None
    return Cached(file, size, os.fsencode(path))


def keep(name: str, content: bytes) -> None:
    """Store an object if that can be; a full disk is no reason not to show what is at hand."""
    storage = tree.cache()
    if _away.is_it(storage):
        return
    try:
        storage.save(name, ContentFile(content))
    except Exception as error:  # noqa: BLE001 - each storage has its own kinds of errors
        _note(storage, f"{name} cannot be written", error)


def has(name: str) -> bool:
    """True if the object is there and not empty. Raises CacheAway."""
    storage = tree.cache()
    if _away.is_it(storage):
        raise CacheAway
    try:
        return bool(storage.size(name))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except Exception as error:  # noqa: BLE001 - each storage has its own kinds of errors
        if _is_not_there(error):
            return False
        _note(storage, f"{name} cannot be asked for", error)
        raise CacheAway from None


def forget(names: Iterable[str]) -> None:
    """Delete objects that nothing names any more, as far as that can be; `doctor` finds what stays."""
    storage = tree.cache()
    for name in names:
        if _away.is_it(storage):
            return
        try:
            storage.delete(name)
        except Exception as error:  # noqa: BLE001 - each storage has its own kinds of errors
            _note(storage, f"{name} cannot be deleted", error)


def away() -> Unavailable:
    """Return the problem to raise where nothing can be shown without the cache."""
    return Unavailable(
        "The store of thumbnails and previews does not answer just now. Nothing is lost; try again in a moment.",
        "cache_unavailable",
        wait_seconds=WAIT_SECONDS,
    )


def _fetched(storage: Storage, name: str) -> Cached | None:
    """Fetch the whole object before anything of it is sent: what breaks off, or differs from its ETag, is no object."""
    if _away.is_it(storage):
        raise CacheAway
    try:
        remote: Any = storage.open(name, "rb")
        size = remote.size
        if not size:
            remote.close()
            return None
        arrived, digest = 0, hashlib.md5(usedforsecurity=False)
        while block := remote.read(_BLOCK_BYTES):
            arrived += len(block)
            digest.update(block)
        told = _told_md5(remote)
        if arrived != size or told not in ("", digest.hexdigest()):
            logger.warning("The cache tree gave another object than %s, or a part of it.", name)
            remote.close()
            raise CacheAway
        remote.seek(0)
    except FileNotFoundError:
        return None
    except CacheAway:
        raise
    except Exception as error:  # noqa: BLE001 - each storage has its own kinds of errors
        _note(storage, f"{name} cannot be read", error)
        raise CacheAway from None
    return Cached(remote, size, None)


def _told_md5(remote: Any) -> str:
    """Return the MD5 that an object's ETag tells, "" if it tells none (see `catalog.sources.s3_keys.told_md5`)."""
    facts = getattr(remote, "obj", None)
    if getattr(facts, "server_side_encryption", None) not in (None, "", "AES256") or getattr(
        facts, "sse_customer_algorithm", None
    ):
        return ""
    etag = getattr(facts, "e_tag", None)
    return md5_in_etag(etag) if isinstance(etag, str) else ""


def _is_not_there(error: Exception) -> bool:
    """True for how a bucket's client says that there is no such object."""
    answer = getattr(error, "response", None)
    return isinstance(answer, dict) and answer.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404


def _note(storage: Storage, what: str, error: Exception) -> None:
    """Write to the log, without addresses and keys, what failed; a storage of elsewhere is left alone for a while."""
    logger.warning("The cache tree: %s (%s)", what, tree.words_for(error))
    if not isinstance(storage, FileSystemStorage):  # a folder answers at once, or not at all
        _away.note(storage)
