"""Which folders and prefixes somebody has: libraries, export destinations, folders being imported, and the server's own.

What one person has may not be, hold or be in what another person has, or the server. Whoever is refused is not told what is
there: the same sentence is said of a folder that is not among the allowed ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from django.conf import settings
from django.db import connection
from django.db.models import Exists, OuterRef, Q

from accounts.models import User
from catalog.models import Import, ImportItem, Library
from catalog.sources.s3_keys import SCHEME, BucketRoot, parse_uri
from photolala.lib.mounts import Mounts, is_inside, overlap
from photolala.lib.paths import unescape_path

Place = Path | BucketRoot
Kind = Literal["library", "destination", "import", "server"]
_LOCK = 0x70686F746F  # the advisory lock under which folders are taken, on PostgreSQL


@dataclass(frozen=True, slots=True)
class Taken:
    """A place that somebody has; `owner_id` is None for the server's own. `words` are for the operator only."""

    place: Place
    kind: Kind
    words: str
    owner_id: Any = None
    key: Any = None
    name: str = ""
    since: datetime | None = None


Provider = Callable[[], Iterable[Taken]]
_providers: list[Provider] = []


def knows_taken_folders(provider: Provider) -> Provider:
    """Register what knows of taken folders: an app whose tables this one does not know."""
    _providers.append(provider)
    return provider


def folder_of(text: str) -> Path:
    """Return the folder that a row names in escaped form."""
    return Path(os.fsdecode(unescape_path(text)))


def lock_taken_folders() -> None:
    """Wait until nobody else takes a folder; look again after that. Call it in a transaction, whose end lets go."""
    if connection.vendor == "postgresql":  # SQLite's transactions are one at a time anyway
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def taken_folders() -> list[Taken]:
    """Return all that is taken, the server's own folders first."""
    return [taken for provider in _providers for taken in provider()]


class TakenFolders:
    """What is taken as of one moment, for questions about several places."""

    def __init__(self, taken: Iterable[Taken] | None = None) -> None:
        self.all = taken_folders() if taken is None else list(taken)
        self._mounts = Mounts.now()

    def overlapping(self, *places: Place) -> Iterator[Taken]:
        """Yield what one of `places` is, holds or is in."""
        yield from (taken for taken in self.all if any(self._overlap(place, taken.place) for place in places))

    def holding(self, *places: Place) -> Iterator[Taken]:
        """Yield what one of `places` is, or is in."""
        yield from (taken for taken in self.all if any(self._is_inside(place, taken.place) for place in places))

    def conflicts(self) -> Iterator[tuple[Taken, Taken]]:
        """Yield the pairs that should not be: of two people, or of a person and the server. The earlier one first."""
        for one, other in combinations(self.all, 2):
            if one.owner_id != other.owner_id and self._overlap(one.place, other.place) and not _is_allowed(one, other):
                is_later = one.since is not None and (other.since is None or other.since < one.since)
                yield (other, one) if is_later else (one, other)

    def _overlap(self, one: Place, other: Place) -> bool:
        if isinstance(one, BucketRoot) or isinstance(other, BucketRoot):
            return self._is_inside(one, other) or self._is_inside(other, one)
        return overlap(one, other, self._mounts)

    def _is_inside(self, inner: Place, outer: Place) -> bool:
        if isinstance(inner, BucketRoot) or isinstance(outer, BucketRoot):
            return isinstance(inner, BucketRoot) and isinstance(outer, BucketRoot) and inner.is_within(outer)
        return is_inside(inner, outer, self._mounts)


def of_others(user: User, taken: Iterable[Taken], *, before: datetime | None = None) -> Taken | None:
    """Return the first that is not the user's; with `before` only what was there then, or is the server's."""
    for one in taken:
        if one.owner_id != user.pk and (before is None or one.since is None or one.since < before):
            return one
    return None


def _is_allowed(one: Taken, other: Taken) -> bool:
    """True for a person's own folder among the exports that this server keeps, which is given to that person."""
    person, server = (one, other) if other.kind == "server" else (other, one)
    if server.kind != "server" or person.kind != "destination" or not isinstance(person.place, Path):
        return False
    return exports_of(person.owner_id) in person.place.parents


