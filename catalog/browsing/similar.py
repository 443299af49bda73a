"""Groups of similar pictures as a person last had them found: what is still there of them, and in what they differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef

from accounts.models import User
from catalog.duplicates.similar import comparable
from catalog.entries.pairs import raw_partners, videos_of
from catalog.media.look import are_similar
from catalog.models import Library, Photo, SimilarGroup
from catalog.models.photo import UNDATED

GROUPS = 20
_AT_ONCE = 100
_MOST_ROUNDS = 20
"""So many groups of which nothing is left are passed over before a page ends without being full."""
_COLUMNS = (
    "id", "library_id", "directory", "filename", "media_type", "width", "height", "size_bytes", "taken_local", "taken_source",
    "photo_md5", "has_thumbnail", "rating", "look",
)  # fmt: skip


@dataclass(frozen=True)
class Similar:
    """A group: `pictures` are dicts, the largest first, each with `library` (name), `can_change`, and `pair`, the file name of
    its RAW or JPEG, or of its short video; `differences` says in words in what they differ."""

    number: int
    pictures: list[dict[str, Any]]

    @property
    def differences(self) -> list[str]:
        """Sentences on size, date and type of file."""
        return differences(self.pictures)

    @property
    def can_choose(self) -> bool:
        """True if two of them at least are the user's to change."""
        return sum(one["can_change"] for one in self.pictures) > 1


def similar_groups(user: User, after: int = 0, limit: int = GROUPS) -> tuple[list[Similar], int]:
    """Return the next groups of which two pictures at least are there and `user`'s to see, and after which number to go on (0
    at the end). A picture that changed since counts only if it is still similar to that in the middle of its group."""
    can_change = Exists(Library.objects.editable_by(user).filter(pk=OuterRef("pk")))
    seen = Library.objects.visible_to(user).annotate(can_change=can_change).values_list("pk", "name", "can_change")
    libraries = {pk: (name, is_editable) for pk, name, is_editable in seen}
    groups: list[Similar] = []
    for _ in range(_MOST_ROUNDS):
        rows = list(SimilarGroup.objects.filter(user=user, number__gt=after).order_by("number")[:_AT_ONCE])
        facts = _facts(user, rows)
        for row in rows:
            pictures = _still_similar(row, facts)
            if len(pictures) > 1:
                if len(groups) == limit:
                    return _with_names(groups, libraries), after
                groups.append(Similar(row.number, pictures))
            after = row.number
        if len(rows) < _AT_ONCE:
            return _with_names(groups, libraries), 0
    return _with_names(groups, libraries), after


def group_of(user: User, number: int) -> set[str]:
    """Return the ids of the photos in the group of this number that are there, `user`'s to see, and still similar."""
    rows = list(SimilarGroup.objects.filter(user=user, number=number))
    return {str(one["id"]) for row in rows for one in _still_similar(row, _facts(user, rows))}


def _still_similar(row: SimilarGroup, facts: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [facts[key] for key in row.photos if key in facts and are_similar(facts[key]["look"], row.look)]


def _facts(user: User, rows: Sequence[SimilarGroup]) -> dict[str, dict[str, Any]]:
    keys = list(dict.fromkeys(key for row in rows for key in row.photos))
    facts: dict[str, dict[str, Any]] = {}
    for first in range(0, len(keys), 1_000):
        found = comparable(user).filter(pk__in=keys[first : first + 1_000]).values(*_COLUMNS)
        facts |= {str(row["id"]): row for row in found}
    return facts


def _with_names(groups: list[Similar], libraries: dict[UUID, tuple[str, bool]]) -> list[Similar]:
    """Add to each picture the name of its library, what the user may do, and what it is a pair with."""
    ids = [one["id"] for group in groups for one in group.pictures]
    seen = Photo.objects.filter(library__in=list(libraries)).exclude(state=Photo.State.MISSING)
    partners = raw_partners(seen, ids)
    videos = videos_of(seen, ids)
    names: dict[UUID | None, str] = dict(seen.filter(pk__in=videos.values()).values_list("pk", "filename"))
    for group in groups:
        for one in group.pictures:
            one["library"], one["can_change"] = libraries[one["library_id"]]
            one["pair"] = partners.get(one["id"], "") or names.get(videos.get(one["id"]), "")
    return groups


def differences(pictures: Sequence[dict[str, Any]]) -> list[str]:
    """Say in words in what these pictures differ: size, date, type of file; and that they do not."""
    sizes = sorted({(one["width"], one["height"]) for one in pictures if one["width"] and one["height"]})
    types = sorted({one["media_type"].partition("/")[2].removeprefix("x-").upper() for one in pictures} - {""})
    words = []
    if len(sizes) > 1:
        small, large = (min(sizes, key=_pixels), max(sizes, key=_pixels))
        words.append(f"size: {small[0]:,} × {small[1]:,} to {large[0]:,} × {large[1]:,} pixels")
    dates = [one["taken_local"] for one in pictures if one["taken_source"] not in ("", "file")]
    if dates and max(dates) != min(dates):
        words.append(f"date: {_apart(min(dates), max(dates))}")
    if dates and len(dates) < len(pictures):
        words.append("date: unknown of some")
    if len(types) > 1:
        words.append(f"type of file: {', '.join(types)}")
    return words


def _pixels(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _apart(first: datetime, last: datetime) -> str:
    apart = last - first
    if first <= UNDATED or apart >= timedelta(days=1):
        return f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
    for length, one, many in ((3600, "an hour", "hours"), (60, "a minute", "minutes"), (1, "a second", "seconds")):
        count = int(apart.total_seconds()) // length
        if count:
            return f"{one if count == 1 else f'{count} {many}'} apart"
    return "less than a second apart"
