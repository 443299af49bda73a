"""The snapshot of a ledger: one JSON object from asset id to record, replaced as a whole; broken ones are kept."""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from exports.ledger.errors import InvalidRecord
from exports.ledger.mutations import parse_json
from exports.ledger.records import ExportRecord, record_from_json
from photolala.lib.files import fsync_directory, remove_if_there, temporary_name

_CHUNK_RECORDS = 500
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


@dataclass(slots=True)
class SnapshotContent:
    """What a snapshot holds. `last_number`: all mutations up to this running number are in it (0: unknown).

    `problem`: why nothing of it could be read. `bad_records`: why single records could not, by asset id.
    """

    records: dict[str, ExportRecord] = field(default_factory=dict)
    last_number: int = 0
    is_there: bool = False
    problem: str | None = None
    bad_records: dict[str, str] = field(default_factory=dict)


def read_snapshot(path: Path) -> SnapshotContent:
    """Read the snapshot at `path`; damage is described in the answer, OSError means that the disk did not give it."""
    if not path.exists():
        return SnapshotContent()
    try:  # line by line takes a third of the memory
        return _collect(_own_lines(path))
    except InvalidRecord:  # not in this program's layout, or damaged: the whole of it tells which
        try:
            body = parse_json(path.read_bytes())
            if not isinstance(body, dict):
                raise InvalidRecord("The file is not a JSON object.")
        except InvalidRecord as error:
            return SnapshotContent(is_there=True, problem=str(error))
        return _collect(body.items())


def _own_lines(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield id and record of each line as `write_snapshot` lays them out; InvalidRecord for any other layout."""
    with path.open("rb") as file:
        line = file.readline(3)
        is_last = line != b"{\n"
        while not is_last:
            line = file.readline()
            is_last = not line.endswith(b",\n")
            body = parse_json(b"{" + line.rstrip(b",\n") + b"}")
            if len(body) != 1:
                raise InvalidRecord("The line does not hold one record.")
            yield from body.items()
        if not line.endswith(b"}\n") or file.read() != b"}\n":
            raise InvalidRecord("The file does not end as a snapshot does.")


def _collect(items: Iterable[tuple[str, Any]]) -> SnapshotContent:
    content = SnapshotContent(is_there=True)
    for identifier, value in items:
        try:
            record = record_from_json(value)
            if record.id != identifier:
                raise InvalidRecord(f"It is listed under {identifier[:80]!r}, but is for {record.id[:80]!r}.")
        except InvalidRecord as error:
            content.bad_records[identifier] = str(error)
            continue
        content.records[identifier] = record
        number = value.get("n")
        if type(number) is int and number > content.last_number:
            content.last_number = number
    return content


def write_snapshot(path: Path, records: Iterable[ExportRecord], last_number: int) -> None:
    """Replace the snapshot at `path` durably: temporary file, fsync, rename, fsync of the folder.

    `records` must come sorted by id. OSError before the rename leaves all as it was (SnapshotNotWritten); an OSError
    of the last step means that the new name may not survive a power cut, and is raised as it is.
    """
    temporary = path.parent / os.fsdecode(temporary_name(os.fsencode(path.name)))
    try:
        with temporary.open("xb") as file:
            file.writelines(_chunks(records, last_number))
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        remove_if_there(temporary)
        if isinstance(error, OSError):
            raise SnapshotNotWritten(error.errno, error.strerror, str(path)) from error
        raise
    fsync_directory(path.parent)


class SnapshotNotWritten(OSError):
    """The new snapshot could not be written; the old one and the log are as they were."""


def remove_leftovers(path: Path) -> None:
    """Delete what processes killed while writing the snapshot `path` left; only for who holds the lock."""
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        remove_if_there(leftover)


def _chunks(records: Iterable[ExportRecord], last_number: int) -> Iterator[bytes]:
    """Yield the bytes of the file, one record a line. The first record tells up to which number the snapshot goes."""
    encode = _ENCODER.encode
    lines: list[str] = []
    opening = "{\n"
    for record in records:
        body = record.to_json()
        if opening == "{\n" and not lines and last_number:
            body["n"] = last_number
        lines.append(f"{encode(record.id)}:{encode(body)}")
        if len(lines) == _CHUNK_RECORDS:
            yield (opening + ",\n".join(lines)).encode()
            opening = ",\n"
            lines.clear()
    if lines:
        yield (opening + ",\n".join(lines)).encode()
        opening = ",\n"
    yield b"{}\n" if opening == "{\n" else b"\n}\n"


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
