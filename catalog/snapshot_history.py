"""A library's snapshots over time: what differs between two, whether they are whole, and which are still kept."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from catalog.snapshots.location import Location
from catalog.snapshots.pointer import POINTER_NAME, format_pointer
from catalog.snapshots.publish import read_pointer
from catalog.snapshots.read import Snapshot, open_snapshot
from catalog.snapshots.schema import EntryRow, SnapshotUnusable, md5_of_name, snapshot_name
from operations.models import ACTIVE, Operation

from . import publishing
from .locations import COPIES_LABEL, cache_location, copies_location, root_location
from .models import Library
from .source_for import source_for
from .working import working_folder

MOST_LISTED = 100
MOST_COMPARED = 500_000
"""Entries of both snapshots that a web request compares, in some seconds; the command compares any number."""
_FACTS = tuple(name for name in EntryRow._fields if name not in ("path", "filename"))


class SnapshotNotKept(Exception):
    """The snapshot cannot be had; the text is a sentence that says where was looked and what was found."""


@dataclass(frozen=True)
class Changed:
    """An entry that both snapshots have at the same path; `fields` are the names of what differs."""

    path: str
    fields: tuple[str, ...]


@dataclass
class Difference:
    """What `newer` has other than `older`. Counts are of all, lists hold the first ones by path."""

    older: str
    newer: str
    added_count: int = 0
    removed_count: int = 0
    changed_count: int = 0
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the API's body."""
        return {
            "older": self.older,
            "newer": self.newer,
            "added_count": self.added_count,
            "removed_count": self.removed_count,
            "changed_count": self.changed_count,
            "added": self.added,
            "removed": self.removed,
            "changed": [{"path": entry.path, "fields": list(entry.fields)} for entry in self.changed],
        }


@dataclass
class Verified:
    """What `verify` found and did. `problems` are sentences on what could not be repaired."""

    checked: int = 0
    set_aside: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def diff(older: Snapshot, newer: Snapshot, most_listed: int = MOST_LISTED) -> Difference:
    """Compare two open snapshots by path, a row at a time. Raises SnapshotBroken at a bad row."""
    found = Difference(older.md5, newer.md5)
    for before, after in _side_by_side(older.entries(), newer.entries()):
        if before is None and after is not None:
            found.added_count += 1
            if found.added_count <= most_listed:
                found.added.append(after.path)
        elif after is None and before is not None:
            found.removed_count += 1
            if found.removed_count <= most_listed:
                found.removed.append(before.path)
        elif before is not None and after is not None and before != after:
            found.changed_count += 1
            if found.changed_count <= most_listed:
                fields = tuple(name for name in _FACTS if getattr(before, name) != getattr(after, name))
                found.changed.append(Changed(after.path, fields))
    return found


def _side_by_side(
    older: Iterator[EntryRow], newer: Iterator[EntryRow]
) -> Iterator[tuple[EntryRow | None, EntryRow | None]]:
    """Merge two passes over entries in path order; SQLite's order of bytes is Python's order of characters."""
    before, after = next(older, None), next(newer, None)
    while before is not None or after is not None:
        if after is None or (before is not None and before.path < after.path):
            yield before, None
            before = next(older, None)
        elif before is None or after.path < before.path:
            yield None, after
            after = next(newer, None)
        else:
            yield before, after
            before, after = next(older, None), next(newer, None)


@contextmanager
def opened(library: Library, *md5s: str) -> Iterator[list[Snapshot]]:
    """Open verified private copies of the snapshots, from cache or root. Raises SnapshotNotKept, OSError."""
    with working_folder("history") as folder:
        snapshots: list[Snapshot] = []
        try:
            for md5 in dict.fromkeys(md5s):
                snapshots.append(open_copy(library, md5, folder))
            by_md5 = {snapshot.md5: snapshot for snapshot in snapshots}
            yield [by_md5[md5] for md5 in md5s]
        finally:
            for snapshot in snapshots:
                snapshot.close()


def diff_kept(library: Library, older: str, newer: str, most_listed: int = MOST_LISTED) -> Difference:
    """Compare two snapshots that the library still has, by their MD5s. Raises SnapshotNotKept."""
    with opened(library, older, newer) as (before, after):
        return diff(before, after, most_listed)


def open_copy(library: Library, md5: str, folder: Path) -> Snapshot:
    """Copy a snapshot into `folder` and open it there, the first of cache and root that is whole.

    Raises SnapshotNotKept, and OSError if `folder` cannot be written.
    """
    reasons = []
    target = folder / snapshot_name(md5)
    for location in all_places(library):
        try:
            _copy(location, md5, target)
            return open_snapshot(target, md5)
        except FileNotFoundError:
            reasons.append(f"{location.label} does not hold it")
        except (SnapshotUnusable, _Unreadable) as error:
            reasons.append(f"{location.label}: {str(error).rstrip('.')}")
    raise SnapshotNotKept(f"The snapshot {md5} cannot be used: {'; '.join(reasons)}. Nothing was changed.")


class _Unreadable(Exception):
    """Reading a place failed; an OSError of the working folder is another matter."""


def _copy(location: Location, md5: str, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        file = location.open(snapshot_name(md5))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _Unreadable(error.strerror or str(error)) from error
    with file, target.open("wb") as copy:
        shutil.copyfileobj(file, copy, 1 << 20)


def places(library: Library) -> list[Location]:
    """Return where the library's snapshots lie: the cache, and its root if that takes files."""
    root = root_location(library)
    cache = cache_location(root_md5(library))
    return [cache, root] if root else [cache]


def all_places(library: Library) -> list[Location]:
    """Return those, and where other copies are kept, if the administrator named such a place and it is there."""
    with suppress(OSError):
        if copies := copies_location(library):
            return [*places(library), copies]
    return places(library)


def root_md5(library: Library) -> str:
    """Return the name of the library's folder in the cache."""
    source = source_for(library)
    try:
        return source.root_md5
    finally:
        source.close()


def verify(library: Library) -> Verified:
    """Recompute the MD5 of every kept snapshot; replace what is damaged or lost in one place by the other's copy.

    A damaged file is never deleted: it is set aside as `….broken-<UTC>`.
    """
    verified = Verified()
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    locations = all_places(library)
    if settings.CATALOG_COPIES and len(locations) == len(places(library)):
        verified.problems.append(f"{COPIES_LABEL.capitalize()} is not there, so nothing in it was looked at.")
    whole: dict[str, list[Location]] = {}
    wanting: list[tuple[Location, str]] = []
    for location in locations:
        try:
            present = {md5 for name in location.names() if (md5 := md5_of_name(name))}
            pointer = read_pointer(location)
        except OSError as error:
            verified.problems.append(f"{location.label} cannot be read: {error.strerror or error}.")
            continue
        if pointer is not None:
            verified.problems += [f"In {location.label}: {note}" for note in pointer.notes]
        for md5 in sorted(present):
            verified.checked += 1
            try:
                is_whole = _is_whole(location, md5)
            except OSError as error:  # a disk that fails now is no proof against the file
                verified.problems.append(
                    f"{snapshot_name(md5)} in {location.label} cannot be read now: {error.strerror or error}."
                )
                continue
            if is_whole:
                whole.setdefault(md5, []).append(location)
            elif _set_aside(location, snapshot_name(md5), stamp, verified):
                wanting.append((location, md5))
        wanting += [(location, md5) for md5 in (pointer.md5s if pointer else ()) if md5 not in present]
    for location, md5 in wanting:
        _repair(location, md5, whole.get(md5, []), verified)
    publishing.mark_present(library, set(locations[0].names()), root_location(library))
    return verified


def _is_whole(location: Location, md5: str) -> bool:
    digest = hashlib.md5(usedforsecurity=False)
    with location.open(snapshot_name(md5)) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest() == md5


def _set_aside(location: Location, name: str, stamp: str, verified: Verified) -> bool:
    """Rename a damaged file; False, with a problem noted, if that cannot be: then it must stay as it is."""
    try:
        taken = set(location.names())
        aside, number = f"{name}.broken-{stamp}", 1
        while aside in taken:
            number += 1
            aside = f"{name}.broken-{stamp}-{number}"
        location.rename(name, aside)
    except OSError as error:
        verified.problems.append(
            f"{name} in {location.label} is damaged and could not be set aside: {error.strerror or error}."
        )
        return False
    verified.set_aside.append(f"{name} in {location.label} was damaged; it is kept as {aside}.")
    return True


def _repair(location: Location, md5: str, others: list[Location], verified: Verified) -> None:
    name = snapshot_name(md5)
    with working_folder("repair") as folder:
        for other in others:
            try:
                _copy(other, md5, folder / name)
                open_snapshot(folder / name, md5).close()
                location.put_file(name, str(folder / name))
            except (OSError, SnapshotUnusable, _Unreadable) as error:
                verified.problems.append(f"{name} in {location.label} could not be repaired: {error}")
            else:
                verified.repaired.append(f"{name} in {location.label} was copied anew from {other.label}.")
            return
    verified.problems.append(f"{name} is damaged or lost in {location.label}, and no whole copy of it is left.")


def prune(library: Library, keep_count: int) -> list[str]:
    """Keep the latest `keep_count` (at least 1) snapshots of each place; return the names of the files removed.

    Refuses with SnapshotNotKept while the library is being scanned or restored, or where a pointer is lost or torn:
    then no one knows which may go. A failed removal raises OSError; what the pointer names is always still there.
    """
    if Operation.objects.filter(active_key=library.scan_key, state__in=ACTIVE).exists():
        raise SnapshotNotKept("The library is being scanned or restored, so nothing was removed. Try again after that.")
    removed: list[str] = []
    locations = places(library)
    for location in locations:
        present = [md5 for name in location.names() if (md5 := md5_of_name(name))]
        if not present:
            continue
        pointer = read_pointer(location)
        if pointer is None or pointer.notes:
            raise SnapshotNotKept(
                f"The pointer of {location.label} is lost or torn, so nothing was removed there. Scan the library, which "
                "writes it anew."
            )
        kept = pointer.md5s[: max(1, keep_count)]
        if kept != pointer.md5s:
            location.put_bytes(POINTER_NAME, format_pointer(kept))
        for md5 in present:
            if md5 not in kept:
                location.delete(snapshot_name(md5))
                removed.append(f"{snapshot_name(md5)} in {location.label}")
    publishing.mark_present(library, set(locations[0].names()), root_location(library))
    return removed
