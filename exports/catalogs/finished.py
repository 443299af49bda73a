"""What of an unfinished export is finished: listed in its partial folder, for the run that continues after a kill.

The list's first line is of the rows, which are one file of one moment; each further line is of one original. Lines do not
wait for the disk: one that a power cut takes costs one more copy, and what is listed is proven before it is relied on.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from stat import S_ISREG
from typing import IO, Any, Self

from exports.formats.manifest import ManifestFile, check_export_path
from photolala.lib.files import atomic_write
from photolala.lib.process import boot_id

LIST_NAME = ".finished.jsonl"
ORIGINALS_NAME = ".originals.jsonl"
"""The originals to copy, as the moment of the rows had them (`exports.reading.originals`)."""
SCRATCH_NAMES = (LIST_NAME, ORIGINALS_NAME)
VERSION = 1
READ_BYTES = 1 << 20
Seal = list[Any]
"""Identity of a file that changes with every write to it: boot, inode, size, times of the last change. JSON."""


@dataclass(frozen=True)
class FinishedRows:
    """The data file, and what else one moment told: photos, albums, originals to copy, and those that had no file to copy."""

    file: ManifestFile
    photo_count: int
    original_count: int = 0
    originals_sha256: str = ""
    problem_count: int = 0
    problems: tuple[dict[str, str], ...] = ()
    albums: ManifestFile | None = None

    @property
    def files(self) -> list[ManifestFile]:
        """The data file, and that of the albums if there are any."""
        return [self.file] if self.albums is None else [self.file, self.albums]


class FinishedFiles:
    """The list of a run that works on `folder`: each file is added when it is whole and on the disk."""

    def __init__(self, folder: Path, rows: FinishedRows, media: Iterable[ManifestFile] = ()) -> None:
        """Write the list anew, in place of an earlier run's, which may still have that open."""
        self.folder, self.rows = folder, rows
        self.media = {file.path: file for file in media}
        first = {"version": VERSION, **asdict(rows), "seal": _seal(folder / rows.file.path)}
        lines = [json.dumps(first) + "\n", *(self._line(file) for file in self.media.values())]
        atomic_write(folder / LIST_NAME, (line.encode() for line in lines))
        self._list: IO[str] = (folder / LIST_NAME).open("a", encoding="utf-8")

    def add(self, file: ManifestFile) -> None:
        """List a finished original."""
        self._list.write(self._line(file))
        self._list.flush()
        self.media[file.path] = file

    def close(self) -> None:
        """Close the list; safe to call twice."""
        self._list.close()

    def _line(self, file: ManifestFile) -> str:
        return json.dumps({**asdict(file), "seal": _seal(self.folder / file.path)}) + "\n"


@dataclass(frozen=True)
class ListedFiles:
    """What an earlier run says is finished in `folder`; nothing of it is proven yet."""

    folder: Path
    rows: FinishedRows
    rows_seal: Seal
    media: list[tuple[ManifestFile, Seal]]

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Return what is listed in `folder`; None without a readable list of this version. A torn last line is left out."""
        try:
            lines = (folder / LIST_NAME).read_text(encoding="utf-8").splitlines()
            first = json.loads(lines[0])
            seal = first.pop("seal")
            if first.pop("version") != VERSION:
                return None
            file = _file(first.pop("file"))
            albums = _file(first.pop("albums")) if first.get("albums") else None
            rows = FinishedRows(file, **{**first, "problems": tuple(first["problems"]), "albums": albums})
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None
        media: dict[str, tuple[ManifestFile, Seal]] = {}
        for line in lines[1:]:
            with suppress(ValueError, LookupError, TypeError, AttributeError):
                values = json.loads(line)
                entry_seal = values.pop("seal")
                entry = _file(values)
                media[entry.path] = (entry, entry_seal)
        return cls(folder, rows, seal, list(media.values()))

    def prove(self, on_chunk: Callable[[], None], on_file: Callable[[], None]) -> FinishedFiles | None:
        """Keep what is proven, delete every other file of the folder, and return the list to continue with.

        A file that nobody has written to since it was finished, in this boot, is as it was; of any other one all bytes are
        read, and must have the digest. None if the rows or the list of originals are not proven: the export begins anew.
        `on_chunk` is called before each MiB that is read and `on_file` after each original; both may raise to stop.
        """
        rows = self.rows
        if rows.originals_sha256 and _sha256(self.folder / ORIGINALS_NAME, on_chunk) != rows.originals_sha256:
            return None
        if not self._is_proven(rows.file, self.rows_seal, on_chunk):
            return None
        if rows.albums is not None and not self._is_proven(rows.albums, [], on_chunk):
            return None
        media = []
        for file, seal in self.media:
            if self._is_proven(file, seal, on_chunk):
                media.append(file)
            on_file()
        known = {*(file.path for file in rows.files), *SCRATCH_NAMES, *(file.path for file in media)}
        for parent, _, names in os.walk(self.folder):
            for name in names:
                path = Path(parent, name)
                if str(path.relative_to(self.folder)) not in known:
                    path.unlink()
        return FinishedFiles(self.folder, rows, media)

    def _is_proven(self, file: ManifestFile, seal: Seal, on_chunk: Callable[[], None]) -> bool:
        path = self.folder / file.path
        try:
            status = path.lstat()
            if not S_ISREG(status.st_mode) or status.st_size != file.size_bytes:
                return False
            return (bool(boot_id()) and _seal(path) == seal) or _sha256(path, on_chunk) == file.sha256
        except OSError:
            return False


def _file(values: dict[str, Any]) -> ManifestFile:
    check_export_path(values["path"])
    return ManifestFile(**values)


def _seal(path: Path) -> Seal:
    status = path.lstat()
    return [boot_id(), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex. OSError."""
    return _sha256(path, lambda: None)


def _sha256(path: Path, on_chunk: Callable[[], None]) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while True:
            on_chunk()
            chunk = file.read(READ_BYTES)
            if not chunk:
                return digest.hexdigest()
            digest.update(chunk)
