"""What scans compare, kept in memory from one scan to the next of a process: the first level of the hash cache.

A worker scans its libraries again and again, and mostly nothing has changed. What it read of a folder then (size, time and
signature of the sidecars by file name) still holds as long as the library's revision is the same: that grows with every
change of an entry, in the transaction of the change or after it. The revision is read before the entries are, so what is kept
may be newer than its name says, never older.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from catalog.entries import known as entries_known
from catalog.entries.folder_comparison import Entry
from catalog.models import Library

MOST_ENTRIES = 100_000
"""Some 35 MB. Of larger libraries nothing is kept: the end of a scan would drive out what its beginning kept."""
LONGEST_SECONDS = 24 * 3600.0

_Folder = tuple[UUID, datetime, str]
_Kept = tuple[int, float, dict[str, Entry]]


class KnownEntries:
    """The folders read last, least recently used first. For one thread; `clock` tells seconds."""

    def __init__(self, most: int = MOST_ENTRIES, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._folders: OrderedDict[_Folder, _Kept] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        """How many entries are kept."""
        return self._count

    def read(
        self, library: Library, revision: int, directories: Sequence[str]
    ) -> tuple[dict[str, dict[str, Entry]], int]:
        """Return the known entries of some folders, and how many of them were in memory. They are not to be changed.

        `revision` is the library's, as it was in the database before this scan read any entries.
        """
        known = {path: entries for path in directories if (entries := self._get(library, revision, path)) is not None}
        hits = sum(map(len, known.values()))
        missing = [path for path in directories if path not in known]
        if missing:
            read = entries_known.known_in(library, missing)
            known |= read
            if library.photo_count <= self._most:
                for path, entries in read.items():
                    self._keep(library, revision, path, entries)
        return known, hits

    def clear(self) -> None:
        """Drop everything."""
        self._folders.clear()
        self._count = 0

    def _get(self, library: Library, revision: int, path: str) -> dict[str, Entry] | None:
        folder = (library.pk, library.created_at, path)
        kept = self._folders.get(folder)
        if kept is None:
            return None
        if kept[0] != revision or self._clock() - kept[1] > LONGEST_SECONDS:
            self._drop(folder)
            return None
        self._folders.move_to_end(folder)
        return kept[2]

    def _keep(self, library: Library, revision: int, path: str, entries: dict[str, Entry]) -> None:
        if len(entries) > self._most:
            return
        self._folders[library.pk, library.created_at, path] = revision, self._clock(), entries
        self._count += len(entries)
        while self._count > self._most:
            self._drop(next(iter(self._folders)))

    def _drop(self, folder: _Folder) -> None:
        self._count -= len(self._folders.pop(folder)[2])


known_entries = KnownEntries()
"""This process's."""
