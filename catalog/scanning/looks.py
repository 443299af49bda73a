"""The looks of photos that an earlier version catalogued: told by their thumbnails, without reading one original again.

Those whose thumbnails the cache does not have any more are returned: they are read with what else later columns lack.
"""

import os
import time
from collections.abc import Iterator
from functools import partial
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F, Q

from catalog.cache import tree
from catalog.cache.reading import CacheAway, open_cached
from catalog.entries.columns import look_in
from catalog.entries.decoders import scan_decoders
from catalog.entries.row_locks import hold_photos
from catalog.media.look import NO_LOOK
from catalog.media.task import Job
from catalog.models import Library, Photo
from catalog.models.photo import PhotoQuerySet
from operations.durability import relaxed_durability
from operations.running import Run

BATCH = 200
MOST_SECONDS = 300.0
"""One scan takes no longer for it."""
MOST_LACKING = 1_000
_LARGEST_BYTES = 4 * 1024 * 1024
"""A thumbnail has a hundredth of that."""


def without_look(library: Library) -> PhotoQuerySet:
    """Return the photos of a library that are still to be looked at, through their index, in its order."""
    lacking = Photo.objects.filter(library=library, look__isnull=True, needs_digest=False, has_thumbnail=True)
    there = ~Q(state__in=[Photo.State.MISSING, Photo.State.REMOTE])
    return lacking.filter(there, read_md5=F("photo_md5")).order_by("pk")


class LookFilling:
    """One scan's share of the work; `lacking` holds the ids of photos whose thumbnails are not there (at most 1,000)."""

    def __init__(self, run: Run, library: Library) -> None:
        self.run = run
        self.library = library
        self.lacking: list[UUID] = []
        self.filled = 0
        self._known: list[tuple[Photo, int]] = []

    def fill(self) -> int:
        """Look at the thumbnails of photos that have no look; return of how many."""
        photos = without_look(self.library)
        if photos.values_list("pk").first() is None:
            return 0
        self.run.phase("Comparing photos by their thumbnails", photos.count(), unit="photos")
        until = time.monotonic() + MOST_SECONDS
        with relaxed_durability(), scan_decoders() as pool:
            pool.tick = partial(self.run.checkpoint, force=False, is_lasting=False)
            for job, result in pool.digest(self._jobs(until)):
                self._note(job.key, look_in(result))
            self._write()
        self.run.metrics["looks_filled"] = self.run.metrics.get("looks_filled", 0) + self.filled
        return self.filled

    def _jobs(self, until: float) -> Iterator[Job]:
        for photo in self._photos():
            if time.monotonic() > until:
                return
            if photo.is_video or photo.state != Photo.State.READY:
                self._note(photo, NO_LOOK)
                continue
            try:
                thumbnail = _thumbnail(photo, self.library.source)
            except CacheAway:
                return
            if thumbnail:
                yield Job(photo, "thumbnail.jpg", partial(_in_memory, thumbnail), {"size_bytes": len(thumbnail)})
            elif len(self.lacking) < MOST_LACKING:
                self.lacking.append(photo.pk)

    def _photos(self) -> Iterator[Photo]:
        """Yield them from somewhere in their order, then those before: so no scan ends where the last one did."""
        start_at, photos = uuid4(), without_look(self.library).only(*_COLUMNS)
        for part in (photos.filter(pk__gte=start_at), photos.filter(pk__lt=start_at)):
            while some := list(part[:BATCH]):
                yield from some
                part = part.filter(pk__gt=some[-1].pk)

    def _note(self, photo: Photo, look: int) -> None:
        self._known.append((photo, look))
        if len(self._known) >= BATCH:
            self._write()

    def _write(self) -> None:
        """Give the rows whose content is still the same their looks."""
        known, self._known = self._known, []
        with transaction.atomic():
            hold_photos(photo.pk for photo, _ in known)
            for photo, look in known:
                same = Photo.objects.filter(pk=photo.pk, photo_md5=photo.photo_md5, look__isnull=True)
                self.filled += same.update(look=look)
            self.run.advance(len(known))
            self.run.checkpoint(stop=False, force=False)
        self.run.raise_if_stopped()


_COLUMNS = ("photo_md5", "media_type", "state", "library_id")


def _thumbnail(photo: Photo, shard: str) -> bytes:
    """Return the thumbnail of the photo's content; nothing if it is not there. Raises CacheAway."""
    cached = open_cached(tree.thumbnail_name(photo.photo_md5, shard))
    if cached is None:
        return b""
    with cached.file as file:
        return file.read() if cached.size_bytes <= _LARGEST_BYTES else b""


def _in_memory(content: bytes) -> int:
    """Return a descriptor of a file that holds `content` and has no name."""
    descriptor = os.memfd_create("thumbnail", os.MFD_CLOEXEC)
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
