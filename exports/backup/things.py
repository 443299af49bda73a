"""The entries of a backup, read from one moment: what one person made and owns, or everything on the server."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.models import User
from catalog.models import (
    Album,
    AlbumItem,
    AlbumMember,
    Attachment,
    Draft,
    Favourite,
    Library,
    Membership,
    Note,
    Photo,
)
from exports.bundle import entries
from exports.bundle.layout import time_text
from exports.models import WaitingFacts

from .entries_of_rows import album_entry, draft_entry, library_entry, note_entry, rated_entry, with_sorted_keys
from .media import MediaPaths

BATCH = 1000
Row = TypeVar("Row")
SAID = (
    Q(rated_at__isnull=False)
    | Q(dated_at__isnull=False)
    | Q(captioned_at__isnull=False)
    | Q(keyworded_at__isnull=False)
    | Q(placed_at__isnull=False)
)
HELD = Q(rating_held=True) | Q(taken_held=True) | Q(caption_held=True) | Q(keywords_held=True) | Q(place_held=True)
"""A person said it in a version that did not note when."""


class Things:
    """What is backed up: all of it (`user` is None), or what is this user's. Nothing in the trash."""

    def __init__(self, user: User | None, using: str) -> None:
        """`using` is the connection of the moment (`exports.reading.moment`)."""
        self.user, self.using = user, using
        self.media_paths = MediaPaths(user, using)

    def libraries(self) -> Iterator[entries.Library]:
        """Yield the libraries by id, with their members and settings."""
        rows = self._own(Library.objects.all()).select_related("owner")
        for batch in batches(self._rows(rows)):
            members = self._members(Membership.objects.filter(library__in=batch), "library_id")
            for row in batch:
                yield library_entry(row, members[row.pk])

    def albums(self) -> Iterator[entries.Album]:
        """Yield the albums by id."""
        rows = self._own(Album.objects.filter(trashed_at=None)).select_related("owner")
        for batch in batches(self._rows(rows)):
            members = self._members(AlbumMember.objects.filter(album__in=batch), "album_id")
            for row in batch:
                yield album_entry(row, members[row.pk])

    def album_items(self) -> Iterator[entries.AlbumItem]:
        """Yield what is in these albums, by id, whether or not it can be shown just now."""
        for row in self._rows(self._items().select_related("added_by")):
            yield {
                "id": str(row.pk),
                "albumId": str(row.album_id),
                "targetType": row.target_type,
                "targetId": str(row.target_id),
                "position": row.position,
                "addedAt": time_text(row.added_at),
                "addedBy": row.added_by.get_username() if row.added_by else None,
            }

    def notes(self) -> Iterator[entries.Note]:
        """Yield the notes by id."""
        rows = self._own(Note.objects.filter(trashed_at=None)).select_related("owner")
        for batch in batches(self._rows(rows)):
            paths = self.media_paths.of(held for note in batch for held in note.attachments)
            for row in batch:
                yield note_entry(row, paths)

    def drafts(self) -> Iterator[entries.Draft]:
        """Yield the drafts by id: every block, and all albums that they shall go to."""
        rows = self._own(Draft.objects.filter(trashed_at=None)).select_related("owner")
        for batch in batches(self._rows(rows)):
            paths = self.media_paths.of(
                block["attachment"] for draft in batch for block in draft.blocks if block.get("attachment")
            )
            for row in batch:
                yield draft_entry(row, paths)

    def rated_photos(self) -> Iterator[entries.RatedPhoto]:
        """Yield the photos of which somebody said something, by id."""
        favourites = Favourite.objects.filter(photo=OuterRef("pk"))
        rows = Photo.objects.all()
        if self.user is None:
            rows = rows.filter(SAID | HELD | Exists(favourites))
        else:
            editable = list(Library.objects.using(self.using).editable_by(self.user).values_list("pk", flat=True))
            said = Q(library__in=editable) & (SAID | HELD)
            visible = Library.objects.using(self.using).visible_to(self.user).values("pk")
            rows = rows.filter(said | Exists(favourites.filter(user=self.user)), library__in=visible)
        for batch in batches(self._rows(rows)):
            stars = self._favourites([photo.pk for photo in batch])
            for photo in batch:
                may_say = self.user is None or photo.library_id in editable
                yield rated_entry(photo, stars[photo.pk], with_facts=may_say)

    def photo_references(self) -> Iterator[entries.PhotoReference]:
        """Yield the photos that albums, notes and drafts name, by id; of a person's only those in libraries that they see."""
        attached = Attachment.objects.filter(photo__isnull=False)
        attached = attached.filter(
            Q(note__isnull=False, note__trashed_at=None) | Q(draft__isnull=False, draft__trashed_at=None)
        )
        if self.user is not None:
            attached = attached.filter(Q(note__owner=self.user) | Q(draft__owner=self.user))
        covers = self._own(Album.objects.filter(trashed_at=None, cover__isnull=False))
        named = (
            Q(pk__in=self._items().filter(photo__isnull=False).order_by().values("photo"))
            | Q(pk__in=covers.order_by().values("cover"))
            | Q(pk__in=attached.values("photo"))
        )
        rows = Photo.objects.filter(named)
        if self.user is not None:
            rows = rows.visible_to(self.user)
        for photo in self._rows(rows):
            yield {
                "id": str(photo.pk),
                "libraryId": str(photo.library_id),
                "photoMD5": photo.photo_md5,
                "path": photo.path,
                "sizeBytes": photo.size_bytes,
            }

    def waiting_photos(self) -> Iterator[entries.WaitingPhoto]:
        """Yield what restored backups say of photos that are not here yet, by user name and the photo's id."""
        people = User.objects.using(self.using).filter(pk__in=WaitingFacts.objects.using(self.using).values("user"))
        for user in sorted(people if self.user is None else [self.user], key=lambda one: one.get_username()):
            rows = WaitingFacts.objects.using(self.using).filter(user=user).order_by("photo_id")
            for row in rows.iterator(chunk_size=BATCH):
                yield {
                    "user": user.get_username(),
                    "photoId": str(row.photo_id),
                    "libraryId": str(row.library_id),
                    "photoMD5": row.photo_md5,
                    "path": row.path,
                    "sizeBytes": row.size_bytes,
                    "said": with_sorted_keys(row.said),
                }

    def _own(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows if self.user is None else rows.filter(owner=self.user)

    def _items(self) -> QuerySet[AlbumItem]:
        rows = AlbumItem.objects.live().filter(album__trashed_at=None)
        return rows if self.user is None else rows.filter(album__owner=self.user)

    def _rows(self, rows: QuerySet[Any]) -> Iterator[Any]:
        return rows.using(self.using).order_by("pk").iterator(chunk_size=BATCH)

    def _members(self, rows: QuerySet[Any], column: str) -> dict[Any, list[entries.Member]]:
        found: dict[Any, list[entries.Member]] = defaultdict(list)
        named = rows.using(self.using).order_by("user__username").values_list(column, "user__username", "role")
        for key, username, role in named:
            found[key].append({"username": username, "role": role})
        return found

    def _favourites(self, photo_ids: list[Any]) -> dict[Any, list[tuple[str, int, str]]]:
        rows = Favourite.objects.using(self.using).filter(photo__in=photo_ids)
        if self.user is not None:
            rows = rows.filter(user=self.user)
        found: dict[Any, list[tuple[str, int, str]]] = defaultdict(list)
        named = rows.order_by("user__username").values_list(
            "photo", "user__username", "rating", "changed_at", "created_at"
        )
        for key, username, stars, changed_at, created_at in named:
            found[key].append((username, stars, time_text(changed_at or created_at)))
        return found


def batches(rows: Iterable[Row], size: int = BATCH) -> Iterator[list[Row]]:
    """Yield lists of up to `size` rows."""
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch
