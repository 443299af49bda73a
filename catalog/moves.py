"""Moves: what is gone here and new there with the same photo MD5 is the same photo, and keeps all that hangs on it."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from catalog.sources.base import Directory, Source

from . import scan_rows
from .identities import content_for, follow_replaced, note_edits
from .models import Favourite, FileWrite, HashCache, Library, Photo, PhotoMetadata
from .models.conditions import is_given
from .models.photo import PhotoQuerySet
from .planning import Entry, compare
from .scan_rows import TAKEN_COLUMNS


def count_probable(
    library: Library, source: Source, dirty: list[str], entries: Callable[[Directory], dict[str, Entry]]
) -> int:
    """Return how many known entries that are gone seem to lie elsewhere: new files of the same size and time.

    Asked only when much is gone at once; the digest decides later which really are the same.
    """
    added: Counter[tuple[int, int]] = Counter()
    kept: set[tuple[str, str]] = set()
    for path in dirty:
        directory = source.list_directory(path)
        found = entries(directory)
        plan = compare(found, scan_rows.known_in(library, [path])[path], is_complete=directory.is_complete)
        added.update(found[name][:2] for name in (plan.added if plan else []))
        kept.update((path, name) for name in found)
    moved = 0
    known = Photo.objects.filter(library=library).exclude(state=Photo.State.MISSING)
    for directory_path, name, size_bytes, mtime_ns in known.values_list(
        "directory", "filename", "size_bytes", "mtime_ns"
    ).iterator(chunk_size=2000):
        if added[size_bytes, mtime_ns] > 0 and (directory_path, name) not in kept:
            added[size_bytes, mtime_ns] -= 1
            moved += 1
    return moved


def follow(library: Library, started_at: datetime, count: Callable[..., None]) -> None:
    """Give the photos that were added back the ids of missing ones with the same photo MD5, or at least the same picture.

    Those added by the scan that began at `started_at` count, and by scans before it that never came to an end. `count`
    is called in the transaction of each move, with what it did. In order of path, so that the same files always end
    with the same ids.
    """
    missing = Photo.objects.filter(library=library, state=Photo.State.MISSING).exclude(photo_md5="")
    since = Q(added_at=started_at)
    finished_at = Library.objects.values_list("scanned_at", flat=True).get(pk=library.pk)
    since |= Q(added_at__gt=finished_at) if finished_at else Q()
    added = Photo.objects.filter(since, library=library).exclude(state=Photo.State.MISSING).exclude(photo_md5="")
    follow_replaced(library, missing, added, started_at, count)
    if not missing.exists():
        return
    shared = set(missing.filter(photo_md5__in=added.values("photo_md5")).values_list("photo_md5", flat=True))
    places = ("directory", "filename")
    for photo_md5 in sorted(shared):
        pairs = zip(
            list(missing.filter(photo_md5=photo_md5).order_by(*places)),
            list(added.filter(photo_md5=photo_md5).order_by(*places)),
            strict=False,
        )
        for old, new in pairs:
            with transaction.atomic():
                _follow_one(old, new, started_at, count)
    _follow_pictures(library, missing, added, started_at, count)


def _follow_pictures(
    library: Library, missing: PhotoQuerySet, added: PhotoQuerySet, started_at: datetime, count: Callable[..., None]
) -> None:
    """Lead photos that were moved and edited at once to the file with the same picture and other words.

    Only where it is clear: one photo is gone with that picture and one came, or both were taken in the same second.
    """
    gone = missing.filter(trash_item=None).filter(is_given("image_digest"))
    new = added.filter(is_given("image_digest"))
    shared = set(gone.filter(image_digest__in=new.values("image_digest")).values_list("image_digest", flat=True))
    for digest in sorted(shared):
        olds = list(gone.with_pictures([digest]).order_by("directory", "filename"))
        news = list(new.with_pictures([digest]).order_by("directory", "filename"))
        is_clear = len(olds) == len(news) == 1
        for old in olds:
            same = next((one for one in news if is_clear or one.taken_local == old.taken_local), None)
            if same is None:
                continue
            news.remove(same)
            with transaction.atomic():
                note_edits(library, [(old.photo_md5, same.photo_md5)])
                _follow_one(old, same, started_at, count)


def _follow_one(old: Photo, new: Photo, started_at: datetime, count: Callable[..., None]) -> None:
    _take_place(old, new)
    count(
        moved=1,
        moved_added=int(new.added_at == started_at),
        moved_gone=int(old.missing_since == started_at),
    )


def _take_place(old: Photo, new: Photo) -> None:
    """Let `old` lie where `new` was found; what people gave to `new` meanwhile goes to `old`."""
    values = content_for(old, new)
    body = PhotoMetadata.objects.filter(photo=new).values_list("body", flat=True).first()
    liked = Favourite.objects.filter(photo=old).values("user")
    Favourite.objects.filter(photo=new).exclude(user__in=liked).update(photo=old)
    if new.rating_held and not old.rating_held:
        values |= {"rating": new.rating, "rating_held": True}
    if new.taken_held and not old.taken_held:
        values |= {name: getattr(new, name) for name in (*TAKEN_COLUMNS, "taken_held")}
    if not FileWrite.objects.filter(photo=old, state__in=FileWrite.OPEN).exists():
        FileWrite.objects.filter(photo=new).update(photo=old)
    new.delete()
    HashCache.objects.filter(library_id=old.library_id, path=old.path).delete()
    Photo.objects.filter(pk=old.pk).update(**values)
    if body is not None:
        PhotoMetadata.objects.update_or_create(photo_id=old.pk, defaults={"body": body})
