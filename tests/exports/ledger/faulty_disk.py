"""A disk that fails or loses power at a chosen operation, put under the real file calls of a test."""

import errno
import io
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

OPERATIONS = ("write", "pwrite", "fsync", "replace", "rename", "ftruncate", "link", "unlink")


class CountedFile(io.FileIO):
    """A file whose buffer is emptied by `os.write`, so that it is among the operations that can fail."""

    def write(self, data: Any, /) -> int:
        return os.write(self.fileno(), bytes(data))


def open_counted(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
    """Open new files of bytes, as snapshots are, with a counted buffer, and all others as ever."""
    if mode == "xb":
        return io.BufferedWriter(CountedFile(path, "xb"))
    return open(path, mode, *args, **kwargs)


class PowerCut(BaseException):
    """The machine stops here: no handler may touch a file any more."""


class FaultyDisk:
    """Counts the file operations below `folder`; number `at` fails with `error`, or the power goes if that is None.

    `part` of the data of the failing write reaches the file. Knows what had been made durable by then.
    """

    def __init__(self, folder: Path, at: int, *, error: int | None = None, part: float = 0.5) -> None:
        self.folder, self.at, self.error, self.part = folder, at, error, part
        self.count = 0
        self.is_dead = False
        self.log: list[str] = []
        self._real = {name: getattr(os, name) for name in OPERATIONS}
        self._durable_content: dict[int, bytes] = {}
        self._held: list[int] = []
        self._durable_names = self._names()
        for name in self._durable_names:
            self._keep_content(folder / name)

    @contextmanager
    def mounted(self) -> Iterator["FaultyDisk"]:
        for name in OPERATIONS:
            setattr(os, name, self._wrap(name))
        opened = Path.open
        Path.open = open_counted  # type: ignore[method-assign,assignment]
        try:
            yield self
        finally:
            Path.open = opened  # type: ignore[method-assign]
            for name, real in self._real.items():
                setattr(os, name, real)

    def _wrap(self, name: str) -> Any:
        real = self._real[name]

        def operate(*args: Any, **kwargs: Any) -> Any:
            if self.is_dead:
                raise PowerCut
            number, self.count = self.count, self.count + 1
            self.log.append(name)
            if number == self.at:
                if name in ("write", "pwrite"):
                    real(args[0], args[1][: int(len(args[1]) * self.part)], *args[2:])
                if self.error is None:
                    self.is_dead = True
                    raise PowerCut
                raise OSError(self.error, os.strerror(self.error))
            result = real(*args, **kwargs)
            if name == "fsync":
                self._made_durable(args[0])
            return result

        return operate

    def _names(self) -> dict[str, int]:
        return {entry.name: entry.inode() for entry in os.scandir(self.folder) if entry.is_file(follow_symlinks=False)}

    def _keep_content(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY)  # stays open, so that the inode's number is not used again
        self._held.append(descriptor)
        self._durable_content[os.fstat(descriptor).st_ino] = path.read_bytes()

    def _made_durable(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}")
        if path.is_dir():
            self._durable_names = self._names()
        else:
            self._keep_content(path)

    def lose_power(self, target: Path, chance: random.Random) -> None:
        """Build in `target` what a disk may hold after the cut: any mix of durable and not yet durable."""
        current = self._names()
        content = {inode: (self.folder / name).read_bytes() for name, inode in current.items()}
        for descriptor in self._held:
            inode = os.fstat(descriptor).st_ino
            content.setdefault(inode, os.pread(descriptor, os.fstat(descriptor).st_size, 0))
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        for name in self._durable_names.keys() | current.keys():
            states = [names.get(name) for names in (self._durable_names, current)]
            inode = chance.choice(states)
            if inode is not None:
                target.joinpath(name).write_bytes(
                    chance.choice([self._durable_content.get(inode, b""), content.get(inode, b"")])
                )

    def close(self) -> None:
        for descriptor in self._held:
            os.close(descriptor)
        self._held.clear()


NO_SPACE, BAD_DISK = errno.ENOSPC, errno.EIO
