"""Tell a bad file from a source that went away: a photo is called broken only while its source can be read."""

import errno
import os
from collections.abc import Callable
from typing import Any

from catalog.media.results import UNREADABLE
from catalog.models import Library, Photo
from catalog.sources.base import NotARegularFile, Source, SourceUnavailable
from catalog.sources.handles import is_gone

MOST_IN_A_ROW = 8
"""So many files in a row that cannot be read are no coincidence: the source is failing, or refuses us altogether."""
MOST_HELD = 5_000
SAMPLE = 5
_REFUSED = frozenset({errno.EACCES, errno.EPERM})

Row = dict[str, Any]


class Opening:
    """Opens one file of a source and remembers why that failed.

    `ahead` may be set to what gives a descriptor that `open_now` has opened already.
    """

    def __init__(self, source: Source, path: str, *, head_only: bool = False) -> None:
        self.ahead: Callable[[], int] | None = None
        self._head_only = head_only
        self.path = path
        self.error: OSError | None = None
        self._source = source

    def __call__(self) -> int:
        """Return a descriptor for the caller to close. Raises OSError."""
        try:
            return self.ahead() if self.ahead else self.open_now()
        except OSError as error:
            self.error = error
            raise

    def open_now(self) -> int:
        """Return a new descriptor of the file, or of its first bytes if those are enough. Raises OSError."""
        return self._source.open_head(self.path) if self._head_only else self._source.open(self.path)


class ReadFailures:
    """Holds back the rows of files that could not be read until it is clear whose fault that is.

    `can_read` answers whether other files, which could be read once, still can be; None if that cannot be told. It is asked
    when many files in a row are refused: a locked folder is no reason to stop, keys without the right to read are.
    """

    def __init__(self, require_source: Callable[[], None], can_read: Callable[[], bool | None] = lambda: None) -> None:
        self._require_source = require_source
        self._can_read = can_read
        self._held: list[Row] = []
        self._are_refused = True
        self._has_read = False
        self._problem = ""
        self.gone = 0

    def admit(self, opening: Any, problem: str, row: Row, *, was_read: bool) -> list[Row]:
        """Return the rows that may be written now. Raises SourceUnavailable if the source is at fault.

        A file that is no longer there gives no row: what the catalog says of it stays, and the next scan looks again.
        """
        if was_read:
            self._has_read = True
            return [*self._release(), row]
        error = opening.error if isinstance(opening, Opening) else None
        if error is not None and (is_gone(error) or isinstance(error, NotARegularFile)):
            self._require_source()
            self.gone += 1
            return []
        if error is None and not problem.startswith(UNREADABLE):
            return [row]  # its bytes came, and they are at fault
        self._require_source()
        self._held.append(row)
        self._problem = problem
        self._are_refused &= error is not None and error.errno in _REFUSED
        if len(self._held) < MOST_IN_A_ROW:
            return []
        if not self._are_refused:
            raise self._failing()
        if len(self._held) % MOST_IN_A_ROW:
            return []
        answer = self._can_read()
        if answer is False:
            raise self._failing()
        # Of a library that was never read nothing can tell yet: perhaps a later file can be read.
        return self._release() if answer or len(self._held) >= MOST_HELD else []

    def flush(self) -> list[Row]:
        """Return the rows still held back, at the end. Raises SourceUnavailable."""
        if self._held:
            self._require_source()
        if len(self._held) >= MOST_IN_A_ROW and not self._has_read and not self._can_read():
            raise self._failing()
        return self._release()

    def _failing(self) -> SourceUnavailable:
        return SourceUnavailable(
            f"{MOST_IN_A_ROW} files in a row could not be read, so it is the disk, share or bucket that fails, not the photos. "
            f"The last reason: {self._problem} Nothing of it was noted; retry when they can be read."
        )

    def _release(self) -> list[Row]:
        held, self._held, self._are_refused = self._held, [], True
        return held


def can_read_known(library: Library, source: Source) -> bool | None:
    """Return whether any of a few photos that were read once can be opened now; None if all of them are gone, or none was."""
    known = Photo.objects.filter(library=library, state=Photo.State.READY).order_by("pk")
    answer: bool | None = None
    for photo in known[:SAMPLE]:
        try:
            os.close(source.open_head(photo.path))
        except (OSError, ValueError) as error:
            is_moved = not isinstance(error, OSError) or is_gone(error) or isinstance(error, NotARegularFile)
            answer = answer if is_moved else False
        else:
            return True
    return answer
