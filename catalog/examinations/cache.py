"""Examine the cache: that it takes objects, that it has the thumbnails it should, and what in it is of no photo."""

import random
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.core.files.base import ContentFile

from catalog.cache import tree
from catalog.cache.objects import (
    ABANDONED_AFTER_SECONDS,
    BATCH,
    KINDS,
    CacheObject,
    CacheObjects,
    CacheUnavailable,
    cache_objects,
    photo_md5_of,
)
from catalog.models import Library, Photo
from catalog.scanning.redraw import draw_again
from operations.progress import Progress, quietly
from operations.templatetags.figures import counted, file_size

from .findings import Finding, error, warning

SAMPLE = 5_000
MOST_AT_ONCE = 50_000
"""With more photos than this they are looked at by the first two digits of their MD5s, to bound memory."""


@dataclass(slots=True)
class _Found:
    """What was seen so far."""

    photos: int = 0
    missing: int = 0
    drawn: int = 0
    problems: list[str] = field(default_factory=list)
    objects: int = 0
    orphans: int = 0
    orphan_bytes: int = 0
    removed: int = 0


def examine_cache(*, full: bool = False, heal: bool = False, progress: Progress = quietly) -> Iterator[Finding]:
    """Yield what is wrong with the cache: a sample of a large one, all of it with `full`.

    With `heal`, what is of no photo and older than a day is removed, and missing thumbnails are drawn again.
    """
    problem = _probe()
    if problem:
        yield error(
            "cache.unreachable",
            f"The cache does not take objects ({problem}): no new thumbnails can be kept, and no scan finishes.",
            "Make its folder writable or start its object store; PHOTOLALA_CACHE names it.",
        )
        return
    found = _Found()
    try:
        store = cache_objects()
        is_all = _look(store, found, full=full, heal=heal, progress=progress)
    except CacheUnavailable as failure:
        yield error("cache.unreadable", str(failure), "See docs/maintenance.md for what the cache needs.")
        return
    yield from _missing(found, "" if is_all else " (of a sample; --full looks at all)")
    yield from _orphans(found, "" if is_all else " (in a sample; --full looks at all)")


def _probe() -> str:
    storage = tree.cache()
    try:
        storage.delete(storage.save(f"health/{uuid.uuid4()}", ContentFile(b"ok")))
    except Exception as failure:  # noqa: BLE001  (each storage has its own kinds of errors)
        return " ".join(str(failure).split())[:300] or type(failure).__name__
    return ""


def _look(store: CacheObjects, found: _Found, *, full: bool, heal: bool, progress: Progress) -> bool:
    """Compare photos and objects, a part of the MD5s at a time; return whether all were looked at."""
    libraries = list(Library.objects.filter(source=tree.SHARD).values_list("pk", flat=True))
    parts = [""]
    if Photo.objects.filter(library__in=libraries).count() > MOST_AT_ONCE:
        parts = [f"{number:02x}" for number in range(256)]
        random.shuffle(parts)
    for done, part in enumerate(progress(parts, "Comparing photos and cache, in parts")):
        if done and not full and found.photos + found.objects >= SAMPLE:
            return False
        missing = _compare(store, _known(libraries, part), part, found, heal=heal)
        found.missing += len(missing)
        if heal and missing:
            drawn = draw_again(missing, progress=progress)
            found.drawn += len(drawn.photo_md5s)
            found.problems += drawn.problems[: 5 - len(found.problems)]
    return True


def _known(libraries: list[Any], part: str) -> dict[str, bool]:
    """Return the photo MD5s that begin with `part`, and whether each should have a thumbnail."""
    photos = Photo.objects.filter(library__in=libraries).exclude(photo_md5="")
    if part:
        photos = photos.filter(photo_md5__gte=part, photo_md5__lte=part + "g")  # after the last hexadecimal digit
    known: dict[str, bool] = {}
    rows = photos.order_by().values_list("photo_md5", "has_thumbnail", "is_shown")
    for photo_md5, has_thumbnail, is_shown in rows.iterator(chunk_size=2000):
        known[photo_md5] = known.get(photo_md5, False) or (has_thumbnail and is_shown)
    return known


def _compare(store: CacheObjects, known: dict[str, bool], part: str, found: _Found, *, heal: bool) -> list[str]:
    """Count (and with `heal` remove) the orphans of this part; return the MD5s whose thumbnails are missing or empty."""
    found.photos += len(known)
    oldest = time.time() - ABANDONED_AFTER_SECONDS  # younger ones may belong to a scan that has not written its rows
    wanted = {photo_md5 for photo_md5, has_thumbnail in known.items() if has_thumbnail}
    orphans: list[CacheObject] = []
    for kind in KINDS:
        for one in store.walk("/".join(filter(None, (tree.SHARD, kind, part)))):
            found.objects += 1
            photo_md5 = photo_md5_of(one.name) or ""
            if photo_md5 not in known:
                if one.written_at < oldest:
                    orphans.append(one)
            elif kind == "thumbnails" and one.size_bytes:
                wanted.discard(photo_md5)
            if len(orphans) >= BATCH:
                _settle(store, orphans, found, heal=heal)
    _settle(store, orphans, found, heal=heal)
    return sorted(wanted)


def _settle(store: CacheObjects, orphans: list[CacheObject], found: _Found, *, heal: bool) -> None:
    found.orphans += len(orphans)
    found.orphan_bytes += sum(one.size_bytes for one in orphans)
    if heal and orphans:
        removed = store.remove(orphans)
        found.removed += removed.count
        found.problems += removed.problems[: 5 - len(found.problems)]
    orphans.clear()


def _missing(found: _Found, of_what: str) -> Iterator[Finding]:
    if not found.missing:
        return
    finding = warning(
        "cache.missing",
        f"{counted(found.missing, 'thumbnail is,thumbnails are')} missing of {counted(found.photos)}{of_what}. Each is "
        "drawn again from its photo when somebody looks at it. After `cache prune` of a cache that is too small for "
        "its photos this is to be expected.",
        "`manage.py doctor --full --heal` draws them now; a larger PHOTOLALA_CACHE_QUOTA keeps them.",
    )
    if found.drawn:
        text = f"{counted(found.drawn, 'thumbnail was,thumbnails were')} drawn again."
        if found.drawn == found.missing:
            finding.healed = text
        else:
            problems = " ".join(found.problems) or "The folders of the others cannot be reached."
            finding.advice = f"{text} The others: {problems} Scan the library once its files can be reached."
    yield finding


def _orphans(found: _Found, of_what: str) -> Iterator[Finding]:
    if not found.orphans:
        return
    finding = warning(
        "cache.orphans",
        f"{counted(found.orphans, 'object,objects')} of the cache ({file_size(found.orphan_bytes)}) belong to no photo "
        f"of the catalog{of_what}. They only take space.",
        "`manage.py doctor --full --heal` removes them.",
    )
    if found.removed:
        finding.healed = f"{counted(found.removed, 'object was,objects were')} removed."
    elif found.problems:
        finding.advice = " ".join(found.problems)
    yield finding
