"""True duplicates: files with the very same bytes. Files that only begin alike and have one size are never called so."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, F, OuterRef, Window
from django.db.models.functions import RowNumber

from accounts.models import User
from catalog.entries.pairs import raw_partners
from catalog.models import Album, AlbumItem, Favourite, Library, Photo
from catalog.models.photo import IS_SURE

GROUPS = 30
MOST_COPIES = 50


RULES = {"oldest": "the oldest file", "best": "the one with most stars, albums and words"}
"""By what one copy of each is chosen; besides there is the id of a library."""
_COPY_NAME = re.compile(r"( \(\d+\)|[ _-]copy\b|copy of )", re.IGNORECASE)


@dataclass(frozen=True)
class Group:
    """Photos with one photo MD5; `copies` are dicts of the first 50, by library and path, `count` is of all.

    Each copy has `can_change`: whether the user may keep it and trash the others.
    """

    photo_md5: str
    size_bytes: int
    count: int
    copies: list[dict[str, Any]]

    @property
    def spare_bytes(self) -> int:
        """What the copies beyond the first take."""
        return (self.count - 1) * self.size_bytes

    @property
    def can_choose(self) -> bool:
        """True if two of them at least are the user's to change."""
        return sum(copy["can_change"] for copy in self.copies) > 1


def duplicate_groups(user: User, after: str = "", limit: int = GROUPS) -> tuple[list[Group], str]:
    """Return the next groups of duplicates among what `user` may see, in order of MD5, and where to continue ("" at the end).

    Three queries: the visible libraries, the groups from an index alone, their photos. What is missing is no copy, nor is a
    file of which only a snapshot tells its content: nobody is to delete a photo because of that.
    """
    can_change = Exists(Library.objects.editable_by(user).filter(pk=OuterRef("pk")))
    seen = Library.objects.visible_to(user).annotate(can_change=can_change).values_list("pk", "name", "can_change")
    libraries = {pk: (name, can_change) for pk, name, can_change in seen}
    photos = Photo.objects.filter(library__in=list(libraries), photo_md5__gt=after)
    counted = photos.values("photo_md5").annotate(count=Count("*")).filter(count__gt=1).order_by("photo_md5")
    md5s = list(counted.values_list("photo_md5", flat=True)[: limit + 1])
    more = md5s[limit - 1] if len(md5s) > limit else ""
    columns = ("id", "photo_md5", "library_id", "directory", "filename", "size_bytes", "taken_local", "taken_source")
    facts = ("mtime_ns", "rating", "caption", "state")
    present = Photo.objects.filter(library__in=list(libraries), photo_md5__in=md5s[:limit]).filter(IS_SURE)
    content = F("photo_md5")
    members = present.annotate(
        number=Window(RowNumber(), partition_by=content, order_by=("library", "directory", "filename")),
        copies=Window(Count("pk"), partition_by=content),
    ).filter(copies__gt=1, number__lte=MOST_COPIES)
    by_md5: dict[str, list[dict[str, Any]]] = {}
    for row in members.order_by("photo_md5", "number").values(*columns, *facts, "has_thumbnail", "copies"):
        name, can_change = libraries[row["library_id"]]
        copy = {**row, "library": name, "can_change": can_change and row["state"] != Photo.State.REMOTE}
        by_md5.setdefault(row["photo_md5"], []).append(copy)
    groups = [Group(md5, rows[0]["size_bytes"], rows[0]["copies"], rows) for md5, rows in by_md5.items()]
    return groups, more


def note_pairs(user: User, groups: list[Group]) -> None:
    """Add to each copy `pair`: the file name of the RAW or JPEG with which it lies, which its group has not. Two queries for each
    hundred."""
    copies = [copy for group in groups for copy in group.copies]
    partners = raw_partners(
        Photo.objects.visible_to(user).exclude(state=Photo.State.MISSING), [one["id"] for one in copies]
    )
    for copy in copies:
        copy["pair"] = partners.get(copy["id"], "")


def choose(user: User, groups: list[Group], rule: str) -> dict[str, UUID]:
    """Return, by MD5, which copy of each group is to be kept by `rule`: one of RULES, or the id of a library.

    Among equals the one in the first library and folder, so that what belongs together stays together (a RAW and its JPEG).
    Groups of which nothing may be changed, or that have no copy in that library, are left out. With "best" two
    queries: what others like does not count, as the choice would tell of it, and it goes over to the kept copy anyhow.
    """
    able = {
        group.photo_md5: [copy for copy in group.copies if copy["can_change"]] for group in groups if group.can_choose
    }
    ids = [copy["id"] for copies in able.values() for copy in copies]
    given: Counter[UUID] = Counter()
    if rule == "best":
        items = AlbumItem.objects.live().filter(photo__in=ids, album__in=Album.objects.visible_to(user).values("pk"))
        given.update(items.order_by().values_list("photo", flat=True))
        given.update(Favourite.objects.filter(user=user, photo__in=ids).order_by().values_list("photo", flat=True))

    def key(copy: dict[str, Any]) -> tuple[Any, ...]:
        place = (str(copy["library_id"]), copy["directory"], copy["filename"])
        if rule == "best":
            worth = given[copy["id"]] + (copy["rating"] or 0) + bool(copy["caption"])
            return (-worth, bool(_COPY_NAME.search(copy["filename"])), *place)
        return (copy["mtime_ns"], *place) if rule == "oldest" else place

    chosen = {}
    for md5, copies in able.items():
        fitting = copies if rule in RULES else [copy for copy in copies if str(copy["library_id"]) == rule]
        if fitting:
            chosen[md5] = min(fitting, key=key)["id"]
    return chosen
