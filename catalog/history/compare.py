"""What differs between two of a library's snapshots."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from catalog.history.copies import opened
from catalog.models import Library
from catalog.snapshots.read import Snapshot
from catalog.snapshots.schema import EntryRow

MOST_LISTED = 100
MOST_COMPARED = 500_000
"""Entries of both snapshots that a web request compares, in some seconds; the command compares any number."""
_FACTS = tuple(name for name in EntryRow._fields if name not in ("path", "filename"))


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
        """Return the difference as the API's body."""
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


def diff_kept(library: Library, older: str, newer: str, most_listed: int = MOST_LISTED) -> Difference:
    """Compare two snapshots that the library still has, by their MD5s. Raises SnapshotNotKept."""
    with opened(library, older, newer) as (before, after):
        return diff(before, after, most_listed)
