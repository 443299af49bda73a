"""Albums of a catalog export given back: what one lacks is added, through the verbs of albums; nothing is ever removed."""

import unicodedata
import uuid
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from accounts.models import User
from catalog.albums import albums, items
from catalog.albums.refusals import Refused
from catalog.models import Album, AlbumItem
from photolala.lib.captions import is_caption

from .given_back import Row
from .matching import PhotoFinder

_AT_ONCE = 500


@dataclass(frozen=True)
class AlbumPlan:
    """What becomes of one album of the export."""

    album: UUID
    title: str
    description: str
    is_new: bool
    there: int
    """How many photos of the export's album are in it."""
    photos: list[UUID]
    """Those that are to be added, in their order."""
    unmatched: int
    failed: list[str] = field(default_factory=list)
    """Why photos could not be added."""

    @property
    def is_change(self) -> bool:
        """False if the album has all that the library has of it."""
        return bool(self.photos)


def plan_album(user: User, row: Row, finder: PhotoFinder) -> AlbumPlan:
    """Return what `row`, an album of an export, means for the albums of `user`. Raises ValueError, with a sentence.

    It is the person's album of that id, else the only one of that title, else a new one.
    """
    title, description, photos = row.get("title"), row.get("description") or "", row.get("photos")
    if not isinstance(title, str) or not title.strip() or not isinstance(description, str):
        raise ValueError("It has no title, or its description is no text.")
    if not is_caption(title):  # no database could be asked for it
        raise ValueError("Its title has a control character or half a character, which no title can have.")
    if len(title) > albums.LONGEST_TITLE or len(description) > albums.LONGEST_DESCRIPTION:
        raise ValueError(
            f"Its title has more than {albums.LONGEST_TITLE} characters, or its description more than "
            f"{albums.LONGEST_DESCRIPTION:,}: no album can."
        )
    if not isinstance(photos, list) or not all(isinstance(one, dict) for one in photos):
        raise ValueError("Its photos are no list of objects.")
    title = unicodedata.normalize("NFC", title)
    album = _own_album(user, row.get("id"), title)
    wanted, unmatched = _found(photos, finder)
    inside = set() if album is None else _inside(album, wanted)
    return AlbumPlan(
        album=_free_id(row.get("id")) if album is None else album.pk,
        title=title if album is None else album.title,
        description=description,
        is_new=album is None,
        there=len(inside),
        photos=[key for key in wanted if key not in inside],
        unmatched=unmatched,
    )


def give_album(user: User, plan: AlbumPlan) -> AlbumPlan:
    """Make the album if there is none yet, and add its photos; return what was done. ValueError if it cannot be made."""
    try:
        if plan.is_new:
            texts = {"title": plan.title} | ({"description": plan.description} if plan.description else {})
            albums.create(user, plan.album, texts)
        done, failed = [], []
        for start in range(0, len(plan.photos), _AT_ONCE):
            targets = [items.Target(items.PHOTO, key) for key in plan.photos[start : start + _AT_ONCE]]
            added = items.add(user, plan.album, targets)
            done += [item.photo_id for item in added.items if item.photo_id is not None]
            failed += [str(refused.detail) for _, refused in added.errors]
    except Refused as refused:
        raise ValueError(str(refused.detail)) from None
    return replace(plan, photos=done, failed=failed)


def _own_album(user: User, album_id: Any, title: str) -> Album | None:
    own = Album.objects.filter(owner=user, trashed_at=None, query__isnull=True)
    key = _uuid(album_id)
    by_id = own.filter(pk=key).first() if key is not None else None
    if by_id is not None:
        return by_id
    found = list(own.filter(title=title)[:2])
    if len(found) > 1:
        raise ValueError(
            "You have several albums of this title, so nothing is added to any: rename all but one of them."
        )
    return found[0] if found else None


def _free_id(album_id: Any) -> UUID:
    """Return the album's own id if no album has it, so that it is the same album again; else a new one."""
    key = _uuid(album_id)
    return uuid.uuid4() if key is None or Album.objects.filter(pk=key).exists() else key


def _found(photos: list[Row], finder: PhotoFinder) -> tuple[list[UUID], int]:
    """Return the photos of the library that these are, each once, and how many are not there."""
    keys: list[UUID] = []
    unmatched = 0
    for start in range(0, len(photos), _AT_ONCE):
        batch = photos[start : start + _AT_ONCE]
        found = finder.find(batch)
        keys += [found[id(one)].pk for one in batch if id(one) in found]
        unmatched += sum(id(one) not in found for one in batch)
    return list(dict.fromkeys(keys)), unmatched


def _inside(album: Album, photos: list[UUID]) -> set[UUID]:
    inside: set[UUID] = set()
    for start in range(0, len(photos), _AT_ONCE):
        of_these = AlbumItem.objects.live().filter(album=album, photo__in=photos[start : start + _AT_ONCE])
        inside.update(key for key in of_these.values_list("photo_id", flat=True) if key is not None)
    return inside


def _uuid(text: Any) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None
