"""Tell a bad file from a source that went away: a photo is called broken only while its source can be read."""

import errno
from collections.abc import Callable
from typing import Any

from catalog.media.results import UNREADABLE
from catalog.sources.base import NotARegularFile, Source, SourceUnavailable
from catalog.sources.handles import is_gone

MOST_IN_A_ROW = 8
"""So many files in a row that fail with an error of the medium are no coincidence: the source is failing."""
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


class Doubts:
    """Holds back the rows of files that could not be read until it is clear whose fault that is."""

    def __init__(self, require_source: Callable[[], None]) -> None:
        self._require_source = require_source
        self._held: list[Row] = []
        self.gone = 0

    def settle(self, opening: Any, problem: str, row: Row, *, was_read: bool) -> list[Row]:
        """Return the rows that may be written now. Raises SourceUnavailable if the source is at fault.

        A file that is no longer there gives no row: what the catalog says of it stays, and the next scan looks again.
        """
        if was_read:
            return [*self._release(), row]
        error = opening.error if isinstance(opening, Opening) else None
        if error is not None and (is_gone(error) or isinstance(error, NotARegularFile)):
            self._require_source()
            self.gone += 1
            return []
        is_of_the_file = error.errno in _REFUSED if error is not None else not problem.startswith(UNREADABLE)
        if is_of_the_file:
            return [row]
        self._require_source()
        self._held.append(row)
        if len(self._held) >= MOST_IN_A_ROW:
            raise SourceUnavailable(
                f"{MOST_IN_A_ROW} files in a row could not be read, so it is the disk or share that fails, not the photos. "
                f"The last reason: {problem} Nothing of it was noted; retry when the disk is well."
            )
        return []

    def rest(self) -> list[Row]:
        """Return the rows still held back, at the end. Raises SourceUnavailable."""
        if self._held:
            self._require_source()
        return self._release()

    def _release(self) -> list[Row]:
        held, self._held = self._held, []
        return held
