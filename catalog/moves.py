"""Moves: what is gone here and new there with the same photo MD5 is the same photo, and keeps all that hangs on it."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction

from catalog.sources.base import Directory, Source

from . import scan_rows
from .models import Favourite, Library, Photo, PhotoMetadata
from .planning import Entry, compare

MOVED_FIELDS = [
    field.attname
    for field in Photo._meta.concrete_fields
    if field.attname not in {"id", "library_id", "added_at", "claim_token", "claimed_for", "claimed_until"}
]


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


def follow(library: Library, added_at: datetime) -> int:
    """Give the photos that a scan added (at `added_at`) back the ids of missing ones with the same photo MD5.

    Returns how many. In order of path, so that the same files always end with the same ids.
    """
    added = Photo.objects.filter(library=library, added_at=added_at).exclude(state=Photo.State.MISSING)
    missing = Photo.objects.filter(library=library, state=Photo.State.MISSING).exclude(photo_md5="")
    if not missing.exists():
        return 0
    shared = set(
        missing.filter(photo_md5__in=added.exclude(photo_md5="").values("photo_md5")).values_list(
            "photo_md5", flat=True
        )
    )
    moved = 0
    for photo_md5 in sorted(shared):
        places = ("directory", "filename")
        pairs = zip(
            missing.filter(photo_md5=photo_md5).order_by(*places),
            added.filter(photo_md5=photo_md5).order_by(*places),
            strict=False,
        )
        for old, new in pairs:
            _take_place(old, new)
            moved += 1
    return moved


def _take_place(old: Photo, new: Photo) -> None:
    """Let `old` lie where `new` was found; what people gave to `new` meanwhile goes to `old`."""
    values: dict[str, Any] = {name: getattr(new, name) for name in MOVED_FIELDS}
    body = PhotoMetadata.objects.filter(photo=new).values_list("body", flat=True).first()
    with transaction.atomic():
        liked = Favourite.objects.filter(photo=old).values("user")
        Favourite.objects.filter(photo=new).exclude(user__in=liked).update(photo=old)
        new.delete()
        Photo.objects.filter(pk=old.pk).update(**values)
        if body is not None:
            PhotoMetadata.objects.update_or_create(photo_id=old.pk, defaults={"body": body})
