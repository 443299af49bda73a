"""What was read here: whose photo MD5 comes from bytes that this library read, and whose is only told, by a snapshot or a phone.

Objects of the cache, and answers like "the library has this already", go by content. A told MD5 must lead to none of them: it
may be that of somebody else's photo. `Photo.read_md5` is written with each digest, and counts only while it is the row's photo
MD5, so that whatever gives a row another MD5 need not think of it. Rows of before that column are believed where the hash
cache has their MD5, for nothing but a digest ever writes there; scans mark them, and read the others again.
"""

import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Protocol, TypeVar
from uuid import UUID

from django.db import DatabaseError, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Concat, Substr

from catalog.entries import counts
from catalog.entries.folder_comparison import UNREAD, is_doubted
from catalog.models import HashCache, Library, Photo
from catalog.models.photo import PhotoQuerySet
from operations.running import Run
from photolala.lib.paths import join_path

BATCH = 1000
MOST_SECONDS = 60.0
"""One scan marks no longer than this; what is left costs those who look at it a query more."""
SHARE, LEAST, LEAST_FAR = 0.1, 1000, 100
"""Of a library's photos are read again by one scan because nobody here read them: a tenth, or at least so many."""


class Row(Protocol):
    """A photo as far as this needs it."""

    @property
    def photo_md5(self) -> str:
        """MD5 of the content, read here or told by another catalog; "" if unknown."""

    @property
    def read_md5(self) -> str:
        """MD5 of the bytes that this library read; "" if it read none."""

    @property
    def path(self) -> str:
        """Path relative to the root, in escaped form."""


Kind = TypeVar("Kind", bound=Row)


def is_read(library: Library, row: Row) -> bool:
    """Tell whether this library read bytes of the row's MD5. A query only for rows that no digest of this version wrote."""
    if not row.photo_md5:
        return False
    return row.read_md5 == row.photo_md5 or contents_read(library, [row.photo_md5]) != set()


def contents_read(library: Library, photo_md5s: Collection[str]) -> set[str]:
    """Return those of some MD5s whose bytes this library read: its rows, or its hash cache, have them from a digest."""
    rows = Photo.objects.filter(library=library, photo_md5__in=photo_md5s, read_md5=F("photo_md5")).order_by()
    read = set(rows.values_list("photo_md5", flat=True))
    left = [md5 for md5 in photo_md5s if md5 not in read]
    if left:
        hashes = HashCache.objects.filter(library=library, photo_md5__in=left)
        read.update(hashes.values_list("photo_md5", flat=True))
    return read


def rows_read(library: Library, rows: Iterable[Kind]) -> list[Kind]:
    """Return those of some photos of a library whose own MD5s were read, in their order."""
    rows = list(rows)
    unsure = [row.path for row in rows if row.read_md5 != row.photo_md5]
    known: set[tuple[str, str]] = set()
    if unsure:
        hashes = HashCache.objects.filter(library=library, path__in=unsure)
        known = set(hashes.values_list("path", "photo_md5"))
    return [row for row in rows if row.read_md5 == row.photo_md5 or (row.path, row.photo_md5) in known]


def note_read(photo_id: UUID, photo_md5: str) -> None:
    """Mark a photo whose file was found to have the MD5 that was told. It does not matter if that cannot be written now."""
    with suppress(DatabaseError), transaction.atomic():
        Photo.objects.filter(pk=photo_id, photo_md5=photo_md5).update(read_md5=photo_md5)


def note_other_content(library: Library, photo_id: UUID, photo_md5: str) -> None:
    """Let the next scan read a photo whose file looks as the catalog says and was found to have another MD5."""
    with suppress(DatabaseError), transaction.atomic():
        there = Photo.objects.filter(pk=photo_id, photo_md5=photo_md5).exclude(state=Photo.State.MISSING)
        if there.exclude(sidecars=UNREAD).update(sidecars=UNREAD):
            counts.bump_revision(library)


