"""List and remove the objects of the cache tree, page by page, in a folder or in an S3 bucket."""

import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from django.core.files.storage import FileSystemStorage

from catalog.cache.tree import cache, words_for
from photolala.lib.files import remove_if_there

SHARDS = ("local", "apple", "s3")
KINDS = ("thumbnails", "metadata", "previews", "renditions")
ABANDONED_AFTER_SECONDS = 24 * 3600.0
BATCH = 1_000
WAITS_SECONDS = (0.5, 1.0, 2.0, 4.0)
_BUSY = frozenset({"SlowDown", "InternalError", "ServiceUnavailable", "OperationAborted"})
_NAME = re.compile(
    r"(?:(?:local|s3)/(?:(?:thumbnails|previews)/(?P<a>[0-9a-f]{2})/(?P<picture>(?P=a)[0-9a-f]{30})\.jpg"
    r"|renditions/(?P<c>[0-9a-f]{2})/(?P<video>(?P=c)[0-9a-f]{30})\.mp4"
    r"|metadata/(?P<b>[0-9a-f]{2})/(?P<metadata>(?P=b)[0-9a-f]{30})\.json)"
    r"|apple/(?:(?:thumbnails|previews)/[^/]+\.jpg|metadata/[^/]+\.json))"
)
_SNAPSHOT_LEFTOVER = re.compile(r"\.photolala\..+\.[0-9a-f]{16}\.tmp")
_ROOT_FOLDER = re.compile(r"[0-9a-f]{32}")


class CacheUnavailable(Exception):
    """The cache cannot be listed now; the text is a sentence."""


@dataclass(slots=True)
class Removed:
    """How many objects went, of how many bytes, and a sentence for each that could not be removed."""

    count: int = 0
    size_bytes: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CacheObject:
    """One object of the cache tree. Times are seconds since the epoch; `used_at` is the later of written and read."""

    name: str
    size_bytes: int
    written_at: float
    used_at: float

    @property
    def is_preview(self) -> bool:
        """True for the lightbox's large pictures and videos, which are only ever made on demand."""
        return self.name.split("/", 2)[1:2] in (["previews"], ["renditions"])


class CacheObjects(Protocol):
    """The objects of formats.md §2 that can be made again: never a snapshot, never a file of another name."""

    def walk(self, prefix: str) -> Iterator[CacheObject]:
        """Yield what is below e.g. `local`, `local/thumbnails`, `local/thumbnails/ab`. Raises CacheUnavailable."""

    def remove(self, objects: Sequence[CacheObject]) -> Removed:
        """Remove objects that a walk has found; one that is gone already, or was used since, is passed over."""

    def remove_abandoned(self) -> int:
        """Remove what killed writers left half-written; return how many files."""


def cache_objects() -> CacheObjects:
    """Return the objects of the configured cache. Raises CacheUnavailable for a storage of an unknown kind."""
    storage: Any = cache()
    if isinstance(storage, FileSystemStorage):
        return FolderObjects(storage)
    if hasattr(storage, "bucket"):
        return BucketObjects(storage)
    raise CacheUnavailable(f"The cache is a {type(storage).__name__}, whose objects cannot be listed page by page.")


def photo_md5_of(name: str) -> str | None:
    """Return the photo MD5 in an object's name; None where the name holds another kind of id."""
    match = _NAME.fullmatch(name)
    return (match["picture"] or match["video"] or match["metadata"]) if match else None


