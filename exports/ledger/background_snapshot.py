"""A snapshot written by a thread of its own while the ledger is appended to: no append waits for half a million records."""

import errno
import heapq
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from exports.ledger.records import ExportRecord
from exports.ledger.snapshot import NewSnapshot, SnapshotNotWritten
from exports.ledger.state import LedgerState

_PIECE_RECORDS = 64  # some 0.5 ms, as long as an append may have to wait for the interpreter
_SORTED_AT_ONCE = 2048
_PAUSE_SECONDS = 0.0005


class BackgroundSnapshot:
    """A snapshot of a state that changes meanwhile, to be put in place under the log's lines after `last_number`.

    It holds each record as it was at some moment since then. Each later change is in the log behind the first
    `log_bytes`, and reading these lines over the snapshot gives the latest state, however old its records are.
    """

    def __init__(self, path: Path, state: LedgerState, last_number: int, log_bytes: int) -> None:
        """Prepare the snapshot for `path`; nothing is written before `start`."""
        self.last_number, self.log_bytes = last_number, log_bytes
        self.count = 0
        self.error: SnapshotNotWritten | None = None
        self._path, self._state = path, state
        self._new: NewSnapshot | None = None
        self._is_ended = self._is_cancelled = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Write it in a thread."""
        self._thread = threading.Thread(target=self._write, name="ledger-snapshot", daemon=True)
        self._thread.start()

    @property
    def is_ended(self) -> bool:
        """True if all is on the disk, or `error` says why not."""
        return self._is_ended

    def put_in_place(self) -> None:
        """Rename the finished snapshot to its name, durably; OSError as of NewSnapshot.put_in_place."""
        assert self._new is not None
        self._new.put_in_place()

    def cancel(self) -> None:
        """Stop writing and remove what was written; returns when the thread has ended."""
        self._is_cancelled = True
        if self._thread is not None:
            self._thread.join()
        if self._new is not None:
            self._new.abandon()

    def _write(self) -> None:
        for _ in self.pieces():
            if self._is_cancelled:
                return
            time.sleep(_PAUSE_SECONDS)  # lets an append have the interpreter

    def pieces(self) -> Iterator[None]:
        """Do the work, and pause after each small piece of it; the file is on the disk at the end."""
        try:
            self._new = NewSnapshot(self._path, self.last_number)
            piece: list[ExportRecord] = []
            runs: list[list[str]] = []
            identifiers = self._state.ids()
            for first in range(0, len(identifiers), _SORTED_AT_ONCE):
                runs.append(sorted(identifiers[first : first + _SORTED_AT_ONCE]))
                yield
            for identifier in heapq.merge(*runs):
                record = self._state.get(identifier)  # None: removed since, as the log says
                if record is not None:
                    piece.append(record)
                if len(piece) == _PIECE_RECORDS:
                    self._new.add(piece)
                    self.count += len(piece)
                    piece.clear()
                    yield
            self._new.add(piece)
            self.count += len(piece)
            yield
            self._new.finish()
        except SnapshotNotWritten as error:
            self.error = error
        except BaseException as error:  # an unfinished file must never be taken for a finished one
            self.error = SnapshotNotWritten(errno.ECANCELED, repr(error), str(self._path))
            raise
        finally:
            self._is_ended = True
