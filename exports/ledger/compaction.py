"""Compaction of an open ledger: its snapshot written anew and its log emptied, within an append or beside the appends."""

import errno
import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from exports.ledger.background_snapshot import BackgroundSnapshot
from exports.ledger.errors import LedgerFailed, refusal
from exports.ledger.load import LOG_NAME, SNAPSHOT_NAME, LoadReport
from exports.ledger.lock import require_same_folder
from exports.ledger.log import AppendLog, LogNotShortened
from exports.ledger.numbering import write_mark
from exports.ledger.reads import RecordReads
from exports.ledger.snapshot import SnapshotNotWritten, broken_name, write_snapshot

COMPACT_EVERY_MUTATIONS = 1000
"""At least; a larger ledger waits until the log holds half as many mutations as its snapshot holds records."""
AT_ONCE_RECORDS = 4000
"""A ledger up to this size is compacted within an append (some 40 ms), a larger one by a thread beside the appends."""

logger = logging.getLogger(__name__)


class CompactedRecords(RecordReads):
    """The open files of a ledger and the state that they hold; knows when and how to compact them."""

    directory: Path
    report: LoadReport
    _now: Callable[[], datetime]
    _failure: LedgerFailed | None
    _log: AppendLog | None
    _lock: int
    """The descriptor of the lock file, -1 once it is closed."""
    _number: int
    """Of the last mutation."""
    _noted_number: int
    _snapshot_count: int
    _mutations_since_snapshot: int
    _log_is_damaged: bool
    _background: BackgroundSnapshot | None

    def flush(self) -> None:
        """Return if all that was acknowledged is on the disk, which is so unless a write has failed (LedgerFailed)."""
        if self._failure:
            raise self._failure
        if self._log is None:
            raise LedgerFailed(f"The ledger in {self.directory} has been closed; open it again to write.")

    def compact(self) -> None:
        """Write the whole state as a snapshot, then empty the log.

        SnapshotNotWritten if there is no room or no right to: the log keeps everything, and the next write tries again.
        """
        with self._guard:
            self.flush()
            log = self._opened_log()
            try:
                self._cancel_background()
                self._require_same_folder()
                path, records = self.directory / SNAPSHOT_NAME, self._state.sorted_records()
                count = write_snapshot(path, records, self._number, before_replacing=self._before_snapshot)
                if self._log_is_damaged:
                    aside = broken_name(self.directory / LOG_NAME, self._now())
                    log.start_anew(aside)
                    self.report.set_aside.append(aside.name)
                    self._log_is_damaged = False
                else:
                    log.clear()
            except SnapshotNotWritten as error:
                if error.errno == errno.EIO:
                    raise self._fail("compacted", error) from error
                raise
            except OSError as error:
                raise self._fail("compacted", error) from error
            except BaseException:
                self._fail("compacted", OSError(errno.EINTR, "interrupted"))
                raise
            self._mutations_since_snapshot, self._snapshot_count = 0, count

    def _compact_when_due(self) -> None:
        """After an append: compact if the log is long enough, of a large ledger begin to, or end what was begun."""
        if self._background is not None:
            if self._background.is_ended:
                self._end_background()
            return
        if self._mutations_since_snapshot < max(COMPACT_EVERY_MUTATIONS, self._snapshot_count // 2):
            return
        if len(self._state) <= AT_ONCE_RECORDS or self._log_is_damaged:
            self._compact_if_possible()
            return
        try:
            self._require_same_folder()
        except OSError as error:
            logger.error("%s", self._fail("compacted", error))
            return
        path, log_bytes = self.directory / SNAPSHOT_NAME, self._opened_log().size_bytes
        background = BackgroundSnapshot(path, self._state, self._number, log_bytes)
        try:
            background.start()
        except RuntimeError as error:  # no thread is to be had
            logger.warning("The export records in %s are compacted later: %s", self.directory, error)
            return
        self._background = background

    def _end_background(self) -> None:
        """Put the snapshot that was written beside the appends in place, then drop the lines from the log that are in it."""
        assert self._background is not None
        finished, self._background = self._background, None
        try:
            if finished.error is not None:
                raise finished.error
            self._before_snapshot()
            finished.put_in_place()
            self._snapshot_count = finished.count
            self._mutations_since_snapshot = self._number - finished.last_number
            self._opened_log().drop_head(finished.log_bytes)
        except (SnapshotNotWritten, LogNotShortened) as error:
            finished.cancel()
            if error.errno == errno.EIO:
                logger.error("%s", self._fail("compacted", error))
            else:
                logger.warning("%s The log keeps all; it is tried again.", refusal(self.directory, "compacted", error))
        except OSError as error:
            logger.error("%s", self._fail("compacted", error))
        except BaseException:
            self._fail("compacted", OSError(errno.EINTR, "interrupted"))
            raise

    def _cancel_background(self) -> None:
        background, self._background = self._background, None
        if background is not None:
            background.cancel()

    def _compact_if_possible(self) -> None:
        """Compact; a failure is logged only, as all that was acknowledged is safe in the log."""
        try:
            self.compact()
        except SnapshotNotWritten as error:
            logger.warning("%s The log keeps all; it is tried again.", refusal(self.directory, "compacted", error))
        except LedgerFailed as error:
            logger.error("%s", error)

    def _before_snapshot(self) -> None:
        """Do what must come before a finished snapshot gets its name. OSError if the folder is another one by now."""
        self._require_same_folder()
        if self._number > self._noted_number:
            try:
                write_mark(self._lock, self._number)
            except OSError as error:
                raise SnapshotNotWritten(error.errno, error.strerror, str(self.directory)) from error
            self._noted_number = self._number

    def _require_same_folder(self) -> None:
        require_same_folder(self.directory, self._lock)

    def _opened_log(self) -> AppendLog:
        self.flush()
        assert self._log is not None
        return self._log

    def _fail(self, what: str, error: OSError) -> LedgerFailed:
        self._failure = LedgerFailed(refusal(self.directory, what, error))
        return self._failure
