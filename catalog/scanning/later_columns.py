"""Columns that later versions added: photos catalogued before get them from the next scans, a share of them at a time.

Each row tells by itself what it lacks, so progress survives every end of a scan, and what a restore emptied is filled again.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.expressions import RawSQL

from catalog.entries import counts
from catalog.entries.columns import look_in
from catalog.entries.decoders import scan_decoders
from catalog.entries.folder_comparison import UNREAD
from catalog.entries.jobs import job_for
from catalog.entries.row_locks import hold_photos
from catalog.media.results import DigestResult
from catalog.media.task import Job
from catalog.models import Library, Photo
from catalog.models.conditions import MOTION_MAKES, written_out
from catalog.models.photo import PhotoQuerySet
from catalog.scanning.digest import AHEAD
from catalog.scanning.looks import LookFilling
from catalog.scanning.opened_root import OpenedRoot
from operations.durability import relaxed_durability
from operations.running import Run

SHARE = 0.1
"""Of a library's photos are read again by one scan for what they lack, ..."""
LEAST, LEAST_FAR = 1000, 100
"""... at least so many, where reading one is a transfer fewer, ..."""
MOST_SECONDS = 600.0
"""... and no longer than this."""
BATCH = 50
FLUSH_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class LaterColumn:
    """A column that generation `generation` of the reader began to fill.

    `is_unfilled` tells by the row alone, and as its index has it; `may_have` which files can fill it at all;
    `value` takes it from what a decoder answered.
    """

    name: str
    generation: int
    is_unfilled: Q
    may_have: Q
    value: Callable[[DigestResult], Any]


LATER = (
    LaterColumn(
        "image_digest",
        generation=1,
        is_unfilled=Q(image_digest=written_out(""), needs_digest=False, later_tried=RawSQL("0", [])),
        may_have=Q(media_type__startswith="image/"),
        value=lambda result: result.image_digest,
    ),
    LaterColumn(
        "motion_bytes",
        generation=2,
        is_unfilled=Q(
            motion_bytes__isnull=True,
            needs_digest=False,
            camera_make__in=[RawSQL(f"'{make}'", []) for make in MOTION_MAKES],  # noqa: S611 - as the index has it
        ),
        may_have=Q(media_type__in=["image/jpeg", "image/heic", "image/heif"]),
        value=lambda result: result.motion_bytes,
    ),
)
"""All of them, oldest first. (A new one needs a column, an index like `photo_unfilled`, and its place here.)"""
GENERATION = max(column.generation for column in LATER)


def unfilled(library: Library) -> PhotoQuerySet:
    """Return the photos of a library whose files are to be read once more for a column that they lack, in index order:
    the first column that any lacks. They get the others with it."""
    for column in LATER:
        lacking = _lacking(library, column)
        if lacking.values_list("pk").first() is not None:  # in the order of the index, which `exists` would drop
            return lacking
    return Photo.objects.none()


def _lacking(library: Library, column: LaterColumn) -> PhotoQuerySet:
    whole = ~Q(state__in=[Photo.State.MISSING, Photo.State.BROKEN, Photo.State.REMOTE]) & ~Q(photo_md5="")
    return Photo.objects.filter(column.is_unfilled, library=library).filter(column.may_have, whole).order_by("pk")


def count_unfilled(library: Library) -> int:
    """Return how many these are, counted in their index: in the order of another, a database looks at every photo."""
    count, counted = 0, Q(pk__in=[])
    for column in LATER:
        lacking = _lacking(library, column).exclude(counted)
        count += sum(1 for _ in lacking.values_list("pk").iterator(chunk_size=2000))
        counted |= column.is_unfilled & column.may_have
    return count


class Filling:
    """One scan's share of the work."""

    def __init__(self, run: Run, root: OpenedRoot) -> None:
        self.run = run
        self.root = root
        self.library = root.library
        self.filled = 0

    def fill(self) -> int:
        """Read a share of the photos that lack something; return how many were read. Raises SourceUnavailable."""
        photos = unfilled(self.library)
        looks = LookFilling(self.run, self.library)
        looks.fill()
        if photos.values_list("pk").first() is None and not looks.lacking:
            return 0
        count = Photo.objects.filter(library=self.library).exclude(state=Photo.State.MISSING).count()
        share = max(LEAST_FAR if self.root.source.is_far else LEAST, int(SHARE * count))
        chosen = list(photos[:share])
        lacking = [pk for pk in looks.lacking if pk not in {photo.pk for photo in chosen}]
        chosen += Photo.objects.filter(pk__in=lacking[: share - len(chosen)]).order_by("pk")
        self.run.phase("Reading photos again for what this version keeps of them", len(chosen), unit="photos")
        until = time.monotonic() + MOST_SECONDS
        read: list[tuple[Photo, DigestResult]] = []
        flushed = time.monotonic()
        with relaxed_durability(), scan_decoders() as pool, self.root.opened:
            pool.tick = partial(self.run.checkpoint, force=False, is_lasting=False)
            for job, result in pool.digest(self.root.opened_ahead(self._jobs(chosen, until), AHEAD)):
                read.append((job.key, result))
                if len(read) >= BATCH or time.monotonic() - flushed > FLUSH_SECONDS:
                    self._apply(read)
                    read, flushed = [], time.monotonic()
            self._apply(read)
        self.run.metrics["later_columns_filled"] = self.run.metrics.get("later_columns_filled", 0) + self.filled
        return self.filled

    def _jobs(self, photos: list[Photo], until: float) -> Iterator[Job]:
        for photo in photos:
            if time.monotonic() > until:
                return
            yield job_for(self.root.source, self.root.zone, photo.path, photo, (photo.size_bytes, photo.mtime_ns))

    def _apply(self, read: list[tuple[Photo, DigestResult]]) -> None:
        """Fill the rows whose content is what was read. What is not as the catalog says, the next scan reads as changed."""
        if any(not result.photo_md5 for _, result in read):
            self.root.require()
        with transaction.atomic():
            hold_photos(photo.pk for photo, _ in read)
            doubted = 0
            for photo, result in read:
                same = Photo.objects.filter(pk=photo.pk, photo_md5=photo.photo_md5, claim_token=photo.claim_token)
                if result.photo_md5 == photo.photo_md5:
                    told = {column.name: column.value(result) for column in LATER if not getattr(photo, column.name)}
                    if photo.look is None:
                        told["look"] = look_in(result)
                    self.filled += same.update(**told, later_tried=GENERATION)
                else:
                    doubted += same.exclude(state=Photo.State.MISSING).update(sidecars=UNREAD)
            if doubted:
                counts.bump_revision(self.library)
            self.run.advance(len(read))
            self.run.checkpoint(stop=False)
        self.run.raise_if_stopped()
