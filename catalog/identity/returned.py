"""Photos that came back: what people gave to a photo's row of a place in between is given to the photo itself."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Coalesce

from catalog.entries.owner_stars import mirror_for_owner
from catalog.identity.wishes import Wishes, try_waiting_again
from catalog.models import HashCache, Library, Photo, TrashItem
from catalog.sources.base import Source
from photolala.lib.paths import join_path

BATCH = 100
MOST_COPIES = 20


@dataclass(frozen=True, slots=True)
class _Return:
    """`photo` is back at its place; `between` is the row of the place where its file was meanwhile, and is no more."""

    photo: UUID
    between: UUID


def follow_returned(
    library: Library, source: Source, started_at: datetime, walked_at: datetime | None, count: Callable[..., None]
) -> int:
    """Give photos that are back what their rows of places in between were given, and delete those rows.

    Such a row was first seen while the photo was gone, has the same content, and was not seen after the photo was back: no
    scan came to its end in between, or it would have followed the file. Where no scan missed the photo, the time at which
    its file was last renamed tells a file that was elsewhere from a copy that somebody made and deleted.

    `walked_at` is when the last scan began that came to its end. `count` is called in the transaction of each batch.
    Returns how many were left to the next scan, because a writer has a file in hand.
    """
    postponed = 0
    found = [*_returns(library), *_unmissed(library, source, started_at, walked_at)]
    for start in range(0, len(found), BATCH):
        with transaction.atomic():
            postponed += _lead(library, found[start : start + BATCH], started_at, count)
    return postponed


def forget_returns(library: Library, before: datetime | None) -> None:
    """Forget of photos that they were gone, if a scan that began at `before`, after they were back, came to its end."""
    if before is not None:
        Photo.objects.filter(library=library, returned_at__lt=before).update(returned_at=None, seen_at=None)


def _returns(library: Library) -> list[_Return]:
    """Return who was missing and is back, and the rows of the places in between, in order of time and path."""
    if not Photo.objects.filter(library=library, returned_at__isnull=False).exists():
        return []
    same = Q(photo_md5=OuterRef("photo_md5")) & ~Q(photo_md5="")
    same |= Q(head_md5=OuterRef("head_md5"), size_bytes=OuterRef("size_bytes")) & ~Q(head_md5="")
    is_gone_by_then = Q(returned_at__gte=OuterRef("missing_since"))
    was_there_before = Q(returned_at__gt=OuterRef("added_at")) & Q(
        returned_at__gte=Coalesce(OuterRef("seen_at"), OuterRef("added_at"))
    )
    back = Photo.objects.filter(library=library, returned_at__isnull=False, seen_at__lte=OuterRef("added_at"))
    back = back.exclude(state=Photo.State.MISSING).filter(same).filter(is_gone_by_then | was_there_before)
    gone = Photo.objects.filter(library=library).gone()
    rows = (
        gone.filter(Exists(back))
        .order_by("added_at", "directory", "filename")
        .annotate(back=back.order_by("directory", "filename").values("pk")[:1])
        .values_list("back", "pk")
    )
    return [_Return(photo, between) for photo, between in rows]


def _unmissed(library: Library, source: Source, started_at: datetime, walked_at: datetime | None) -> Iterator[_Return]:
    """Yield the photos that no scan missed, though their files were elsewhere when the last scan walked."""
    if source.is_far or walked_at is None:
        return
    here = Photo.objects.filter(library=library)
    there = here.exclude(state=Photo.State.MISSING)
    twins = there.filter(photo_md5=OuterRef("photo_md5"), added_at__lt=OuterRef("added_at"))
    gone = here.filter(missing_since=started_at, added_at__gte=walked_at).gone().exclude(photo_md5="")
    for key, md5, added_at in (
        gone.filter(Exists(twins)).order_by("added_at").values_list("pk", "photo_md5", "added_at")
    ):
        places = there.filter(photo_md5=md5, added_at__lt=added_at).values_list("pk", "directory", "filename")
        renamed = [
            photo for photo, *place in places[:MOST_COPIES] if _is_renamed_since(source, join_path(*place), added_at)
        ]
        if len(renamed) == 1:
            yield _Return(renamed[0], key)


def _is_renamed_since(source: Source, path: str, moment: datetime) -> bool:
    """True if the file got its name, or anything else, after `moment`: renaming it sets the time of its status."""
    try:
        file = source.open(path)
    except OSError:
        return False
    try:
        return os.fstat(file).st_ctime >= moment.timestamp()
    finally:
        os.close(file)


def _lead(library: Library, returns: list[_Return], started_at: datetime, count: Callable[..., None]) -> int:
    keys = [key for one in returns for key in (one.photo, one.between)]
    held = Photo.objects.select_for_update(of=("self",)).filter(pk__in=keys, library=library).order_by("pk")
    photos = {photo.pk: photo for photo in held}
    in_trash = set(TrashItem.objects.filter(photo__in=keys).values_list("photo", flat=True))
    wishes = Wishes.of(keys)
    changed: dict[UUID, dict[str, object]] = defaultdict(dict)
    gone: list[Photo] = []
    rated: list[UUID] = []
    postponed = 0
    for one in returns:
        photo, between = photos.get(one.photo), photos.get(one.between)
        if photo is None or between is None or not in_trash.isdisjoint((one.photo, one.between)):
            continue
        if not _are_one(photo, between):
            continue
        if wishes.is_being_written(photo) or wishes.is_being_written(between):
            postponed += 1
            continue
        rating = photo.rating
        changed[photo.pk] |= wishes.lead(library, between, photo)
        gone.append(between)
        if photo.rating != rating:
            rated.append(photo.pk)
    if not gone:
        return postponed
    Photo.objects.filter(pk__in=[photo.pk for photo in gone]).delete()
    paths = [join_path(photo.directory, photo.filename) for photo in gone]
    HashCache.objects.filter(library=library, path__in=paths).delete()
    for key, values in changed.items():
        if values:
            Photo.objects.filter(pk=key).update(**values)
    mirror_for_owner(library, rated)
    try_waiting_again(library, list(changed))
    count(moved_gone=sum(photo.missing_since == started_at for photo in gone))
    return postponed


def _are_one(photo: Photo, between: Photo) -> bool:
    """True if, under lock, the one is still there and the other is not, and both have the same content."""
    missing = Photo.State.MISSING
    if photo.state == missing or between.state != missing:
        return False
    if between.photo_md5 and photo.photo_md5:
        return between.photo_md5 == photo.photo_md5
    return bool(photo.head_md5) and (photo.head_md5, photo.size_bytes) == (between.head_md5, between.size_bytes)
