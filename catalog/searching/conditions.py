"""What a search asks for, as a condition on photos that one user may see."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from accounts.models import User
from catalog.models import Album, AlbumItem, Attachment, Favourite, Note, Photo, SearchKind, SearchText
from catalog.models.photo import IS_ESTIMATED, IS_SURE, UNDATED
from catalog.words import indexing, lookup
from catalog.words.folding import fold
from catalog.words.lookup import Match, Phrase

from .grammar import Either, Every, Has, Is, Node, Not, Rating, Taken, Type, Words
from .values_there import Of, of_types

MOST_LOOKED_UP = 5_000
"""As many photos are looked up by their ids and sorted; of more, the newest are searched for."""
_NONE = Q(pk__in=())
_MARKS = {
    "folder": (indexing.FOLDER,),
    "keyword": (indexing.KEYWORD,),
    "camera": (indexing.CAMERA,),
    "lens": (indexing.LENS,),
    "name": (indexing.PLAIN,),
}


@dataclass(frozen=True)
class Search:
    """A search of one user. `condition` holds for what is found; `is_few` if that is little enough to be sorted.

    `by_folder`: so is all that is in the folder that is asked for, which is then read by its name.
    """

    condition: Q
    is_few: bool = False
    by_folder: bool = False
    match: Match | None = None
    """If what is found are exactly the photos with these words: days are counted from the index of words alone."""
    counted: Q | None = None
    """The same as `condition`, put for counting all, where the timeline's order does not matter; None: no other."""
    counted_by: tuple[str, ...] = ()
    """If `counted` is read from one index: its columns, in whose order days are counted without sorting."""

    def to_count(self) -> "Search":
        """Return the search as it is asked where all that is found is counted."""
        return self if self.counted is None else replace(self, condition=self.counted)


def prepare(user: User, libraries: Iterable[UUID], node: Node, *, for_days: bool = False) -> Search:
    """Return the condition of `node` on photos of `libraries`, which `user` may see.

    Two to four queries for each word: whether it is in few or in many texts, and in which of the user's albums and notes.
    With `for_days`, where `match` says all, no more than the latter are asked, and the condition holds for nothing.
    """
    builder = _Builder(user, list(libraries))
    match = builder.match(node)
    if for_days and match is not None:
        return Search(_NONE, match=match)
    most = builder.estimate(node)
    is_few = most is not None and most <= MOST_LOOKED_UP
    condition = builder.condition(node)
    builder.counts = True
    of = builder.of_type(node.name) if isinstance(node, Type) else None
    counted_by = of.counted_by if of else ()
    return Search(condition, is_few, match=match, counted=builder.condition(node), counted_by=counted_by)


def duplicated(libraries: Sequence[UUID]) -> Q:
    """Return the condition that a photo's bytes are there more than once in these libraries."""
    here = Photo.objects.filter(library__in=libraries).exclude(photo_md5="")
    perhaps = _more_than_once(here)  # from an index alone; what is missing counts, too
    sure = here.filter(IS_SURE, is_shown=True, photo_md5__in=perhaps)
    return Q(IS_SURE, photo_md5__in=_more_than_once(sure))


def albums_named(user: User, phrase: Phrase) -> list[UUID]:
    """Return the albums of items that `user` sees with `phrase` in their title or description."""
    return _seen(Album.objects.visible_to(user).filter(query__isnull=True), SearchKind.ALBUM, phrase)


