"""Finds the snapshot to open: the root's latest, its earlier ones, the cache's, or none, which means rebuild."""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO

from catalog.snapshots.location import Location
from catalog.snapshots.publish import read_pointer
from catalog.snapshots.read import Snapshot, open_snapshot
from catalog.snapshots.schema import SnapshotBroken, SnapshotUnusable, snapshot_name
from photolala.lib.files import remove_if_there

MAX_SNAPSHOT_BYTES = 32 << 30
"""A larger file in the root is not copied: some 40 million photos are less."""
ROOM_BYTES = 512 << 20
"""A large copy leaves as much of the disk."""
_LOOK_EVERY = 64


@dataclass(slots=True)
class Choice:
    """What was found. `snapshot` is None if nothing could be used: then the catalog is rebuilt from the files.

    `snapshot` reads the copy at `working_path`, which the caller deletes after closing it. `is_latest` is False if a
    newer snapshot than this one is known but could not be used. `notes` are sentences on everything that was tried.
    """

    snapshot: Snapshot | None = None
    working_path: str | None = None
    label: str = ""
    is_latest: bool = True
    notes: list[str] = field(default_factory=list)


def choose_snapshot(
    root: Location | None, cache: Location, working_folder: str | os.PathLike[str], *, now: datetime | None = None
) -> Choice:
    """Copy the best usable snapshot into `working_folder` and open it there.

    Order: root pointer, its earlier lines, cache pointer, its earlier lines; but the cache comes first if the root's
    latest is one of the cache's earlier ones (a root that can no longer be written grows stale). Damaged snapshots are
    renamed `….broken-<UTC>`, never deleted. Raises OSError only if `working_folder` cannot be written.
    """
    choice = Choice()
    stamp = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    for location, md5 in _candidates(root, cache, choice.notes):
        name = snapshot_name(md5)
        working_path = os.path.join(os.fspath(working_folder), name)  # noqa: PTH118
        try:
            _copy(location, name, working_path)
            choice.snapshot = open_snapshot(working_path, md5)
        except FileNotFoundError:
            choice.notes.append(f"The pointer of {location.label} names {name}, which is not there.")
        except SnapshotUnusable as error:
            choice.notes.append(f"In {location.label}: {error}")
            if isinstance(error, SnapshotBroken):
                _set_aside(location, name, stamp, choice.notes)
        except _Unreadable as error:
            choice.notes.append(f"{name} in {location.label} cannot be read now: {error}.")
        else:
            choice.label, choice.working_path = location.label, working_path
            return choice
        remove_if_there(working_path)
        choice.is_latest = False
    choice.notes.append("No snapshot could be used; the catalog has to be rebuilt from the files.")
    return choice


class _Unreadable(Exception):
    """Reading the source of a copy failed; an OSError of the working folder is another matter."""


def _candidates(root: Location | None, cache: Location, notes: list[str]) -> Iterator[tuple[Location, str]]:
    cached = _lines(cache, notes)
    if root is None:
        yield from ((cache, md5) for md5 in cached)
        return
    rooted = _lines(root, notes)
    first, second = [(root, md5) for md5 in rooted], [(cache, md5) for md5 in cached]
    if rooted and rooted[0] in cached[1:] and cached[0] not in rooted[1:]:
        notes.append(f"The pointer of {root.label} is older than that of {cache.label}, which is used first.")
        first, second = second, first
    yield from first
    yield from second


def _lines(location: Location, notes: list[str]) -> tuple[str, ...]:
    try:
        pointer = read_pointer(location)
    except OSError as error:
        notes.append(f"The pointer of {location.label} cannot be read: {error.strerror or error}.")
        return ()
    if pointer is None:
        notes.append(f"There is no pointer in {location.label}.")
        return ()
    notes += [f"In {location.label}: {note}" for note in pointer.notes]
    return pointer.md5s


def _copy(location: Location, name: str, target: str) -> None:
    """Copy the snapshot to where no one else can write: what is verified must not change before it is read."""
    try:
        source = location.open(name)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _Unreadable(error.strerror or str(error)) from error
    with source, open(target, "wb") as copy:
        for number, chunk in enumerate(_chunks(source)):
            if number % _LOOK_EVERY == _LOOK_EVERY - 1:
                _require_room(copy.fileno())
            copy.write(chunk)


def _require_room(descriptor: int) -> None:
    """Raise OSError (ENOSPC) before a large copy takes the last of the disk: others write there, too."""
    facts = os.fstatvfs(descriptor)
    if facts.f_blocks and facts.f_bavail * facts.f_frsize < ROOM_BYTES:
        raise OSError(errno.ENOSPC, "There is no room for a copy of the snapshot")


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    total_bytes = 0
    while True:
        try:
            chunk = source.read(1 << 20)
        except OSError as error:
            raise _Unreadable(error.strerror or str(error)) from error
        if not chunk:
            return
        total_bytes += len(chunk)
        if total_bytes > MAX_SNAPSHOT_BYTES:
            raise _Unreadable(f"it has more than {MAX_SNAPSHOT_BYTES} bytes")
        yield chunk


def _set_aside(location: Location, name: str, stamp: str, notes: list[str]) -> None:
    aside = f"{name}.broken-{stamp}"
    try:
        taken = set(location.names())
        number = 1
        while aside in taken:
            number += 1
            aside = f"{name}.broken-{stamp}-{number}"
        location.rename(name, aside)
    except OSError as error:
        notes.append(
            f"{name} could not be set aside in {location.label} ({error.strerror or error}); it stays there unused."
        )
    else:
        notes.append(f"It was kept as {aside}.")
