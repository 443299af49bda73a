"""Kill -9 a writer of export records: at every file operation, and at random moments; print what survived.

    python -m tests.drills.ledger [--points 500] [--seed 1] [--only-random] [--folder /a/folder/on/the/disk/in/question]

The writer acknowledges each change through a pipe when the ledger has. After each kill the records must be those of all
acknowledged changes, or those and the one under way, whose first records may be there if it had several. The next writer
goes on with what is left. Ends with 1 if anything was lost, or came back.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from exports.ledger import background_snapshot, compaction
from exports.ledger.load import view_ledger
from exports.ledger.records import INTERRUPTED, ExportRecord, RecordStatus
from exports.ledger.store import Ledger
from tests.exports.ledger.faulty_disk import OPERATIONS, open_counted

NOW = datetime(2025, 2, 10, 10, tzinfo=UTC)
STORY_CHANGES = 40  # of the writer that is killed at each of its operations
LONGEST_SECONDS = 0.06  # until a random kill
PARTS = (0.0, 0.5, 1.0)
"""How much of the data of a write reaches the file before the kill; of other operations: whether they are done."""

Model = dict[str, ExportRecord]
Change = list[tuple[str, ExportRecord | None]]


def story(seed: int) -> Iterator[Change]:
    """Yield changes without end, always the same ones of a seed: single ones, groups as exports write them, removals."""
    chance = random.Random(seed)
    for number in count():
        size = chance.choice((1, 1, 1, 6))
        first = chance.randrange(60)
        change: Change = []
        for offset in range(size):
            identifier = f"asset-{first + offset}"
            status = chance.choice(list(RecordStatus))
            error = "Disk full" if status is RecordStatus.FAILED else None
            name = f"IMG_{number}.JPG"
            record = ExportRecord(identifier, 2025, 1 + number % 12, "2025/02/", status, NOW, name, error)
            change.append((identifier, record))
        yield [(change[0][0], None)] if size == 1 and chance.random() < 0.2 else change


def apply(model: Model, change: Change) -> Model:
    """Return what `model` is after `change`."""
    after = {**model, **{identifier: record for identifier, record in change if record is not None}}
    return {key: record for key, record in after.items() if (key, None) not in change}


def loaded(model: Model) -> Model:
    """Return what a model becomes when it is loaded: nothing is in progress any more."""
    return {
        key: replace(one, status=RecordStatus.FAILED, last_error=INTERRUPTED)
        if one.status is RecordStatus.IN_PROGRESS
        else one
        for key, one in model.items()
    }


def write(folder: Path, changes: Iterator[Change], acknowledge: int) -> None:
    """Make the changes, and acknowledge each by a byte."""
    with Ledger(folder, now=lambda: NOW) as ledger:
        os.writev(acknowledge, [b"o"])
        for change in changes:
            if change[0][1] is None:
                ledger.remove(change[0][0])
            else:
                ledger.put_all(record for _, record in change if record is not None)
            os.writev(acknowledge, [b"."])  # not counted among the operations


@dataclass
class KilledAt:
    """Kills its own process at operation number `at`, when `part` of it is done."""

    at: int
    part: float
    counter: Iterator[int]

    def install(self) -> None:
        for name in OPERATIONS:
            setattr(os, name, self._wrap(name, getattr(os, name)))
        Path.open = open_counted  # type: ignore[method-assign,assignment]

    def _wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def operate(*args: Any, **kwargs: Any) -> Any:
            if next(self.counter) == self.at:
                if name in ("write", "pwrite"):
                    real(args[0], args[1][: int(len(args[1]) * self.part)], *args[2:])
                elif self.part == 1.0:
                    real(*args, **kwargs)
                os.writev(2, [f"{name}\n".encode()])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return operate


class Lost(Exception):
    """The records are not what they must be; the text says which."""


class Drill:
    """Runs writers in one folder after another, and knows what must be there."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.seed = seed
        self.model: Model = {}
        self.acknowledged = self.under_way = 0
        self.operations: Counter[str] = Counter()

    def round(self, changes: int | None, killed_at: KilledAt | None, seconds: float = 0) -> bool:
        """Let a writer go on until it is killed, check what is left, and return whether it was killed."""
        self.seed += 1
        every, at_once = self.chance.choice((3, 7, 17)), self.chance.choice((-1, 40))
        acknowledged, acknowledge = os.pipe()
        told, tell = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(tell, 2)
            compaction.COMPACT_EVERY_MUTATIONS, compaction.AT_ONCE_RECORDS = every, at_once
            background_snapshot._PIECE_RECORDS = 5
            if killed_at is not None:
                killed_at.install()
            code = 1
            try:
                told_of = story(self.seed)
                write(
                    self.folder,
                    told_of if changes is None else iter([next(told_of) for _ in range(changes)]),
                    acknowledge,
                )
                code = 0
            finally:
                os._exit(code)
        os.close(acknowledge)
        os.close(tell)
        if seconds:
            os.read(acknowledged, 1)
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        with open(acknowledged, "rb") as file, open(told) as words:
            done = file.read().count(b".")
            self.operations.update(words.read().split())
        _, status = os.waitpid(child, 0)
        self.check(done)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            raise Lost(f"the writer of seed {self.seed} failed by itself")
        return os.WIFSIGNALED(status)

    def check(self, done: int) -> None:
        """Compare what is left with the changes that were acknowledged, and go on from there."""
        told_of = story(self.seed)
        model = loaded(self.model)
        for _ in range(done):
            model = apply(model, next(told_of))
        change = next(told_of)
        possible = [loaded(apply(model, change[:length])) for length in range(len(change) + 1)]
        report = view_ledger(self.folder)
        found = {one.id: one for one in report.state.sorted_records()}
        if found not in possible:
            wrong = [key for key in {*found, *possible[0]} if found.get(key) not in [one.get(key) for one in possible]]
            raise Lost(
                f"seed {self.seed}, {done} acknowledged: {', '.join(sorted(wrong)) or 'a mixture'} is not as it was"
            )
        if report.report.problems:
            raise Lost(f"seed {self.seed}: {report.report.problems}")
        self.acknowledged += done
        self.under_way += found != possible[0]
        self.model = found


