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
                yield _library(row, members[row.pk])

    def albums(self) -> Iterator[entries.Album]:
        """Yield the albums by id."""
        rows = self._own(Album.objects.filter(trashed_at=None)).select_related("owner")
        for batch in batches(self._rows(rows)):
            members = self._members(AlbumMember.objects.filter(album__in=batch), "album_id")
            for row in batch:
                yield _album(row, members[row.pk])

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
                yield _note(row, paths)

    def drafts(self) -> Iterator[entries.Draft]:
        """Yield the drafts by id: every block, and all albums that they shall go to."""
        rows = self._own(Draft.objects.filter(trashed_at=None)).select_related("owner")
        for batch in batches(self._rows(rows)):
            paths = self.media_paths.of(
                block["attachment"] for draft in batch for block in draft.blocks if block.get("attachment")
            )
            for row in batch:
                yield _draft(row, paths)

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
                yield _rated(photo, stars[photo.pk], with_facts=may_say)

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
                    "said": _sorted(row.said),
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


def _library(row: Library, members: list[entries.Member]) -> entries.Library:
    return {
        "id": str(row.pk),
        "name": row.name,
        "root": row.root,
        "source": row.source,
        "owner": row.owner.get_username(),
        "members": members,
        "settings": {
            "ratings": row.ratings,
            "fileTimes": row.file_times,
            "timeZone": row.time_zone,
            "scanEveryHours": row.scan_every_hours,
            "verifyEveryDays": row.verify_every_days,
            "isWatched": row.is_watched,
            "trashDays": row.trash_days,
        },
        "snapshotMD5": row.snapshot_md5,
        "createdAt": time_text(row.created_at),
    }


def _album(row: Album, members: list[entries.Member]) -> entries.Album:
    return {
        "id": str(row.pk),
        "title": row.title,
        "description": row.description,
        "cover": str(row.cover_id) if row.cover_id else None,
        "order": row.order,
        "query": _sorted(row.query),
        "allowsOriginals": row.allows_originals,
        "createdAt": time_text(row.created_at),
        "updatedAt": time_text(row.updated_at),
        "syncVersion": row.version,
        "owner": row.owner.get_username(),
        "members": members,
    }


def _note(row: Note, paths: dict[str, str]) -> entries.Note:
    held = [_attachment(one, paths) for one in row.attachments]
    local = row.noted_local.replace(tzinfo=None).isoformat()
    sign, minutes = ("-" if row.noted_offset_minutes < 0 else "+"), abs(row.noted_offset_minutes)
    return {
        "id": str(row.pk),
        "type": row.type,
        "content": row.content,
        "caption": row.caption,
        "mediaPath": next((one["mediaPath"] for one in held if "mediaPath" in one), None),
        "attachments": held,
        "notedAt": f"{local}{sign}{minutes // 60:02}:{minutes % 60:02}",
        "place": _place(row.place),
        "createdAt": time_text(row.created_at),
        "updatedAt": time_text(row.updated_at),
        "syncVersion": row.version,
        "owner": row.owner.get_username(),
    }


def _draft(row: Draft, paths: dict[str, str]) -> entries.Draft:
    return {
        "id": str(row.pk),
        "blocks": [_block(block, paths) for block in row.blocks],
        "albums": [str(key) for key in row.albums],
        "createdAt": time_text(row.created_at),
        "updatedAt": time_text(row.updated_at),
        "syncVersion": row.version,
        "owner": row.owner.get_username(),
    }


def _block(block: dict[str, Any], paths: dict[str, str]) -> entries.Block:
    held = block.get("attachment")
    kept: Any = _ordered(block, ("id", "type", "text", "attachment", "caption", "place"))
    kept["attachment"] = _attachment(held, paths) if held else None
    kept["place"] = _place(block.get("place"))
    kept["mediaPath"] = kept["attachment"].get("mediaPath") if held else None
    return kept  # type: ignore[no-any-return]


def _attachment(held: dict[str, Any], paths: dict[str, str]) -> entries.Attachment:
    one: Any = _ordered(held, ("photo", "media_md5", "media_type", "size_bytes", "name"))
    if "media_md5" in one and one["media_md5"] in paths:
        one["mediaPath"] = paths[one["media_md5"]]
    return one  # type: ignore[no-any-return]


def _place(value: dict[str, Any] | None) -> entries.Place | None:
    return _ordered(value, ("latitude", "longitude", "name")) if value else None  # type: ignore[return-value]


def _ordered(value: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return an object with its keys in this order, further ones sorted: each database gives them in another one."""
    known = {name: value[name] for name in names if name in value}
    return known | {name: value[name] for name in sorted(value) if name not in known}


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


def _rated(photo: Photo, stars: list[tuple[str, int, str]], *, with_facts: bool) -> entries.RatedPhoto:
    is_rated = with_facts and (photo.rated_at is not None or photo.rating_held)
    is_dated = with_facts and (photo.dated_at is not None or photo.taken_held)
    is_captioned = with_facts and (photo.captioned_at is not None or photo.caption_held)
    is_placed = with_facts and (photo.placed_at is not None or photo.place_held)
    has_keywords = with_facts and (photo.keyworded_at is not None or photo.keywords_held)
    return {
        "libraryId": str(photo.library_id),
        "photoId": str(photo.pk),
        "photoMD5": photo.photo_md5,
        "path": photo.path,
        "sizeBytes": photo.size_bytes,
        "rating": photo.rating if is_rated else None,
        "ratedAt": _when(photo.rated_at, is_rated),
        "caption": photo.caption if is_captioned else None,
        "captionedAt": _when(photo.captioned_at, is_captioned),
        "keywords": photo.keywords if has_keywords else None,
        "keywordedAt": _when(photo.keyworded_at, has_keywords),
        "taken": (photo.taken_text or None) if is_dated else None,
        "datedAt": _when(photo.dated_at, is_dated),
        "place": _place_of(photo) if is_placed else None,
        "placedAt": _when(photo.placed_at, is_placed),
        "favourites": {username: rating for username, rating, _ in stars},
        "favouredAt": {username: when for username, _, when in stars},
    }


def _place_of(photo: Photo) -> entries.Place | None:
    """Return the place that a person gave; None if they took it away."""
    if photo.latitude is None or photo.longitude is None:
        return None
    return {"latitude": photo.latitude, "longitude": photo.longitude, "name": ""}


def _when(moment: Any, is_said: bool) -> str | None:
    """Return when it was said; of what was said before that was noted, the beginning of time: anything else is newer."""
    if not is_said:
        return None
    return time_text(moment) if moment is not None else "1970-01-01T00:00:00Z"
