"""Where a library's snapshots are kept, and opening a whole copy of one."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from catalog.cache.working import working_folder
from catalog.models import Library
from catalog.roots.reach import source_for
from catalog.roots.snapshot_locations import cache_location, copies_location, root_location
from catalog.snapshots.location import Location
from catalog.snapshots.read import Snapshot, open_snapshot
from catalog.snapshots.schema import SnapshotUnusable, snapshot_name


class SnapshotNotKept(Exception):
    """The snapshot cannot be had; the text is a sentence that says where was looked and what was found."""


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


def open_copy(library: Library, md5: str, folder: Path) -> Snapshot:
    """Copy a snapshot into `folder` and open it there, the first of cache and root that is whole.

    Raises SnapshotNotKept, and OSError if `folder` cannot be written.
    """
    reasons = []
    target = folder / snapshot_name(md5)
    for location in all_places(library):
        try:
            copy_to(location, md5, target)
            return open_snapshot(target, md5)
        except FileNotFoundError:
            reasons.append(f"{location.label} does not hold it")
        except (SnapshotUnusable, Unreadable) as error:
            reasons.append(f"{location.label}: {str(error).rstrip('.')}")
    raise SnapshotNotKept(f"The snapshot {md5} cannot be used: {'; '.join(reasons)}. Nothing was changed.")


class Unreadable(Exception):
    """Reading a place failed; an OSError of the working folder is another matter."""


def copy_to(location: Location, md5: str, target: Path) -> None:
    """Copy a snapshot to `target`. Raises FileNotFoundError, Unreadable, and OSError if `target` cannot be written."""
    target.unlink(missing_ok=True)
    try:
        file = location.open(snapshot_name(md5))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from error
    with file, target.open("wb") as copy:
        shutil.copyfileobj(file, copy, 1 << 20)


def places(library: Library) -> list[Location]:
    """Return where the library's snapshots are: the cache, and its root if that takes files."""
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