def at_every_operation(folder: Path, seed: int) -> Drill:
    """Kill one writer after another, each in a new folder, one operation later than the one before."""
    drill = Drill(folder, seed)
    for part in PARTS:
        for at in count():
            drill.model, drill.folder = {}, folder / f"{part}-{at}"
            drill.folder.mkdir()
            if not drill.round(STORY_CHANGES, KilledAt(at, part, count())):
                break
    return drill


def at_random(folder: Path, points: int, seed: int) -> Drill:
    """Kill writers of the same records at random moments."""
    drill = Drill(folder / "random", seed)
    drill.folder.mkdir()
    for _ in range(points):
        drill.round(None, None, drill.chance.uniform(0.0001, LONGEST_SECONDS))
    return drill


def main() -> int:
    """Run what the options ask for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=500, help="Random moments.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only-random", action="store_true")
    parser.add_argument("--folder", type=Path, default=None, help="Where; the system's temporary folder.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        try:
            if not options.only_random:
                drill = at_every_operation(Path(name), options.seed * 1_000_000)
                print(
                    f"killed at {drill.operations.total():,} operations "
                    f"({', '.join(f'{one} {number}' for one, number in sorted(drill.operations.items()))}): "
                    f"{drill.acknowledged:,} acknowledged changes, none lost; {drill.under_way} found that were under way"
                )
            drill = at_random(Path(name), options.points, options.seed * 1_000_000 + 500_000)
            print(
                f"killed at {options.points:,} random moments: {drill.acknowledged:,} acknowledged changes, none lost; "
                f"{drill.under_way} found that were under way"
            )
        except Lost as lost:
            print(f"LOST: {lost}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