def unread(library: Library) -> PhotoQuerySet:
    """Return the photos of a library whose MD5s are only told, in the order of their index."""
    return Photo.objects.filter(library=library).unread().exclude(photo_md5="").order_by("pk")


def mark_those_known(library: Library, run: Run | None = None, *, most_seconds: float = MOST_SECONDS) -> int:
    """Mark the photos that the hash cache knows from digests of earlier versions; return how many. Reads no file.

    Those that the next scan reads anyway are left to it: what a snapshot says of them may still stand in their rows.
    """
    marked, last = 0, UUID(int=0)
    until = time.monotonic() + most_seconds
    columns = ("pk", "directory", "filename", "photo_md5", "sidecars")
    while time.monotonic() < until:
        batch = list(unread(library).filter(pk__gt=last).values_list(*columns)[:BATCH])
        if not batch:
            break
        last = batch[-1][0]
        told = {
            join_path(directory, filename): (key, md5)
            for key, directory, filename, md5, sidecars in batch
            if not is_doubted(sidecars)
        }
        hashes = HashCache.objects.filter(library=library, path__in=list(told)).values_list("path", "photo_md5")
        proven = [told[path] for path, md5 in hashes if told[path][1] == md5]
        if proven:
            with transaction.atomic():
                if run is not None:
                    run.checkpoint(stop=False)
                marked += _mark(proven)
        if run is not None:
            run.raise_if_stopped()
    return marked


def _mark(proven: list[tuple[UUID, str]]) -> int:
    """Mark rows that still have these MD5s, one statement for many: the MD5 is the row's own."""
    keys, md5s = [key for key, _ in proven], {md5 for _, md5 in proven}
    same = Photo.objects.filter(pk__in=keys, photo_md5__in=md5s)
    return same.update(read_md5=F("photo_md5"))


def ask_for_unread(library: Library, run: Run, *, is_far: bool) -> int:
    """Let the scan that begins read a share of the photos whose MD5s are only told; return how many it was asked for.

    Those that it reads anyway, and what is not there, are left out.
    """
    here = unread(library).filter(needs_digest=False).exclude(Q(sidecars=UNREAD) | Q(sidecars__startswith="?"))
    here = here.exclude(state__in=[Photo.State.MISSING, Photo.State.BROKEN, Photo.State.REMOTE])
    if not here.values_list("pk")[:1]:
        return 0
    count = Photo.objects.filter(library=library).exclude(state=Photo.State.MISSING).count()
    chosen = list(here.values_list("pk", flat=True)[: max(LEAST_FAR if is_far else LEAST, int(SHARE * count))])
    asked = 0
    with transaction.atomic():
        run.checkpoint(stop=False)
        for start in range(0, len(chosen), BATCH):
            some = Photo.objects.filter(pk__in=chosen[start : start + BATCH])
            asked += some.update(sidecars=Concat(Value("?"), Substr("sidecars", 1, 31)))  # planning.doubted
        counts.bump_revision(library)
    run.raise_if_stopped()
    return asked


def count_unread(library: Library) -> int:
    """Return how many photos that are there wait for being read here, for the doctor."""
    here = unread(library).exclude(state__in=[Photo.State.MISSING, Photo.State.BROKEN, Photo.State.REMOTE])
    return sum(1 for _ in here.filter(needs_digest=False).values_list("pk").iterator(chunk_size=2000))


def of_decoders(library: Library, photo_md5s: Collection[str]) -> dict[str, str]:
    """Return the metadata JSON that this library's own rows have of some contents, from decoders and nobody else.

    What was restored or opened from a snapshot, and was not read since, is left out.
    """
    rows = Photo.objects.filter(library=library, photo_md5__in=photo_md5s, read_md5=F("photo_md5")).order_by()
    rows = rows.exclude(Q(sidecars=UNREAD) | Q(sidecars__startswith="?") | Q(metadata__body=None))
    return dict(rows.values_list("photo_md5", "metadata__body"))
