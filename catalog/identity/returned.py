"""Photos that came back: what people gave to a photo's row of a place in between is given to the photo itself."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Coalesce

from catalog.entries.owner_stars import mirror_for_owner
from catalog.identity.wishes import Wishes, try_waiting_again
from catalog.models import HashCache, Library, Photo
from photolala.lib.paths import join_path

BATCH = 100


@dataclass(frozen=True, slots=True)
class _Return:
    """`photo` is back at its place; `between` is the row of the place where its file was meanwhile, and is no more."""

    photo: UUID
    between: UUID


def follow_returned(library: Library, started_at: datetime, count: Callable[..., None]) -> int:
    """Give photos that are back what their rows of places in between were given, and delete those rows.

    Such a row was first seen while the photo was gone, has the same content, and was not seen after the photo was back: no
    scan came to its end in between, or it would have followed the file. `count` is called in the transaction of each batch.
    Returns how many were left to the next scan, because a writer has a file in hand.
    """
    postponed = 0
    found = _returns(library)
    for start in range(0, len(found), BATCH):
        with transaction.atomic():
            postponed += _lead(library, found[start : start + BATCH], started_at, count)
    return postponed


def forget_returns(library: Library, before: datetime | None) -> None:
    """Forget of photos that they were gone, if a scan that began at `before`, after they were back, came to its end."""
    if before is not None:
        Photo.objects.filter(library=library, returned_at__lt=before).update(returned_at=None, seen_at=None)


def _returns(library: Library, among: Sequence[UUID] | None = None) -> list[_Return]:
    """Return who is back, and the rows of the places in between (of those `among`, if given), in order of time and path."""
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
    if among is not None:
        gone = gone.filter(pk__in=among)
    rows = (
        gone.filter(Exists(back))
        .order_by("added_at", "directory", "filename")
        .annotate(back=back.order_by("directory", "filename").values("pk")[:1])
        .values_list("back", "pk")
    )
    return [_Return(photo, between) for photo, between in rows]


def _lead(library: Library, returns: list[_Return], started_at: datetime, count: Callable[..., None]) -> int:
    keys = [key for one in returns for key in (one.photo, one.between)]
    held = Photo.objects.select_for_update(of=("self",)).filter(pk__in=keys, library=library).order_by("pk")
    photos = {photo.pk: photo for photo in held}
    still = set(_returns(library, [one.between for one in returns]))
    wishes = Wishes.of(keys)
    changed: dict[UUID, dict[str, object]] = defaultdict(dict)
    gone: list[Photo] = []
    rated: list[UUID] = []
    postponed = 0
    for one in returns:
        if one not in still:
            continue
        photo, between = photos[one.photo], photos[one.between]
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