class _Builder:
    """Conditions for one user; what was asked of the index is kept for the length of one search."""

    def __init__(self, user: User, libraries: list[UUID]) -> None:
        self._user = user
        self._libraries = libraries
        self._counts: dict[Phrase, int] = {}
        self._owned: dict[Words, tuple[list[UUID], list[UUID]]] = {}
        self._types: dict[str, Of | None] = {}
        self.counts = False
        """Whether conditions are for counting, and may lead away from the timeline's order."""

    def estimate(self, node: Node) -> int | None:
        """Return how many photos `node` can find at most, None if that may be very many."""
        match node:
            case Every(nodes):
                known = [most for most in map(self.estimate, nodes) if most is not None]
                return min(known) if known else None
            case Either(nodes):
                each = [self.estimate(one) for one in nodes]
                return None if None in each else sum(most for most in each if most is not None)
            case Words("album" | "" as field):
                return 0 if field == "album" else self._count(node)
            case Words():
                return self._count(node)
            case Type(name):
                of = self.of_type(name)
                return None if of is None else of.count
            case _:
                return None

    def match(self, node: Node) -> Match | None:
        """Return what asks the index of words for all of `node`, None if there is more to it than words."""
        match node:
            case Every(nodes) | Either(nodes):
                matches = [match for one in nodes if (match := self.match(one)) is not None]
                if len(matches) < len(nodes):
                    return None
                return lookup.every(matches) if isinstance(node, Every) else lookup.either(matches)
            case Not(inner):
                match = self.match(inner)
                return None if match is None or match.read else replace(match, is_without=not match.is_without)
            case Words(field) if field != "album" and not any(self._albums_and_notes(node)):
                phrase = _phrase(node)
                return Match.of(phrase) if phrase.words else None
            case _:
                return None

    def condition(self, node: Node) -> Q:
        """Return the condition of `node`."""
        match node:
            case Every(nodes):
                condition = Q()
                for one in nodes:
                    condition &= self.condition(one)
                return condition
            case Either(nodes):
                condition = _NONE
                for one in nodes:
                    condition |= self.condition(one)
                return condition
            case Not(inner):
                return ~self.condition(inner)
            case Words():
                return self._words(node)
            case Rating(low, high):
                unrated = Q(rating__isnull=True) if low == 0 and high >= 0 else _NONE
                return Q(rating__gte=low, rating__lte=high) | unrated
            case Taken(start, end):
                return _taken(start, end)
            case Type(name):
                of = self.of_type(name)
                return _type(name) if of is None else of.counted if self.counts else of.condition
            case Has(thing):
                return _has(thing)
            case Is(thing):
                return self._is(thing)

    def _words(self, node: Words) -> Q:
        albums, notes = self._albums_and_notes(node)
        owned = _NONE
        if albums:
            items = AlbumItem.objects.shown_to(self._user).filter(album__in=albums, photo__isnull=False)
            owned |= Q(pk__in=items.values("photo"))
        if notes:
            owned |= Q(pk__in=Attachment.objects.filter(note__in=notes, photo__isnull=False).values("photo"))
        if node.field == "album":
            return owned
        phrase = _phrase(node)
        if not phrase.words:
            return _NONE
        if self._count(node) <= MOST_LOOKED_UP:
            words = Q(pk__in=lookup.found(SearchKind.PHOTO, phrase).values("object_id"))
        else:
            texts = SearchText.objects.filter(kind=SearchKind.PHOTO, object_id=OuterRef("pk"))
            words = Q(Exists(lookup.having(texts, phrase)))
        return words | owned if albums or notes else words

    def _albums_and_notes(self, node: Words) -> tuple[list[UUID], list[UUID]]:
        """Return the user's albums, and the notes that they see, with these words."""
        if node.field not in ("", "album"):
            return [], []
        if node not in self._owned:
            phrase = Phrase(tuple(fold(node.text)), node.whole, (indexing.PLAIN,))
            albums = albums_named(self._user, phrase) if phrase.words else []
            notes = []
            if phrase.words and not node.field:
                through = AlbumItem.objects.shown_to(self._user).filter(
                    album__in=Album.objects.visible_to(self._user).values("pk"), note__isnull=False
                )
                seen = Note.objects.filter(Q(owner=self._user) | Q(pk__in=through.values("note")), trashed_at=None)
                notes = _seen(seen, SearchKind.NOTE, phrase)
            self._owned[node] = (albums, notes)
        return self._owned[node]

    def _count(self, node: Words) -> int:
        phrase = _phrase(node)
        if not phrase.words:
            return 0
        if phrase not in self._counts:
            self._counts[phrase] = lookup.count_up_to(phrase, MOST_LOOKED_UP + 1)
        return self._counts[phrase]

    def of_type(self, name: str) -> Of | None:
        """Return photos of the type that a search names so, None where there are very many types."""
        if name not in self._types:
            self._types[name] = of_types(self._libraries, partial(_is_of_type, name), MOST_LOOKED_UP)
        return self._types[name]

    def _is(self, thing: str) -> Q:
        if thing == "favourite":
            return Q(pk__in=Favourite.objects.filter(user=self._user).values("photo"))
        if thing == "duplicate":
            return duplicated(self._libraries)
        return Q(taken_local=UNDATED) | IS_ESTIMATED  # as on the timeline


def _phrase(node: Words) -> Phrase:
    return Phrase(tuple(fold(node.text)), node.whole, _MARKS.get(node.field, indexing.MARKS))


def _seen(rows: QuerySet[Any], kind: SearchKind, phrase: Phrase) -> list[UUID]:
    """Return the ids of those of `rows` with `phrase`. The user's rows come first: foreign words cost nothing."""
    ids = rows.order_by().values("pk")
    texts = SearchText.objects.filter(kind=kind, object_id__in=ids)
    return list(lookup.having(texts, phrase).values_list("object_id", flat=True))


def _more_than_once(photos: QuerySet[Photo]) -> QuerySet[Any]:
    counted = photos.order_by().values("photo_md5").annotate(copies=Count("*"))
    return counted.filter(copies__gt=1).values("photo_md5")


def _taken(start: date | None, end: date | None) -> Q:
    condition = Q(taken_local__gt=UNDATED) & ~IS_ESTIMATED  # which the timeline shows without a date
    if start is not None:
        condition &= Q(taken_local__gte=_midnight(start))
    if end is not None:
        condition &= Q(taken_local__lt=_midnight(end))
    return condition


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _type(name: str) -> Q:
    if name in ("image", "video"):
        return Q(media_type__startswith=f"{name}/")
    if name == "raw":
        return Q(media_type__startswith="image/x-")
    if "/" in name:
        return Q(media_type=name)
    return Q(media_type__in=_kinds_called(name))


def _is_of_type(name: str, media_type: str) -> bool:
    """Return in Python what `_type` asks the database."""
    if name in ("image", "video"):
        return media_type.startswith(f"{name}/")
    if name == "raw":
        return media_type.startswith("image/x-")
    return media_type in (_kinds_called(name) if "/" not in name else [name])


def _kinds_called(name: str) -> list[str]:
    kind = {"jpg": "jpeg", "mov": "quicktime", "tif": "tiff"}.get(name, name)
    return [f"image/{kind}", f"video/{kind}", f"image/x-{kind}", f"video/x-{kind}"]


def _has(thing: str) -> Q:
    if thing == "gps":
        return Q(latitude__isnull=False)
    if thing == "caption":
        return ~Q(caption="")
    if thing == "keyword":
        return ~Q(keywords=[])
    return Q(rating__gt=0)
