"""True duplicates: files with the very same bytes. Files that only begin alike and have one size are never called so."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, Window
from django.db.models.functions import RowNumber

from accounts.models import User
from catalog.models import Library, Photo
from catalog.models.photo import IS_SURE

GROUPS = 30
MOST_COPIES = 50


@dataclass(frozen=True)
class Group:
    """Photos with one photo MD5; `copies` are dicts of the first 50, by library and path, `count` is of all."""

    photo_md5: str
    size_bytes: int
    count: int
    copies: list[dict[str, Any]]

    @property
    def spare_bytes(self) -> int:
        """What the copies beyond the first take."""
        return (self.count - 1) * self.size_bytes


def duplicate_groups(user: User, after: str = "", limit: int = GROUPS) -> tuple[list[Group], str]:
    """Return the next groups of duplicates among what `user` may see, in order of MD5, and where to continue ("" at the end).

    Three queries: the visible libraries, the groups from an index alone, their photos. What is missing is no copy, nor is a
    file of which only a snapshot tells its content: nobody is to delete a photo because of that.
    """
    libraries = dict(Library.objects.visible_to(user).values_list("pk", "name"))
    photos = Photo.objects.filter(library__in=list(libraries), photo_md5__gt=after)
    counted = photos.values("photo_md5").annotate(count=Count("*")).filter(count__gt=1).order_by("photo_md5")
    md5s = list(counted.values_list("photo_md5", flat=True)[: limit + 1])
    more = md5s[limit - 1] if len(md5s) > limit else ""
    columns = ("id", "photo_md5", "library_id", "directory", "filename", "size_bytes", "taken_local", "taken_source")
    present = Photo.objects.filter(library__in=list(libraries), photo_md5__in=md5s[:limit]).filter(IS_SURE)
    content = F("photo_md5")
    members = present.annotate(
        number=Window(RowNumber(), partition_by=content, order_by=("library", "directory", "filename")),
        copies=Window(Count("pk"), partition_by=content),
    ).filter(copies__gt=1, number__lte=MOST_COPIES)
    by_md5: dict[str, list[dict[str, Any]]] = {}
    for row in members.order_by("photo_md5", "number").values(*columns, "has_thumbnail", "copies"):
        by_md5.setdefault(row["photo_md5"], []).append({**row, "library": libraries[row["library_id"]]})
    groups = [Group(md5, rows[0]["size_bytes"], rows[0]["copies"], rows) for md5, rows in by_md5.items()]
    return groups, more
