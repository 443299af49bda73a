"""Reads originals for a catalog export: each verified against the catalog, each failure with its reason."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import IO

from catalog.entries.read_failures import MOST_IN_A_ROW
from catalog.models import Library, Photo
from catalog.roots.root_check import require_root
from catalog.sources.base import FileChanged, NotARegularFile, Source, SourceUnavailable

from .rows import Found, MediaNames

READ_BYTES = 1 << 20
MOST_PROBLEMS = 200


class OriginalUnreadable(Exception):
    """The original could not be read as the catalog knows it; the text says why.

    `is_refused` says that the source gave it not at all, which may be the source's fault.
    """

    def __init__(self, sentence: str, *, is_refused: bool = False) -> None:
        super().__init__(sentence)
        self.is_refused = is_refused


class SourceGuard:
    """Tells a file that cannot be read from a source that went away: then nothing more is read, and nothing published.

    A source is looked at after each failure, of several in a row once a second at most.
    """

    def __init__(self, library: Library, source: Source) -> None:
        self.library, self._source = library, source
        self._looked_at = float("-inf")
        self._in_a_row = 0
        self._is_failing = self._is_due = False

    def require(self) -> None:
        """Raise SourceUnavailable if the root is away, empty all at once, or another one."""
        require_root(self.library, self._source, may_be_empty=not self.library.photo_count)
        self._looked_at, self._is_due = time.monotonic(), False

    def settle(self) -> None:
        """Look once more if something failed since the last look. Raises SourceUnavailable."""
        if self._is_due:
            self.require()

    def worked(self) -> None:
        """A file could be read."""
        self._in_a_row, self._is_failing = 0, False

    def failed(self, reason: OriginalUnreadable) -> None:
        """One could not. Raises SourceUnavailable if that is the source's fault."""
        if not self._is_failing or time.monotonic() - self._looked_at > 1:
            self.require()
        self._is_failing = self._is_due = True
        self._in_a_row = self._in_a_row + 1 if reason.is_refused else 0
        if self._in_a_row >= MOST_IN_A_ROW:
            raise SourceUnavailable(
                f"{MOST_IN_A_ROW} originals in a row could not be read, so it is the disk, share or bucket that fails, or "
                f"refuses Photolala. The last reason: {reason}"
            )


@dataclass
class Problems:
    """What could not be exported: a count, and the first of them with their reasons."""

    count: int = 0
    listed: list[dict[str, str]] = field(default_factory=list)

    def add(self, path: str, reason: str) -> None:
        """Count a problem and list it, as long as the list is short."""
        self.count += 1
        if len(self.listed) < MOST_PROBLEMS:
            self.listed.append({"path": path, "reason": reason})


@dataclass(frozen=True)
class Original:
    """A file to copy: where it is, where it goes, and what it must be."""

    path: str
    target: str
    size_bytes: int
    mtime_ns: int
    photo_md5: str
    photo_id: str


class OriginalsList:
    """The originals of an export, in a file that is written with the rows: memory does not grow with their number.

    Called with a row of exports.reading.rows it answers the original's path in the export, or None (and notes why) if
    there is no file to copy.
    """

    def __init__(self, source: Source, spool: IO[str], problems: Problems, guard: SourceGuard) -> None:
        self._source = source
        self._guard = guard
        self._spool = spool
        self._problems = problems
        self._names = MediaNames(guard.library.name)
        self.count = 0

    def __call__(self, row: Found) -> str | None:
        """Note the original of `row` and return its path in the export."""
        original = Original(row["path"], "", row["size_bytes"], row["mtime_ns"], row["photo_md5"], row["id"])
        try:
            original = replace(self._found(original), target=self._names.place(row))
        except OriginalUnreadable as reason:
            self._guard.failed(reason)
            self._problems.add(original.path, str(reason))
            return None
        self._guard.worked()
        self._spool.write(json.dumps(astuple(original)) + "\n")
        self.count += 1
        return f"media/{original.target}"

    def _found(self, original: Original) -> Original:
        """Return the original where it is; raises OriginalUnreadable if it is nowhere."""
        try:
            os.close(open_original(self._source, original))
        except OriginalUnreadable:
            now = as_it_is_now(original, self._guard.library)
            if now is None:
                raise
            os.close(open_original(self._source, now))
            return now
        return original


def as_it_is_now(original: Original, library: Library) -> Original | None:
    """Return where and what the original is by now; None if the catalog knows nothing newer of it. One query.

    The moment of the rows passes: a photo that is filed elsewhere meanwhile, or gets a star written into its file, is still
    that photo.
    """
    photo = Photo.objects.filter(pk=original.photo_id, library=library).first()
    if photo is None:
        return None
    facts = (photo.path, photo.size_bytes, photo.mtime_ns, photo.photo_md5)
    now = Original(facts[0], original.target, *facts[1:], photo_id=original.photo_id)
    return now if now != original else None


def read_list(path: Path) -> Iterator[Original]:
    """Yield the originals that an OriginalsList noted in the file `path`."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield Original(*json.loads(line))


def open_original(source: Source, original: Original) -> int:
    """Return a descriptor of the file if it is the one that the catalog knows. Raises OriginalUnreadable."""
    try:
        return source.open(original.path, expected=(original.size_bytes, original.mtime_ns))
    except FileChanged:
        raise OriginalUnreadable("It has changed since the last scan. Scan the library again.") from None
    except (FileNotFoundError, NotADirectoryError, NotARegularFile, ValueError):
        raise OriginalUnreadable("The file is not in its place. A scan finds it if it was moved.") from None
    except OSError as error:
        raise OriginalUnreadable(f"The file cannot be read: {error.strerror or error}.", is_refused=True) from None


def read_original(source: Source, original: Original, on_chunk: Callable[[], None]) -> Iterator[bytes]:
    """Yield the bytes of the file; raises OriginalUnreadable at their end if they are not those that the catalog knows.

    `on_chunk` is called before each piece (at most 1 MiB) and may raise to stop.
    """
    descriptor = open_original(source, original)
    digest = hashlib.md5(usedforsecurity=False)
    offset = 0
    try:
        while True:
            on_chunk()
            try:
                chunk = os.pread(descriptor, READ_BYTES, offset)
            except OSError as error:
                raise OriginalUnreadable(
                    f"The file cannot be read: {error.strerror or error}.", is_refused=True
                ) from None
            if not chunk:
                break
            offset += len(chunk)
            digest.update(chunk)
            yield chunk
    finally:
        os.close(descriptor)
    if original.photo_md5 and digest.hexdigest() != original.photo_md5:
        raise OriginalUnreadable("Its bytes are not those that were scanned. Scan the library again.")