def exports_of(user_id: Any) -> Path:
    """Return the folder in which a user has destinations that this server keeps."""
    return Path(os.path.realpath(Path(settings.EXPORTS_DIR) / str(user_id) / "folders"))


@knows_taken_folders
def own_folders() -> Iterator[Taken]:
    """Yield what this installation keeps for itself: data, cache, database, broker, copies of catalogs, its programs."""
    storages: Any = settings.STORAGES
    cache = storages["cache"]["OPTIONS"]
    named: list[tuple[str, Any]] = [
        ("the data folder (PHOTOLALA_DATA)", settings.DATA_DIR),
        ("the exports (PHOTOLALA_EXPORTS)", settings.EXPORTS_DIR),
        ("the uploads (PHOTOLALA_UPLOADS)", settings.UPLOADS_DIR),
        ("the cache (PHOTOLALA_CACHE)", settings.CACHE_LOCATION),
        ("the cache (PHOTOLALA_CACHE)", None if "bucket_name" in cache else cache.get("location")),
        ("the media store (PHOTOLALA_MEDIA)", settings.MEDIA_LOCATION),
        ("the static files", settings.STATIC_ROOT),
        ("the program itself", settings.BASE_DIR),
    ]
    if settings.CATALOG_COPIES:
        copies = f"{settings.CATALOG_COPIES.rstrip('/')}/catalogs"
        named.append(("the copies of catalogs (PHOTOLALA_CATALOG_COPIES)", copies))
    if connection.vendor == "sqlite":
        named.append(("the database", settings.DATABASES["default"]["NAME"]))
    if settings.CELERY_BROKER_URL.startswith("sqliteq://"):
        named.append(("the broker's file", settings.CELERY_BROKER_URL.removeprefix("sqliteq://")))
    seen = set()
    for words, where in named:
        place = _own_place(where)
        if place is not None and place not in seen:
            seen.add(place)
            yield Taken(place, "server", f"{words}: {where}")


def _own_place(where: Any) -> Place | None:
    text = str(where or "")
    if text.startswith(SCHEME):
        try:
            return parse_uri(text)
        except ValueError:
            return None
    return Path(os.path.realpath(text)) if text.startswith("/") else None


@knows_taken_folders
def roots_of_libraries() -> Iterator[Taken]:
    """Yield the roots of all libraries, in folders and in buckets."""
    rows = Library.objects.exclude(source="device").order_by("created_at", "pk")
    for library in rows.select_related("owner").only("name", "root", "source", "created_at", "owner__username"):
        place = _place_of(library.root)
        if place is not None:
            words = f"the library “{library.name}” of {library.owner.get_username()}: {library.root}"
            since = library.created_at
            yield Taken(place, "library", words, library.owner_id, library.pk, library.name, since)


@knows_taken_folders
def folders_being_imported() -> Iterator[Taken]:
    """Yield the folders that imports still read; one that ended has no claim on its folder."""
    unread = ImportItem.objects.filter(import_run=OuterRef("pk"), state__in=ImportItem.OPEN)
    rows = Import.objects.exclude(kind=Import.Kind.UPLOAD).filter(archive=None, error="")
    rows = rows.filter(Q(listed_at=None) | Exists(unread)).select_related("user").order_by("created_at", "pk")
    for wanted in rows:
        text = wanted.source if wanted.kind == Import.Kind.FOLDER else wanted.source.rpartition("/")[0]
        place = _place_of(text)
        if place is not None:
            words = f"a folder that {wanted.user.get_username()} is importing: {text}"
            yield Taken(place, "import", words, wanted.user_id, wanted.pk, "", wanted.created_at)


def _place_of(text: str) -> Place | None:
    """Return the place that a row names; None for a text of no such form, which no path can be."""
    try:
        return parse_uri(text) if text.startswith(SCHEME) else folder_of(text)
    except ValueError:
        return None
