"""Rebuilds the state of a ledger from its two files, and says what was wrong with them."""

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

from exports.ledger.errors import LedgerFailed
from exports.ledger.log import LogContent, read_log
from exports.ledger.mutations import Mutation
from exports.ledger.records import INTERRUPTED, RecordStatus
from exports.ledger.regular import NotAFile, refuse_link
from exports.ledger.snapshot import SnapshotContent, read_snapshot
from exports.ledger.state import LedgerState
from photolala.lib.garbage_collection import no_cycles_expected

FOLDER_NAME = "ExportRecords"
LOG_NAME = "export-records.jsonl"
SNAPSHOT_NAME = "export-records.json"
_MAX_READS = 20

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class LoadReport:
    """What was found when a ledger was opened, for the person who looks after it; `problems` are sentences."""

    record_count: int = 0
    replayed_lines: int = 0
    stale_lines: int = 0
    bad_lines: int = 0
    missing_numbers: int = 0
    torn_bytes: int = 0
    interrupted: int = 0
    problems: list[str] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)


@dataclass(slots=True)
class LoadedLedger:
    """The state, and what is needed to continue writing. `seen_number`: the highest in what could not be read."""

    state: LedgerState
    snapshot: SnapshotContent
    snapshot_count: int
    log: LogContent
    last_number: int
    seen_number: int
    report: LoadReport


def load_ledger(directory: Path) -> LoadedLedger:
    """Read snapshot and log in `directory` (which may be empty or missing). Changes nothing.

    Damage is reported, logged and passed over. LedgerFailed if the disk refuses to give a file that is there: that is
    no reason to continue as if it were empty.
    """
    try:
        refuse_link(directory)
        with no_cycles_expected():  # else Python looks through the records again and again
            snapshot = read_snapshot(directory / SNAPSHOT_NAME)
            log = read_log(directory / LOG_NAME)
    except NotAFile as error:
        raise LedgerFailed(
            f"The export records in {directory} cannot be read: {error.strerror}. Nothing was changed."
        ) from error
    except OSError as error:
        raise LedgerFailed(
            f"The export records in {directory} cannot be read ({error.strerror or error}). "
            "Nothing was changed. Check the disk and its permissions, then try again."
        ) from error
    snapshot_count = len(snapshot.records)
    state = LedgerState(snapshot.records)
    report = LoadReport(bad_lines=log.bad_count, torn_bytes=log.torn_bytes)
    gap = _gap(snapshot, log)
    report.missing_numbers = log.missing_numbers + gap
    last_number = snapshot.last_number
    report.stale_lines = _count_stale(log.mutations, snapshot.last_number)
    for mutation in log.mutations[report.stale_lines :]:
        state.apply(mutation)
        report.replayed_lines += 1
        last_number = max(last_number, mutation.number)
    report.interrupted = _fail_interrupted(state)
    report.record_count = len(state)
    report.problems = _describe(directory, snapshot, log, gap)
    for problem in report.problems:
        logger.warning(problem)
    seen_number = max(snapshot.seen_number, log.seen_number)
    return LoadedLedger(state, snapshot, snapshot_count, log, last_number, seen_number, report)


def view_ledger(directory: Path) -> LoadedLedger:
    """Return the ledger as it is now, for reading beside a process that writes it. Takes no lock, changes nothing.

    Reads again if a compaction replaced the snapshot meanwhile.
    """
    for _ in range(_MAX_READS):
        before = _identity(directory / SNAPSHOT_NAME)
        loaded = load_ledger(directory)
        if _identity(directory / SNAPSHOT_NAME) == before:
            return loaded
    raise LedgerFailed(f"The export records in {directory} change too fast to be read; try again in a moment.")


def _count_stale(mutations: list[Mutation], snapshot_number: int) -> int:
    """Return how many of the first mutations are in the snapshot already: a crash came before they left the log.

    Lines of another program carry no number; those before a numbered line that is in the snapshot are in it, too.
    """
    return next(
        (index + 1 for index in range(len(mutations) - 1, -1, -1) if 0 < mutations[index].number <= snapshot_number),
        0,
    )


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat(follow_symlinks=False)
    except OSError:  # of anything but a missing file the reading itself tells
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _gap(snapshot: SnapshotContent, log: LogContent) -> int:
    """Return how many changes are in neither file, between the snapshot and the first line of the log."""
    first = next((mutation.number for mutation in log.mutations if mutation.number), 0)
    return max(0, first - snapshot.last_number - 1) if snapshot.last_number else 0


def _fail_interrupted(state: LedgerState) -> int:
    """Turn what was being exported when the last process ended into failures, to be tried again; return how many."""
    leftover = state.with_status(RecordStatus.IN_PROGRESS)
    for record in leftover:
        failed = replace(record, status=RecordStatus.FAILED, last_error=INTERRUPTED)
        state.apply(Mutation(record.id, failed))
    return len(leftover)


def _describe(directory: Path, snapshot: SnapshotContent, log: LogContent, gap: int) -> list[str]:
    problems = []
    if snapshot.problem:
        problems.append(
            f"The snapshot {directory / SNAPSHOT_NAME} cannot be used: {snapshot.problem} "
            "The ledger continues from its log alone; the broken file is kept under another name."
        )
    for identifier, reason in snapshot.bad_records.items():
        problems.append(f"The record of {identifier!r} in {directory / SNAPSHOT_NAME} was skipped: {reason}")
    for line in log.bad_lines:
        problems.append(f"Line {line.line_number} of {directory / LOG_NAME} was skipped: {line.reason}")
    hidden = snapshot.bad_count - len(snapshot.bad_records) + log.bad_count - len(log.bad_lines)
    if hidden:
        problems.append(f"{hidden:,} more records or lines in {directory} were skipped.")
    if log.missing_numbers > log.bad_count:
        problems.append(
            f"{log.missing_numbers:,} running numbers are missing in {directory / LOG_NAME}: lines are gone from it."
        )
    if gap > log.bad_count:  # lines that cannot be read may be those that are missing
        problems.append(
            f"{gap:,} changes are missing between the snapshot {directory / SNAPSHOT_NAME} and the log, which starts at "
            f"change {snapshot.last_number + gap + 1:,}: the snapshot is an older one. Put the newest back from a backup if "
            "there is one. What was exported meanwhile is not known here; an export finds those files again by their content."
        )
    numbers = [mutation.number for mutation in log.mutations if mutation.number]
    if not snapshot.is_there and numbers and numbers[0] > 1 and not log.bad_count:
        problems.append(
            f"The snapshot {directory / SNAPSHOT_NAME} is missing although the log starts at change {numbers[0]:,}: "
            "earlier exports are not known here. Put the file back from a backup if there is one."
        )
    return problems
