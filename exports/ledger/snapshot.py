"""The snapshot of a ledger: one JSON object from asset id to record, replaced as a whole; broken ones are kept."""

import codecs
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from exports.ledger.errors import InvalidRecord
from exports.ledger.mutations import MAX_LINE_BYTES, MAX_RUNNING_NUMBER, parse_json
from exports.ledger.numbering import RENUMBERED_ABOVE, number_in
from exports.ledger.records import MAX_REASON_CHARACTERS, ExportRecord, record_from_json
from exports.ledger.regular import open_regular
from photolala.lib.files import fsync_directory, remove_if_there, set_mode, temporary_name

MOST_BAD_KEPT = 100
_CHUNK_RECORDS = 500
_MOST_BYTES = 2 << 30  # some five million records; read line by line
_MOST_BYTES_AT_ONCE = 512 << 20  # in another layout, which is read as a whole and takes several times its size
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


@dataclass(slots=True)
class SnapshotContent:
    """What a snapshot holds. `last_number`: all mutations up to this running number are in it (0: unknown).

    `problem`: why nothing of it could be read. `bad_records`: why single records could not, by asset id (cut), of the
    first hundred of `bad_count`. `seen_number`: the highest running number in what could not be read.
    """

    records: dict[str, ExportRecord] = field(default_factory=dict)
    last_number: int = 0
    is_there: bool = False
    problem: str | None = None
    bad_records: dict[str, str] = field(default_factory=dict)
    bad_count: int = 0
    seen_number: int = 0


def read_snapshot(path: Path) -> SnapshotContent:
    """Read the snapshot at `path`; damage is described in the answer, OSError means that the disk did not give it.

    Also of a file that is larger than any ledger: it must not take the memory of the server.
    """
    try:
        descriptor = open_regular(path)
    except FileNotFoundError:
        return SnapshotContent()
    with open(descriptor, "rb") as file:
        return _read(file)


def _read(file: BinaryIO) -> SnapshotContent:
    _require_size(file, _MOST_BYTES)
    try:  # line by line takes a third of the memory
        return _collect(_own_lines(file))
    except InvalidRecord:  # not in this program's layout, or damaged: the whole of it tells which
        file.seek(0)
        _require_size(file, _MOST_BYTES_AT_ONCE)
        try:
            body = parse_json(file.read(_MOST_BYTES_AT_ONCE + 1).removeprefix(codecs.BOM_UTF8))
            if not isinstance(body, dict):
                raise InvalidRecord("The file is not a JSON object.")
        except InvalidRecord as error:
            file.seek(0)
            seen = number_in(file.read(MAX_LINE_BYTES))  # the first record has it
            return SnapshotContent(is_there=True, problem=str(error)[:MAX_REASON_CHARACTERS], seen_number=seen)
        return _collect(body.items())


def _require_size(file: BinaryIO, most_bytes: int) -> None:
    size_bytes = os.fstat(file.fileno()).st_size
    if size_bytes > most_bytes:
        raise OSError(errno.EFBIG, f"the snapshot has {size_bytes:,} bytes, and at most {most_bytes:,} of it are read")


def _own_lines(file: BinaryIO) -> Iterator[tuple[str, Any]]:
    """Yield id and record of each line as `write_snapshot` lays them out; InvalidRecord for any other layout."""
    line = file.readline(3)
    is_last = line != b"{\n"
    while not is_last:
        lines: list[bytes] = []
        size_bytes = 0
        while (
            not is_last and len(lines) < _CHUNK_RECORDS and size_bytes < MAX_LINE_BYTES
        ):  # parsed together: a call for each takes twice the time
            line = file.readline(MAX_LINE_BYTES)
            is_last = not line.endswith(b",\n")
            lines.append(line)
            size_bytes += len(line)
        body = parse_json(b"{" + b"".join(lines).rstrip(b",\n") + b"}")
        if len(body) != len(lines):
            raise InvalidRecord("The lines do not hold one record each.")
        yield from body.items()
    if not line.endswith(b"}\n") or file.read(3) != b"}\n":
        raise InvalidRecord("The file does not end as a snapshot does.")


def _collect(items: Iterable[tuple[str, Any]]) -> SnapshotContent:
    content = SnapshotContent(is_there=True)
    for identifier, value in items:
        number = value.get("n") if isinstance(value, dict) else None
        try:
            record = record_from_json(value)
            if record.id != identifier:
                raise InvalidRecord(f"It is listed under {identifier[:80]!r}, but is for {record.id[:80]!r}.")
            if type(number) is int and number > MAX_RUNNING_NUMBER:
                raise InvalidRecord("Its running number is more than 2 to the power of 53.")
        except (ValueError, RecursionError) as error:
            content.bad_count += 1
            if type(number) is int and content.seen_number < number <= RENUMBERED_ABOVE:
                content.seen_number = number
            if content.bad_count <= MOST_BAD_KEPT:
                content.bad_records[identifier[:80]] = str(error)[:MAX_REASON_CHARACTERS]
            continue
        content.records[identifier] = record
        if type(number) is int and number > content.last_number:
            content.last_number = number
    return content


