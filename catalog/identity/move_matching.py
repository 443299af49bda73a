"""Who moved where: missing photos, and places where the same content is. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Place:
    """A photo's row, and since when it is known to be there; of a missing one also when a scan last saw it."""

    key: UUID
    directory: str
    filename: str
    added_at: datetime
    seen_at: datetime | None = None
    missing_since: datetime | None = None
    is_in_trash: bool = False

    @property
    def path(self) -> tuple[str, str]:
        """Folder and name, for sorting."""
        return self.directory, self.filename

    @property
    def name(self) -> str:
        """The file's name, also of one that gave up its place to another (`places`)."""
        return self.filename.partition("/")[0]

    def may_have_moved_to(self, place: "Place", started_at: datetime) -> bool:
        """True if `place` is known for less long than this photo, and was not when a scan last saw it.

        What a scan that began at `started_at`, or the one that missed this photo, has just found counts whatever the clocks
        said. Who was deleted by a person comes back only with a file that came after that.
        """
        if self.is_in_trash:
            return self.missing_since is not None and place.added_at > self.missing_since
        if place.added_at in (started_at, self.missing_since):
            return True
        since = self.seen_at or self.missing_since
        return place.added_at > self.added_at and (since is None or place.added_at >= since)


@dataclass(frozen=True, slots=True)
class Move:
    """`old` is where `new` was found, and was at `stops` in between; with `only_bare` only if nobody gave `new` anything."""

    old: UUID
    new: UUID
    stops: tuple[UUID, ...] = ()
    only_bare: bool = False
    into_trash: bool = False
    """A person deleted it at its new place before anybody knew that it is the same photo."""


def pairs(olds: Sequence[Place], news: Sequence[Place], started_at: datetime, *, is_far: bool) -> list[Move]:
    """Return the moves of missing photos to places with the same content, each to one.

    The photo that is known longest comes first, those in the trash last; the place found last comes first, one with the
    photo's own name before others. Missing ones that were first seen after a photo had left are where it was in between.
    `is_far` allows older copies, too: in a bucket a rename is a copy, and some time later a deletion.
    """
    waiting = sorted(olds, key=lambda old: (old.is_in_trash, old.added_at, old.path))
    free = sorted(news, key=lambda new: new.path)
    free.sort(key=lambda new: new.added_at, reverse=True)
    found: dict[UUID, tuple[Place, Place, bool]] = {}
    rules: tuple[tuple[Callable[[Place, Place], bool], bool], ...] = (
        (lambda old, new: old.name == new.name and old.may_have_moved_to(new, started_at), False),
        (lambda old, new: old.may_have_moved_to(new, started_at), False),
        (lambda old, new: is_far and not old.is_in_trash and new.added_at > old.added_at, True),
    )
    for is_allowed, only_bare in rules:
        for old in waiting:
            if old.key in found:
                continue
            new = next((new for new in free if is_allowed(old, new)), None)
            if new is not None:
                free.remove(new)
                found[old.key] = (old, new, only_bare)
    moves = []
    used: set[UUID] = set()
    for old, new, only_bare in found.values():
        stops = tuple(
            one.key
            for one in waiting
            if one.key not in found
            and one.key not in used
            and not one.is_in_trash
            and one.added_at > old.added_at
            and old.may_have_moved_to(one, started_at)
        )
        used.update(stops)
        moves.append(Move(old.key, new.key, () if old.is_in_trash else stops, only_bare))
    return moves
