"""The append-only log of a ledger: reads it with any damage, and appends so that nothing acknowledged is lost."""

import codecs
import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from exports.ledger.errors import InvalidRecord
from exports.ledger.mutations import MAX_LINE_BYTES, Mutation, decode_mutation
from exports.ledger.numbering import number_in
from exports.ledger.regular import open_regular
from photolala.lib.files import fsync_directory, remove_if_there, temporary_name

MOST_BAD_KEPT = 100
_READ_BYTES = 1 << 20
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of the log that could not be used: its number (from 1), where it starts, and why."""

    line_number: int
    offset_bytes: int
    reason: str


@dataclass(slots=True)
class LogContent:
    """What a log holds: its mutations in order, the first hundred of `bad_count` bad lines, what to do about its end.

    `size_bytes` is the end of the last good line; beyond it are `torn_bytes` of an append that never finished.
    `lacks_newline`: the last line is good but its newline is missing. `seen_number`: the highest in bad lines.
    """

    mutations: list[Mutation] = field(default_factory=list)
    bad_lines: list[BadLine] = field(default_factory=list)
    bad_count: int = 0
    size_bytes: int = 0
    torn_bytes: int = 0
    lacks_newline: bool = False
    missing_numbers: int = 0
    seen_number: int = 0


def read_log(path: Path) -> LogContent:
    """Read the log at `path`; no file counts as an empty log. Raises OSError if the disk does not give it."""
    content = LogContent()
    try:
        file = open(open_regular(path), "rb")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        return content
    with file:
        offset = 0
        last_number = 0
        for line_number, (line, length_bytes) in enumerate(_lines(file), start=1):
            is_whole = line.endswith(b"\n")
            mutation, reason = _decode(line)
            if mutation:
                content.mutations.append(mutation)
                content.lacks_newline = not is_whole
                if mutation.number and last_number and mutation.number > last_number + 1:
                    content.missing_numbers += mutation.number - last_number - 1
                last_number = mutation.number or last_number
            elif not is_whole:
                content.torn_bytes = length_bytes
                break
            elif reason:
                content.bad_count += 1
                content.seen_number = max(content.seen_number, number_in(line))
                if content.bad_count <= MOST_BAD_KEPT:
                    content.bad_lines.append(BadLine(line_number, offset, reason))
            offset += length_bytes
            content.size_bytes = offset
    return content


def _decode(line: bytes) -> tuple[Mutation | None, str | None]:
    line = line.removeprefix(codecs.BOM_UTF8)  # editors put one before the first line; it says nothing
    if not line.strip():
        return None, None  # an empty line says nothing and harms nothing
    if len(line) > MAX_LINE_BYTES:
        return None, f"The line is longer than {MAX_LINE_BYTES:,} bytes."
    try:
        return decode_mutation(line), None
    except InvalidRecord as error:
        return None, str(error)


def _lines(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield each line and its length; of one far too long only the first bytes, so that damage costs no memory."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        length = len(line)
        kept = line
        while line and not line.endswith(b"\n"):
            line = file.readline(_READ_BYTES)
            length += len(line)
        if length > len(kept):
            kept += line[-1:]  # tells whether it ended
        yield kept, length


class AppendLog:
    """The log, open for appending. Every error of a write or fsync is final: the owner must stop and open anew."""

    def __init__(self, path: Path, content: LogContent) -> None:
        """Open `path` (made if missing) and repair its end as `content` tells: cut a torn line, add a newline."""
        self.path = path
        is_new = not path.exists()
        self._descriptor = open_regular(path, _FLAGS)
        try:
            if content.torn_bytes:
                os.ftruncate(self._descriptor, content.size_bytes)
                os.fsync(self._descriptor)
            if content.lacks_newline:
                self.append(b"\n")
            if is_new:
                fsync_directory(path.parent)
        except BaseException:
            self.close()
            raise

    def append(self, lines: bytes) -> None:
        """Write whole `lines` at the end and return when they are on the disk."""
        _write_all(self._descriptor, lines)
        os.fsync(self._descriptor)

    def clear(self) -> None:
        """Empty the log, durably. Only to be called once a snapshot that holds all of it is on the disk."""
        os.ftruncate(self._descriptor, 0)
        os.fsync(self._descriptor)

    @property
    def size_bytes(self) -> int:
        """How long the log is now."""
        return os.fstat(self._descriptor).st_size

    def drop_head(self, count_bytes: int) -> None:
        """Keep only what follows the first `count_bytes`, durably; same rule as for `clear`, of those bytes.

        LogNotShortened if there is no room or no right to: then the log is as it was.
        """
        rest_bytes = self.size_bytes - count_bytes
        if not rest_bytes:
            self.clear()
            return
        temporary = self.path.parent / os.fsdecode(temporary_name(os.fsencode(self.path.name)))
        try:
            fresh = os.open(temporary, _FLAGS | os.O_EXCL, 0o644)
            try:
                while chunk := os.pread(self._descriptor, _READ_BYTES, count_bytes):
                    count_bytes += len(chunk)
                    _write_all(fresh, chunk)
                os.fsync(fresh)
                identity = _identity(fresh)
            finally:
                os.close(fresh)
        except BaseException as error:
            remove_if_there(temporary)
            if isinstance(error, OSError):
                raise LogNotShortened(error.errno, error.strerror, str(self.path)) from error
            raise
        self._replace(lambda: os.replace(temporary, self.path), identity, temporary)
        fsync_directory(self.path.parent)

    def _replace(self, rename: Callable[[], None], identity: tuple[int, int], temporary: Path) -> None:
        """Rename while neither file is open: a network drive of Windows refuses to replace one that is.

        LogNotShortened if it refuses for another reason, such as that somebody else reads the log: then it is as it was.
        """
        before = _identity(self._descriptor)
        self.close()
        try:
            rename()
        except OSError as error:
            self._reopen(before)
            remove_if_there(temporary)
            raise LogNotShortened(error.errno, error.strerror, str(self.path)) from error
        self._reopen(identity)

    def _reopen(self, identity: tuple[int, int]) -> None:
        """Open the log again; OSError if the file of that name is not the one of that identity."""
        descriptor = open_regular(self.path, _FLAGS & ~os.O_CREAT)
        if _identity(descriptor) != identity:
            os.close(descriptor)
            raise OSError(errno.ESTALE, "another file is in place of the log")
        self._descriptor = descriptor

    def start_anew(self, aside: Path) -> None:
        """Keep the log, bad lines and all, as `aside` and continue with an empty one; same rule as for `clear`."""
        self.close()  # a network drive of Windows renames no open file
        os.rename(self.path, aside)
        self._descriptor = os.open(self.path, _FLAGS | os.O_EXCL, 0o644)
        fsync_directory(self.path.parent)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


class LogNotShortened(OSError):
    """The log could not be replaced by its later part; it is as it was."""


def _identity(descriptor: int) -> tuple[int, int]:
    facts = os.fstat(descriptor)
    return facts.st_ino, facts.st_size


def _write_all(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):  # a nearly full disk takes a part; the next write tells why
        written += os.write(descriptor, data[written:])