class FolderObjects:
    """A cache in a folder. Used is what was read or written last, as far as the file system keeps times of reading.

    Linux by default (`relatime`) notes the first reading in a day; with `noatime` only the writing is known.
    """

    def __init__(self, storage: FileSystemStorage) -> None:
        self._storage = storage
        self._top = Path(storage.path(""))  # names that were listed need no further proof that they are below it

    def walk(self, prefix: str) -> Iterator[CacheObject]:
        """Yield the regular files below `prefix`; links are not followed. Memory holds the names of one folder."""
        folders = [prefix]
        while folders:
            folder = folders.pop()
            try:
                entries = os.scandir(self._top / folder)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise CacheUnavailable(f"The cache's folder {folder} cannot be listed: {error.strerror}.") from error
            with entries:
                for entry in entries:
                    name = f"{folder}/{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(name)
                    elif _NAME.fullmatch(name) and (facts := _facts(entry)):
                        yield _object(name, facts)

    def remove(self, objects: Sequence[CacheObject]) -> Removed:
        """Remove files unless they were written or read since they were listed."""
        removed = Removed()
        for one in objects:
            path = self._top / one.name
            facts = _facts(path)
            if facts is None or _object(one.name, facts) != one:
                continue
            try:
                went = remove_if_there(path)
            except OSError as error:
                removed.problems.append(f"{one.name} cannot be removed from the cache: {error.strerror}.")
                continue
            removed.count += went
            removed.size_bytes += one.size_bytes * went
        return removed

    def remove_abandoned(self) -> int:
        """Remove the unfinished files of dead writers, and snapshots that have been unfinished for a day."""
        of_the_dead = getattr(self._storage, "remove_abandoned_writes", lambda: 0)()
        oldest = time.time() - ABANDONED_AFTER_SECONDS
        return of_the_dead + sum(_remove_if_older(path, oldest) for path in self._unfinished_snapshots())

    def _unfinished_snapshots(self) -> Iterator[Path]:
        for folder in self._top.iterdir() if self._top.is_dir() else ():
            if _ROOT_FOLDER.fullmatch(folder.name) and folder.is_dir():
                yield from (path for path in folder.iterdir() if _SNAPSHOT_LEFTOVER.fullmatch(path.name))


class BucketObjects:
    """A cache on S3, which keeps no times of reading: used means written."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self._location = f"{storage.location.strip('/')}/".lstrip("/")

    def walk(self, prefix: str) -> Iterator[CacheObject]:
        """Yield the objects below `prefix`, a thousand with each request."""
        with _bucket_errors():
            for found in self._storage.bucket.objects.filter(Prefix=f"{self._location}{prefix}/"):
                name = found.key.removeprefix(self._location)
                if _NAME.fullmatch(name):
                    written_at = found.last_modified.timestamp()
                    yield CacheObject(name, found.size, written_at, written_at)

    def remove(self, objects: Sequence[CacheObject]) -> Removed:
        """Remove objects, a thousand with each request; those that a busy store puts off are asked for again."""
        removed = Removed()
        for start in range(0, len(objects), BATCH):
            asked = {f"{self._location}{one.name}": one for one in objects[start : start + BATCH]}
            refused = self._delete(asked)
            for key, (_, reason) in refused.items():
                one = asked.pop(key)
                removed.problems.append(f"{one.name} cannot be removed from the cache: {reason}.")
            removed.count += len(asked)
            removed.size_bytes += sum(one.size_bytes for one in asked.values())
        return removed

    def _delete(self, keys: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Delete these keys; return (code, reason) of each that was refused, at last."""
        refused: dict[str, tuple[str, str]] = dict.fromkeys(keys, ("", ""))
        for wait_seconds in (*WAITS_SECONDS, None):
            with _bucket_errors():
                answer = self._storage.bucket.delete_objects(
                    Delete={"Objects": [{"Key": key} for key in refused], "Quiet": True}
                )
            errors = answer.get("Errors", ())
            refused = {one["Key"]: (one.get("Code", ""), one.get("Message", "refused")) for one in errors}
            is_busy = any(code in _BUSY for code, _ in refused.values())
            if not is_busy or wait_seconds is None:
                break
            time.sleep(wait_seconds)
        return refused

    def remove_abandoned(self) -> int:
        """Do nothing: an object appears whole or not at all."""
        return 0


@contextmanager
def _bucket_errors() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise CacheUnavailable(f"The cache's bucket does not answer as it should ({words_for(error)}).") from error


def _facts(place: os.DirEntry[str] | Path) -> os.stat_result | None:
    """Return what is known of a regular file; None for what is none, or is there no more."""
    try:
        facts = place.stat(follow_symlinks=False)
    except OSError:
        return None
    return facts if stat.S_ISREG(facts.st_mode) else None


def _object(name: str, facts: os.stat_result) -> CacheObject:
    return CacheObject(name, facts.st_size, facts.st_mtime, max(facts.st_mtime, facts.st_atime))


def _remove_if_older(path: Path, oldest: float) -> bool:
    try:
        facts = path.lstat()
        return stat.S_ISREG(facts.st_mode) and facts.st_mtime < oldest and remove_if_there(path)
    except FileNotFoundError:  # its writer has just finished
        return False
