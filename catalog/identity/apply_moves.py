"""Apply moves: missing photos get the places where they were found, with the later edits of either row."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from catalog.entries.owner_stars import mirror_for_owner
from catalog.identity.move_matching import Move, Place
from catalog.identity.swaps import content_for, note_edits
from catalog.identity.wishes import Wishes
from catalog.models import HashCache, Library, Photo, PhotoMetadata, TrashItem
from catalog.models.photo import photo_id
from photolala.lib.paths import join_path

_MOST_NUMBERED = 10


def place_of(photo: Photo) -> Place:
    """Return what tells where a photo is, of one that is not in the trash."""
    return Place(
        photo.pk, photo.directory, photo.filename, photo.added_at, photo.seen_at, photo.missing_since, is_in_trash=False
    )


def _is_as_first_seen(old: Photo, new: Photo, started_at: datetime, written: set[str]) -> bool:
    """True unless `new` was another photo, or was elsewhere, when it was first seen: its id tells (formats.md, 1).

    `written` are the fast photo keys of versions that were written into their files.
    """
    if new.added_at in (started_at, old.missing_since):
        return True
    keys = {photo.fast_photo_key for photo in (old, new)} | written
    keys |= {f"{key}\n{number}" for key in keys for number in range(2, _MOST_NUMBERED)}
    path = join_path(new.directory, place_of(new).name)
    return new.pk in {photo_id(new.library_id, path, key) for key in keys}


@dataclass(slots=True)
class Applied:
    """What became of the moves of one batch."""

    counts: dict[str, int] = field(default_factory=lambda: {"moved": 0, "moved_added": 0, "moved_gone": 0})
    """As the result of a scan counts them."""
    postponed: list[Move] = field(default_factory=list)
    """Those that are left to the next scan, because a writer has a file in hand."""


def apply_moves(library: Library, moves: Sequence[Move], started_at: datetime, *, is_edit: bool) -> Applied:
    """Carry out the moves of one batch, as far as they still hold; what changed since they were planned is left as it is.

    `is_edit` says that the content is another one at the new place. Call it in a transaction.
    """
    applying = _Applying(library, moves, started_at, is_edit=is_edit)
    for move in moves:
        applying.add(move)
    applying.write()
    return applying.applied


class _Applying:
    """One batch: all of its rows are locked and read first, then each move is decided, then all are written."""

    def __init__(self, library: Library, moves: Sequence[Move], started_at: datetime, *, is_edit: bool) -> None:
        self.applied = Applied()
        self._library = library
        self._started_at = started_at
        self._is_edit = is_edit
        keys = [key for move in moves for key in (move.old, move.new, *move.stops)]
        # Photos before trash items: the order in which everybody locks rows.
        held = Photo.objects.select_for_update(of=("self",)).filter(pk__in=keys, library=library).order_by("pk")
        self._photos = {photo.pk: photo for photo in held}
        self._bodies = dict(PhotoMetadata.objects.filter(photo_id__in=keys).values_list("photo_id", "body"))
        self._wishes = Wishes.of(keys)
        items = TrashItem.objects.select_for_update(of=("self",)).filter(photo__in=keys)
        self._trashed = dict(items.order_by("pk").values_list("photo", "state"))
        self._moved: list[tuple[Photo, dict[str, Any]]] = []
        """The photos that are somewhere else now, and the columns to be written to each."""
        self._gone: list[Photo] = []
        """The rows of the new places and of those in between: the moved photo takes what they were given."""
        self._rated: list[UUID] = []

    def add(self, move: Move) -> None:
        """Plan one move, unless it does not hold any more or has to wait for a writer."""
        old, new = self._photos.get(move.old), self._photos.get(move.new)
        if old is None or new is None or not self._holds(move, old, new):
            return
        stops = [self._photos[key] for key in move.stops if key in self._photos and key not in self._trashed]
        if any(self._wishes.is_being_written(photo) for photo in (new, *stops)):
            self.applied.postponed.append(move)
            return
        if self._is_edit:
            note_edits(self._library, [(old.photo_md5, new.photo_md5)])
        rating = old.rating
        values: dict[str, Any] = {}
        for former in (*stops, new):
            values |= self._wishes.lead(self._library, former, old)
        values = {**content_for(old, new, self._bodies.get(new.pk, "")), **values}
        self._moved.append((old, values))
        if values.get("rating", rating) != rating:
            self._rated.append(old.pk)
        self._gone += [new, *stops]
        if move.into_trash:
            TrashItem.objects.filter(photo=new).update(photo=old)
        self._count(old, new, stops)
        if new.pk in self._bodies:
            self._bodies[old.pk] = self._bodies[new.pk]

    def _holds(self, move: Move, old: Photo, new: Photo) -> bool:
        """True if the move is still what it was when it was planned."""
        missing = Photo.State.MISSING
        if old.state != missing or not new.photo_md5 or (new.state == missing) != move.into_trash:
            return False
        if not self._is_edit and old.photo_md5 != new.photo_md5:
            return False
        if not _is_as_first_seen(old, new, self._started_at, self._wishes.written_keys(old, new)):
            return False
        if self._trashed.get(new.pk) != (TrashItem.State.TRASHED if move.into_trash else None):
            return False
        return not move.only_bare or self._wishes.are_none(new)

    def _count(self, old: Photo, new: Photo, stops: Sequence[Photo]) -> None:
        counts, started_at = self.applied.counts, self._started_at
        counts["moved"] += 1
        counts["moved_added"] += new.added_at == started_at
        counts["moved_gone"] += old.missing_since == started_at
        counts["moved_gone"] += sum(stop.missing_since == started_at for stop in stops)

    def write(self) -> None:
        """Write the planned moves: first the rows go that have the new places, for no two may have the same."""
        if not self._moved:
            return
        olds = [old.pk for old, _ in self._moved]
        Photo.objects.filter(pk__in=[photo.pk for photo in self._gone]).delete()
        paths = [photo.path for photo in (*(old for old, _ in self._moved), *self._gone)]
        taken = {_path(values) for _, values in self._moved}
        stale = [path for path in paths if path not in taken]
        HashCache.objects.filter(library=self._library, path__in=stale).delete()
        for old, values in self._moved:
            Photo.objects.filter(pk=old.pk).update(**values)
        PhotoMetadata.objects.filter(photo_id__in=olds).delete()
        PhotoMetadata.objects.bulk_create(
            [PhotoMetadata(photo_id=key, body=self._bodies[key]) for key in olds if key in self._bodies]
        )
        mirror_for_owner(self._library, self._rated)


def _path(values: dict[str, Any]) -> str:
    return join_path(values["directory"], values["filename"])
