"""What the cards of saved searches show: how many photos each finds, and its newest pictures. Reads only."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from accounts.models import User
from catalog.models import Album
from catalog.words import indexing
from photolala.web import query_limits
from photolala.web.refusals import Problem

from .album_cards import COVERS
from .filters import PhotoFilters
from .photo_lists import photo_page
from .timeline import timeline_buckets

SECONDS = 2
"""For all of a page together: cards that were not reached by then show neither count nor pictures."""
_FIRST = "12"
"""Photos among which those with pictures are looked for."""


@dataclass(frozen=True)
class SmartCard:
    """What a saved search finds now."""

    photos: int
    covers: list[tuple[UUID, str]] = field(default_factory=list)
    """Id and photo MD5 of the newest with a picture, at most four."""


def smart_cards(user: User, albums: Iterable[Album]) -> dict[UUID, SmartCard]:
    """Return the card of each of `albums` that is a saved search, as far as SECONDS reach."""
    smart = [album for album in albums if album.query is not None]
    cards: dict[UUID, SmartCard] = {}
    if smart:
        indexing.catch_up_before_a_search()
        with suppress(query_limits.TooSlow, Problem), query_limits.at_most(SECONDS):
            for album in smart:
                cards[album.pk] = _card(user, PhotoFilters(album=album.pk))
    return cards


def _card(user: User, filters: PhotoFilters) -> SmartCard:
    count = sum(bucket["count"] for bucket in timeline_buckets(user, filters))
    rows = photo_page(user, filters, {"limit": _FIRST}, ("id", "photo_md5", "has_thumbnail")).rows if count else []
    covers = [(row["id"], row["photo_md5"]) for row in rows if row["has_thumbnail"]]
    return SmartCard(count, covers[:COVERS])
