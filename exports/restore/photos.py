"""Which photos here are those of a backup: by their id, else by content through all rewriting, else by path and size."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from accounts.models import User
from catalog.models import Alias, Library, Photo
from exports.bundle import layout
from exports.restore.spool import Record, Spool

WAITED_FOR = "waited for"
"""In the spool, by their ids: photos that the server of the backup waited for itself."""
MOST_GENERATIONS = 1_000
"""So many times rewriting of one photo is followed."""


@dataclass(frozen=True, slots=True)
class Named:
    """A photo as a backup names it."""

    photo_id: str
    library_id: str
    md5: str
    path: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """A photo of this server, which the person sees."""

    id: UUID
    library_id: UUID
    path: str


def named_in(spool: Spool, keys: Iterable[str]) -> dict[str, Named]:
    """Return what the backup says of these photos, by id; those that it only mentions are left out."""
    wanted = sorted(set(keys))
    found: dict[str, Named] = {}
    for kind in (WAITED_FOR, layout.RATINGS.name, layout.PHOTOS.name):
        found |= {key: named_of(key, record) for key, record in spool.some(kind, wanted).items()}
    return found


def named_of(key: str, record: Record) -> Named:
    """Return a photo as an entry of a backup names it."""
    size = record.get("sizeBytes")
    return Named(key, record["libraryId"], record["photoMD5"], record["path"], size)


class Finder:
    """Finds photos for one person: only among those that they see, so that a backup tells nothing of others'."""

    def __init__(self, user: User) -> None:
        self._libraries = list(Library.objects.visible_to(user).order_by().values_list("pk", flat=True))

    def find(self, wanted: Mapping[str, Named]) -> dict[str, Found]:
        """Return those that are there, by their id in the backup. A few queries for all."""
        found: dict[str, Found] = {}
        by_id = {str(row.id): row for row in self._rows(pk__in=list(wanted))}
        for key in wanted:
            if key in by_id:
                found[key] = by_id[key]
        for search in (self._by_content, self._by_place):
            left = [named for key, named in wanted.items() if key not in found]
            if left and self._libraries:
                found |= search(left)
        return found

    def _by_content(self, wanted: list[Named]) -> dict[str, Found]:
        became = self._became({named.md5 for named in wanted if named.md5})
        every = {md5 for ends in became.values() for md5 in ends}
        candidates: dict[str, list[Found]] = defaultdict(list)
        for md5, row in self._rows_with("photo_md5", photo_md5__in=sorted(every)):
            candidates[md5].append(row)
        return _best({named: [row for md5 in became.get(named.md5, ()) for row in candidates[md5]] for named in wanted})

    def _became(self, md5s: set[str]) -> dict[str, set[str]]:
        """Return for each content all that it became in the person's libraries, itself first."""
        became = {md5: {md5} for md5 in md5s}
        origin: dict[str, set[str]] = {md5: {md5} for md5 in md5s}
        latest = set(md5s)
        for _ in range(MOST_GENERATIONS):
            aliases = Alias.objects.filter(library__in=self._libraries, old_md5__in=sorted(latest))
            following: set[str] = set()
            for old, new in aliases.values_list("old_md5", "new_md5"):
                for first in origin[old]:
                    if new not in became[first]:
                        became[first].add(new)
                        origin.setdefault(new, set()).add(first)
                        following.add(new)
            if not following:
                break
            latest = following
        return became

    def _by_place(self, wanted: list[Named]) -> dict[str, Found]:
        sized = [named for named in wanted if named.size_bytes is not None]
        parts = [named.path.rpartition("/") for named in sized]
        rows = self._rows_with(
            "size_bytes",
            directory__in=sorted({folder for folder, _, _ in parts}),
            filename__in=sorted({name for _, _, name in parts}),
        )
        candidates: dict[tuple[str, int], list[Found]] = defaultdict(list)
        for size, row in rows:
            candidates[row.path, size].append(row)
        return _best({named: candidates[named.path, named.size_bytes or 0] for named in sized})

    def _rows(self, **where: Any) -> list[Found]:
        return [row for _, row in self._rows_with("pk", **where)]

    def _rows_with(self, column: str, **where: Any) -> list[tuple[Any, Found]]:
        rows = Photo.objects.filter(library__in=self._libraries, **where).order_by("pk")
        read = rows.values_list(column, "pk", "library", "directory", "filename")
        return [
            (value, Found(key, library, f"{directory}/{name}" if directory else name))
            for value, key, library, directory, name in read
        ]


def _best(candidates: Mapping[Named, list[Found]]) -> dict[str, Found]:
    """Choose of several with the same content the one of that library and at that path, so far as there is one."""
    return {
        named.photo_id: max(rows, key=lambda row: (str(row.library_id) == named.library_id, row.path == named.path))
        for named, rows in candidates.items()
        if rows
    }
