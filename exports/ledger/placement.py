"""Where a photo goes in an export destination: its folder by capture time, and a safe way to open that folder."""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from exports.ledger.errors import InvalidRecord, advice_for
from exports.ledger.names import TakenNames, check_rel_path
from exports.ledger.store import Place
from exports.ledger.templates import Template
from photolala.lib.files import fsync_directory, open_real_folder
from photolala.lib.paths import escape_path, unescape_path

DEFAULT_TEMPLATE = "{year}/{month}/"
"""If nothing else is wished, by the API and commands."""
PROPOSED_TEMPLATE = "{library}/{year}/{month}/{original_name}"
"""What the page proposes for a new destination: photos keep their names, but for what some disk does not take."""
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class FolderUnavailable(OSError):
    """The export folder cannot be made or opened; its text tells why and what to do. Nothing was written."""


class UnsafeFolder(OSError):
    """A part of the export folder is a symlink or no folder; nothing was written."""


def place_for(
    taken_local: datetime, template: str = DEFAULT_TEMPLATE, values: Mapping[str, str] | None = None
) -> Place:
    """Return where a photo taken at `taken_local` (wall clock) goes: its month, and the folder that `template` gives.

    Templates know `{year}` `{month}` `{day}` and the names in `values`, whose texts are made fit to be one folder name
    each. Raises InvalidRecord for a template that names something else or leads out of the destination.
    """
    values = values or {}
    return place_in(Template(template, frozenset(values)), taken_local, values)


def place_in(template: Template, taken_local: datetime, values: Mapping[str, str]) -> Place:
    """Return where a photo goes by a template that was read already. Raises InvalidRecord, as `place_for`."""
    rel_path = template.folder(taken_local, values)
    check_rel_path(rel_path)
    _folder_bytes(rel_path)
    return Place(taken_local.year, taken_local.month, rel_path)


def choose_filename(name: str, taken: TakenNames) -> str:
    """Return the name on disk for the cataloged, escaped `name`: itself or its next free number."""
    return taken.claim(os.fsdecode(unescape_path(name)))


def recorded_name(filename: str) -> str:
    """Return the text by which a record names the file `filename` of the file system."""
    return escape_path(filename)


def _folder_bytes(rel_path: str) -> bytes:
    """Return the path that `rel_path` (escaped text) means; InvalidRecord if it means none."""
    try:
        path = unescape_path(rel_path.rstrip("/"))
    except ValueError as error:
        raise InvalidRecord(f"The export folder {rel_path[:200]!r} cannot be used: {error}"[:500]) from error
    if b"\0" in path:
        raise InvalidRecord(f"The export folder {rel_path[:200]!r} stands for a NUL character, which no name can hold.")
    return path


class DestinationFolder:
    """An open folder below a destination, made if missing, reached without following any symlink; a context manager."""

    def __init__(self, root: Path, rel_path: str) -> None:
        """Open `root`/`rel_path` (escaped text). UnsafeFolder if a part is a link or a file, else FolderUnavailable.

        `root` itself must be reached over no link either: a folder that was swapped for one gets nothing.
        """
        check_rel_path(rel_path)
        self.root, self.rel_path = root, rel_path
        self.descriptor = -1
        try:
            self.descriptor = open_real_folder(os.fsencode(root))
            for part in _folder_bytes(rel_path).split(b"/"):
                self._enter(part)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError) and not isinstance(error, UnsafeFolder):
                raise FolderUnavailable(
                    f"The folder {self} cannot be opened ({error.strerror}); nothing was written. {advice_for(error)}"
                ) from error
            raise

    def _enter(self, part: bytes) -> None:
        try:
            inner = os.open(part, _FOLDER_FLAGS, dir_fd=self.descriptor)
        except FileNotFoundError:
            os.mkdir(part, 0o755, dir_fd=self.descriptor)
            os.fsync(self.descriptor)
            inner = os.open(part, _FOLDER_FLAGS, dir_fd=self.descriptor)
        except NotADirectoryError as error:  # what O_NOFOLLOW with O_DIRECTORY answers to a symlink, too
            raise UnsafeFolder(
                f"'{escape_path(part)}' in {self} is a link or a file, not a folder; nothing was written. "
                "Rename it, or choose another folder template."
            ) from error
        self.close()
        self.descriptor = inner

    def names(self) -> list[str]:
        """Return the names of all that is in the folder."""
        return os.listdir(self.descriptor)

    def sync(self) -> None:
        """Wait until the names in the folder are on the disk."""
        fsync_directory(f"/proc/self/fd/{self.descriptor}")

    def close(self) -> None:
        """Close the folder; safe to call twice."""
        if self.descriptor >= 0:
            descriptor, self.descriptor = self.descriptor, -1
            os.close(descriptor)

    def __str__(self) -> str:
        """Return the folder's full path in escaped form, for sentences: records and databases take no other text."""
        return f"{escape_path(os.fsencode(self.root))}/{self.rel_path}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