class NewSnapshot:
    """A snapshot that is written beside the one at `path`, one record a line, and then put in its place.

    All errors before that are SnapshotNotWritten and leave nothing of it.
    """

    def __init__(self, path: Path, last_number: int) -> None:
        """Begin the file. Its first record will tell that all mutations up to `last_number` are in it."""
        self._path, self._number = path, last_number
        self._temporary = path.parent / os.fsdecode(temporary_name(os.fsencode(path.name)))
        self._separator = "{\n"
        try:
            self._file = self._temporary.open("xb")
        except OSError as error:
            raise self._not_written(error) from error

    def add(self, records: Iterable[ExportRecord]) -> None:
        """Write records, which must come sorted by id."""
        encode = _ENCODER.encode
        lines: list[str] = []
        with self._explaining():
            for record in records:
                body = record.to_json()
                if self._number and self._separator == "{\n" and not lines:
                    body["n"] = self._number
                lines.append(f"{encode(record.id)}:{encode(body)}")
                if len(lines) == _CHUNK_RECORDS:
                    self._put(lines)
                    lines.clear()
            if lines:
                self._put(lines)

    def finish(self) -> None:
        """Write the end and wait until the file is on the disk."""
        with self._explaining():
            self._file.write(b"{}\n" if self._separator == "{\n" else b"\n}\n")
            self._file.flush()
            set_mode(self._file.fileno(), 0o644)
            os.fsync(self._file.fileno())
            self._file.close()

    def put_in_place(self) -> None:
        """Rename the finished file; an OSError of the last step, the fsync of the folder, is raised as it is.

        Then the new name is there, but may not survive a power cut.
        """
        with self._explaining():
            os.replace(self._temporary, self._path)
        fsync_directory(self._path.parent)

    def abandon(self) -> None:
        """Remove what was written, and give its room on the disk back; does nothing once it is in place.

        What cannot be removed now is a leftover, for who opens the ledger next.
        """
        with suppress(OSError):  # writes what is in the buffer, for which there may be no room
            self._file.close()
        with suppress(OSError):
            remove_if_there(self._temporary)

    def _put(self, lines: list[str]) -> None:
        self._file.write((self._separator + ",\n".join(lines)).encode())
        self._separator = ",\n"

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.abandon()
            if isinstance(error, OSError):
                raise self._not_written(error) from error
            raise

    def _not_written(self, error: OSError) -> "SnapshotNotWritten":
        return SnapshotNotWritten(error.errno, error.strerror, str(self._path))


def write_snapshot(
    path: Path,
    records: Iterable[ExportRecord],
    last_number: int,
    *,
    before_replacing: Callable[[], None] = lambda: None,
) -> int:
    """Replace the snapshot at `path` durably: temporary file, fsync, rename, fsync of the folder. Errors as above.

    `records` must come sorted by id; returns how many they are. `before_replacing` may raise to leave the old one.
    """
    count = 0

    def counted() -> Iterator[ExportRecord]:
        nonlocal count
        for count, record in enumerate(records, start=1):  # noqa: B007
            yield record

    new = NewSnapshot(path, last_number)
    new.add(counted())
    new.finish()
    try:
        before_replacing()
    except BaseException:
        new.abandon()
        raise
    new.put_in_place()
    return count


class SnapshotNotWritten(OSError):
    """The new snapshot could not be written; the old one and the log are as they were."""


def remove_leftovers(path: Path) -> None:
    """Delete what processes killed while replacing the file `path` left; only for who holds the lock."""
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        if leftover.is_symlink() or not leftover.is_dir():  # a folder of that name is nothing that was left
            remove_if_there(leftover)


def broken_name(path: Path, now: datetime) -> Path:
    """Return a free name beside `path` to keep its broken bytes under: `….broken-20250210T100000Z`."""
    stem = f"{path.name}.broken-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    candidate = path.with_name(stem)
    number = 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{stem}-{number}")
    return candidate


def keep_aside(path: Path, aside: Path, *, is_moved: bool) -> None:
    """Keep the bytes of `path` under the new name `aside`, durably; `is_moved` takes them away from `path`. OSError."""
    if is_moved:
        os.rename(path, aside)
    else:
        try:
            os.link(path, aside)
        except OSError:  # a file system without hard links
            shutil.copyfile(path, aside)
            with aside.open("rb") as file:
                os.fsync(file.fileno())
    fsync_directory(path.parent)
