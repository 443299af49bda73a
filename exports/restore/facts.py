"""What people said of photos: stars, words, dates and favourites, put back by the verbs that write them into the files.

A photo that is not here is waited for (`waiting`).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.models import User
from catalog.edits import captions, dates, favourites, keywords, places, ratings
from catalog.edits.restored import Moments, keep_favoured, keep_moments
from catalog.models import Favourite, Library, Photo, Withdrawal
from exports.restore.check import moment_or_none
from exports.restore.photos import Found
from exports.restore.plan import MERGE, Here, There, compare
from exports.restore.report import Action, Difference
from exports.restore.spool import Record
from photolala.lib.captions import BadCaption, tidy_caption
from photolala.lib.keywords import BadKeyword, tidy_keywords
from photolala.lib.places import BadPlace, Place, are_near, checked_place

NOT_TO_CHANGE = "The photo's library is not yours to change."
FIELDS = (
    *(("rating", "ratedAt"), ("caption", "captionedAt"), ("keywords", "keywordedAt")),
    *(("taken", "datedAt"), ("place", "placedAt")),
)


@dataclass
class Wishes:
    """What is to be said of photos, by the verbs that say it for many."""

    stars: dict[int, list[UUID]] = field(default_factory=lambda: defaultdict(list))
    texts: dict[UUID, str] = field(default_factory=dict)
    lists: dict[UUID, list[str]] = field(default_factory=dict)
    places: dict[UUID, Place | None] = field(default_factory=dict)
    planned: list[dates.Planned] = field(default_factory=list)
    moments: dict[UUID, Moments] = field(default_factory=dict)
    favoured_with: dict[int, list[UUID]] = field(default_factory=lambda: defaultdict(list))
    favoured: dict[UUID, datetime] = field(default_factory=dict)

    def say(self, user: User) -> None:
        """Say all of it in the name of `user`, who may. Call it in a transaction."""
        for stars, keys in sorted(self.stars.items()):
            ratings.set_ratings(user, keys, stars)
        if self.texts:
            captions.set_captions(user, self.texts)
        if self.lists:
            keywords.set_many_keywords(user, self.lists)
        if self.places:
            places.set_places(user, self.places)
        if self.planned:
            dates.set_dates(user, self.planned)
        keep_moments(self.moments)
        for stars, keys in sorted(self.favoured_with.items()):
            favourites.set_favourites(user, keys, stars)
        keep_favoured(user, self.favoured)


class Facts:
    """Compares what a backup says of photos with what is said here, in the name of one person."""

    def __init__(self, user: User, name: str, mode: str = MERGE, *, as_owner: bool = False) -> None:
        """`name` is what the backup calls the person. With `as_owner` only owners speak of their libraries' photos."""
        self.user, self.name, self.mode = user, name, mode
        self._as_owner = as_owner
        self._editable = set(Library.objects.editable_by(user).order_by().values_list("pk", flat=True))

    def compare(
        self, records: Sequence[tuple[str, Record]], found: Mapping[str, Found]
    ) -> tuple[list[Difference], Wishes]:
        """Return a difference for each record whose photo was found, and what is to be said. A few queries for all."""
        keys = [found[key].id for key, _ in records if key in found]
        photos = Photo.objects.select_related("library").in_bulk(keys)
        stars = {row.photo_id: row for row in Favourite.objects.filter(user=self.user, photo__in=keys)}
        withdrawn = dict(
            Withdrawal.objects.filter(user=self.user, photo__in=keys).values_list("photo_id", "withdrawn_at")
        )
        differences, wishes = [], Wishes()
        for key, record in records:
            photo = photos.get(found[key].id) if key in found else None
            if photo is None:
                continue
            if photo.library.owner_id == self.user.pk or not self._as_owner:
                differences += self._of_photo(key, record, photo, wishes)
            if photo.library.owner_id != self.user.pk:  # the owner's favourites are the photo's own stars
                favourite = self._favourite(key, record, photo, stars.get(photo.pk), withdrawn.get(photo.pk), wishes)
                differences += [favourite] if favourite else []
        return differences, wishes

    def _of_photo(self, key: str, record: Record, photo: Photo, wishes: Wishes) -> list[Difference]:
        said = {name: moment_or_none(record.get(at)) for name, at in FIELDS}
        if not any(said.values()):
            return []
        differing: dict[str, tuple[Any, Any]] = {}
        kept: dict[str, tuple[Any, Any]] = {}
        reasons: list[str] = []
        moments: dict[str, datetime | None] = {}
        for name, moment in said.items():
            if moment is None:
                continue
            value, problem = _checked(name, record.get(name), photo)
            if problem:
                reasons.append(problem)
                continue
            here = _here(name, photo)
            one = compare("photo", key, There({name: value}, moment), here, self.mode)
            if one.action is Action.UPDATE and photo.library_id not in self._editable:
                reasons.append(NOT_TO_CHANGE)
            elif one.action is Action.UPDATE:
                differing |= one.fields
                moments[name] = moment
                _wish(name, value, photo, wishes)
            else:
                kept |= one.fields
                if one.action is Action.SAME and here.changed_at is None and photo.library_id in self._editable:
                    moments[name] = moment  # the file says so; a person had said it
        if moments.get("rating") is not None and photo.library.owner_id == self.user.pk:
            favoured = moment_or_none((record.get("favouredAt") or {}).get(self.name))
            if favoured is not None:
                wishes.favoured[photo.pk] = favoured
        if moments:
            names = ("rating", "caption", "taken", "keywords", "place")
            wishes.moments[photo.pk] = Moments(*(moments.get(name) for name in names))
        reason = " ".join(dict.fromkeys(reasons))
        action = Action.UPDATE if differing else Action.KEEP if kept else Action.LEFT if reason else Action.SAME
        return [Difference("photo", key, action, photo.path, differing or kept, reason)]

    def _favourite(
        self,
        key: str,
        record: Record,
        photo: Photo,
        here: Favourite | None,
        withdrawn_at: datetime | None,
        wishes: Wishes,
    ) -> Difference | None:
        stars = (record.get("favourites") or {}).get(self.name)
        if stars is None:
            return None
        if not 1 <= stars <= favourites.FULL:
            return Difference("favourite", key, Action.LEFT, photo.path, reason="A favourite has 1 to 5 stars.")
        moment = moment_or_none((record.get("favouredAt") or {}).get(self.name))
        there = There({"rating": stars}, moment, photo.path)
        side = Here({"rating": here.rating}, here.changed_at) if here else None
        if side is None and withdrawn_at is not None:
            side = Here({"rating": 0}, withdrawn_at)
        difference = compare("favourite", key, there, side, self.mode)
        if difference.action in (Action.CREATE, Action.UPDATE):
            wishes.favoured_with[stars].append(photo.pk)
            if moment is not None:
                wishes.favoured[photo.pk] = moment
        return difference


