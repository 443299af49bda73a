"""Makes one file of a finished backup folder: a ZIP, or a ZIP encrypted by age."""

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from exports.formats.sink import PARTIAL_PREFIX, give_up_partial
from exports.formats.zip_stream import stream_export_folder
from exports.models import Backup
from photolala.lib.files import fsync_directory

from .encryption import encrypt


@dataclass(frozen=True)
class Packed:
    """A finished file that has not its name yet."""

    temporary: Path
    size_bytes: int
    sha256: str

    def publish(self, target: Path) -> None:
        """Give the file its name. OSError if it is not there any more."""
        os.rename(self.temporary, target)
        fsync_directory(target.parent)


class _Measured(io.RawIOBase):
    """Writes to a file, and knows size and SHA-256 of what was written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256, self.size_bytes = hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        self._file.write(data)
        self.sha256.update(data)
        self.size_bytes += len(data)
        return len(data)

    def flush(self) -> None:
        if not self._file.closed:
            self._file.flush()


class _Reader(io.RawIOBase):
    """Pieces of bytes as a stream to read."""

    def __init__(self, pieces: Iterator[bytes], on_chunk: Callable[[], None]) -> None:
        self._pieces, self._rest, self._on_chunk = pieces, b"", on_chunk

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._rest:
            self._on_chunk()
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = piece
        size = len(self._rest) if size < 0 else size
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


def pack(backup: Backup, folder: Path, token: int, on_chunk: Callable[[], None]) -> Packed:
    """Write the ZIP of `folder`, encrypted if the backup has a recipient, beside it; return it. OSError leaves nothing.

    `on_chunk` is called before each piece and may raise to stop. The ZIP itself is never on the disk if it is encrypted.
    """
    temporary = backup.parent_folder / f"{PARTIAL_PREFIX}{backup.pk}-{token}.zip"
    temporary.unlink(missing_ok=True)
    archive = _Reader(stream_export_folder(folder, backup.name).iter_range(), on_chunk)
    try:
        with temporary.open("xb", buffering=1 << 18) as file:
            sink = _Measured(file)
            if backup.recipient:
                encrypt(cast(BinaryIO, archive), cast(BinaryIO, sink), backup.recipient)
            else:
                while piece := archive.read():
                    sink.write(piece)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return Packed(temporary, sink.size_bytes, sink.sha256.hexdigest())


def remove_unfinished(backup: Backup, *, before: int | None = None, with_folders: bool = True) -> None:
    """Delete what runs of a backup left unfinished, with `before` only of runs whose token is less. OSError.

    Without folders the media that an earlier run has copied stay, for the next one.
    """
    prefix = f"{PARTIAL_PREFIX}{backup.pk}-"
    for path in backup.parent_folder.glob(f"{prefix}*"):
        token = path.name.removeprefix(prefix).removesuffix(".zip")
        if before is not None and token.isdecimal() and int(token) >= before:
            continue
        if not path.is_dir():
            path.unlink(missing_ok=True)
        elif with_folders:
            give_up_partial(path)
