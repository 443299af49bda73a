"""Write into a place for snapshots as one claim of an operation: who was overtaken by a later claim changes nothing there.

A writer can be stopped at any instruction, and wake long after another took its work over. So every step that replaces or
removes something is a rename from or to a hidden name that carries the claim: the successor removes the names of earlier
claims before it begins, and then the late writer's rename finds nothing. Between making the hidden name and renaming it the
claim is checked: who made the name too late for the successor to see it finds that out there.
"""

import os
import re
from contextlib import suppress
from typing import BinaryIO, Protocol

from catalog.snapshots.location import FolderLocation, Location, copy_in
from catalog.snapshots.publish import read_pointer
from catalog.snapshots.schema import md5_of_name
from photolala.lib.files import fsync_directory, fsync_file, remove_if_there

_CLAIMED = re.compile(r"(\.photolala\..+)\.claim-([0-9a-f]{16}-[0-9]{6,})\.(tmp|old)")


class Claim(Protocol):
    """Somebody's right to publish for a library. Later claims have greater names."""

    name: str
    """16 hex digits, a hyphen, at least six digits."""

    def check(self) -> None:
        """Raise if somebody else has the right by now."""


def claimed(location: Location, claim: Claim) -> "ClaimedLocation":
    """Return `location` for writing as `claim` alone; call its `clear` before the first writing."""
    return ClaimedFolder(location, claim) if isinstance(location, FolderLocation) else ClaimedLocation(location, claim)


class ClaimedLocation:
    """An object store: it has no renames, so the claim is checked right before each request."""

    def __init__(self, location: Location, claim: Claim) -> None:
        self.label = location.label
        self._location = location
        self._claim = claim

    def clear(self) -> None:
        """Make sure that earlier claims change nothing any more, and remove what they left unfinished."""
        self._claim.check()

    def names(self) -> list[str]:
        """Return the names there, as the location does."""
        return self._location.names()

    def open(self, name: str) -> BinaryIO:
        """Open a file, as the location does."""
        return self._location.open(name)

    def written_at(self, name: str) -> float | None:
        """Return when a file was written, in seconds since 1970; None where the location does not tell."""
        return self._location.written_at(name) if isinstance(self._location, FolderLocation) else None

    def put_file(self, name: str, path: str) -> None:
        """Store a copy of the local file `path`."""
        self._claim.check()
        self._location.put_file(name, path)

    def put_bytes(self, name: str, data: bytes) -> None:
        """Replace `name`."""
        self._claim.check()
        self._location.put_bytes(name, data)

    def delete(self, name: str) -> None:
        """Delete `name`."""
        self._claim.check()
        self._location.delete(name)

    def rename(self, name: str, new_name: str) -> None:
        """Give a file another name."""
        self._claim.check()
        self._location.rename(name, new_name)


class ClaimedFolder(ClaimedLocation):
    """A folder: all steps that replace or remove something are renames under the claim's own names."""

    def __init__(self, location: FolderLocation, claim: Claim) -> None:
        super().__init__(location, claim)
        self._folder: FolderLocation = location

    def clear(self) -> None:
        """Remove what earlier claims left; a snapshot that was being removed comes back if the pointer names it."""
        self._claim.check()
        left = [found for name in self.names() if (found := _CLAIMED.fullmatch(name))]
        for found in left:
            name, owner, kind = found.groups()
            if owner >= self._claim.name:
                continue
            with suppress(OSError):  # in a folder that takes nothing nobody can be late
                if kind == "old" and self._is_needed(name):
                    os.rename(self._folder.path(found.group()), self._folder.path(name))
                else:
                    remove_if_there(self._folder.path(found.group()))

    def put_file(self, name: str, path: str) -> None:
        """Store a copy of the local file `path`."""
        self._folder.prepare()
        temporary = self._own(name, "tmp")
        try:
            remove_if_there(temporary)
            copy_in(path, temporary)
            fsync_file(temporary)
            self._replace(temporary, name)
        except BaseException:
            remove_if_there(temporary)
            raise

    def put_bytes(self, name: str, data: bytes) -> None:
        """Replace `name` in one step, durably."""
        self._folder.prepare()
        temporary = self._own(name, "tmp")
        try:
            remove_if_there(temporary)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            self._replace(temporary, name)
        except BaseException:
            remove_if_there(temporary)
            raise

    def delete(self, name: str) -> None:
        """Delete `name`; nothing happens if it is not there."""
        self._claim.check()
        aside = self._own(name, "old")
        try:
            self._rename(self._folder.path(name), aside)
        except FileNotFoundError:
            return
        try:
            self._claim.check()
        except BaseException:
            with suppress(
                FileExistsError, FileNotFoundError
            ):  # it was renamed by mistake, under a name of this claim's own
                os.link(aside, self._folder.path(name))
            remove_if_there(aside)
            raise
        remove_if_there(aside)
        fsync_directory(os.path.dirname(aside))

    def _replace(self, temporary: bytes, name: str) -> None:
        self._claim.check()
        try:
            self._rename(temporary, self._folder.path(name))
        except FileNotFoundError:
            self._claim.check()  # a successor took it away
            raise
        fsync_directory(os.path.dirname(temporary))

    def _rename(self, source: bytes, target: bytes) -> None:
        os.rename(source, target)

    def _own(self, name: str, kind: str) -> bytes:
        return self._folder.path(f"{name}.claim-{self._claim.name}.{kind}")

    def _is_needed(self, name: str) -> bool:
        pointer = read_pointer(self)
        return name not in self.names() and pointer is not None and md5_of_name(name) in pointer.md5s