def _here(name: str, photo: Photo) -> Here:
    if name == "rating":
        return Here({name: photo.rating or 0}, photo.rated_at)
    if name == "caption":
        return Here({name: photo.caption}, photo.captioned_at)
    if name == "keywords":
        return Here({name: photo.keywords}, photo.keyworded_at)
    if name == "place":
        return Here({name: _place_here(photo)}, photo.placed_at)
    return Here({name: photo.taken_text}, photo.dated_at)


def _checked(name: str, value: Any, photo: Photo) -> tuple[Any, str]:
    """Return a value as it is compared, or why it cannot be said of the photo."""
    if name == "rating":
        if value is not None and not 0 <= value <= favourites.FULL:
            return None, "A rating is a number from 0 to 5."
        return value or 0, ""
    if name == "caption":
        try:
            return tidy_caption(value or ""), ""
        except BadCaption as refused:
            return None, str(refused)
    if name == "keywords":
        try:
            words = tidy_keywords(value or [])
        except BadKeyword as refused:
            return None, str(refused)
        return (photo.keywords if set(words) == set(photo.keywords) else words), ""
    if name == "place":
        return _checked_place(value, photo)
    if value == photo.taken_text:
        return value, ""
    setting = _setting(value)
    if setting is None:
        return None, "The date is none that can be read."
    (planned,) = dates.plan([photo], setting)
    return planned.after_text, planned.problem


def _wish(name: str, value: Any, photo: Photo, wishes: Wishes) -> None:
    if name == "rating":
        wishes.stars[value].append(photo.pk)
    elif name == "caption":
        wishes.texts[photo.pk] = value
    elif name == "keywords":
        wishes.lists[photo.pk] = value
    elif name == "place":
        wishes.places[photo.pk] = value and (value["latitude"], value["longitude"])
    else:
        setting = _setting(value)
        assert setting is not None
        wishes.planned += dates.plan([photo], setting)


def _place_here(photo: Photo) -> dict[str, float] | None:
    if photo.latitude is None or photo.longitude is None:
        return None
    return {"latitude": photo.latitude, "longitude": photo.longitude}


def _checked_place(value: Any, photo: Photo) -> tuple[Any, str]:
    here, latitude, longitude = _place_here(photo), *((value or {}).get(name) for name in ("latitude", "longitude"))
    if latitude is None or longitude is None:
        return None, ""
    try:
        place = checked_place(latitude, longitude)
    except BadPlace as refused:
        return None, str(refused)
    if here is not None and are_near(place, (here["latitude"], here["longitude"])):
        return here, ""
    return dict(zip(("latitude", "longitude"), place, strict=True)), ""


def _setting(value: Any) -> dates.Setting | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    offset = moment.utcoffset()
    return dates.Setting(moment.replace(tzinfo=None), None if offset is None else int(offset.total_seconds() // 60))
