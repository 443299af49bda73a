"""Draw thumbnails that the cache lost again from their photos, as a scan would."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db.models import Case, F, When

from catalog.cache import tree
from catalog.entries.decoders import scan_decoders
from catalog.media.task import Job
from catalog.models import Library, Photo
from catalog.roots.reach import source_for
from catalog.sources.base import Source, SourceUnavailable
from operations.progress import Progress, quietly

CHUNK = 500
MOST_PROBLEMS = 20


@dataclass(slots=True)
class Drawn:
    """The MD5s whose thumbnails are back, and sentences on others (at most 20)."""

    photo_md5s: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


def draw_again(photo_md5s: Sequence[str], *, progress: Progress = quietly) -> Drawn:
    """Draw the thumbnails of these photos and store them. A file that is not as the catalog knows it is left to a scan."""
    drawn = Drawn()
    with ExitStack() as stack:
        pool = stack.enter_context(scan_decoders())
        sources: dict[Any, Source | None] = {}
        jobs = progress(_jobs(photo_md5s, sources, stack), "Drawing thumbnails again")
        for job, result in pool.digest(jobs):
            photo_md5 = job.key
            if result.thumbnail and result.photo_md5 == photo_md5:
                write = tree.write_makeshift if result.is_makeshift else tree.write_thumbnail
                write(photo_md5, result.thumbnail)
                drawn.photo_md5s.add(photo_md5)
            elif len(drawn.problems) < MOST_PROBLEMS:
                drawn.problems.append(f"{job.name}: {result.problem or 'The file has changed since it was scanned.'}")
    return drawn


def _jobs(photo_md5s: Sequence[str], sources: dict[Any, Source | None], stack: ExitStack) -> Iterator[Job]:
    """Yield a job for each MD5 of which a copy can be reached."""
    libraries = list(Library.objects.values_list("pk", flat=True))  # named, so that the index on (library, MD5) serves
    for start in range(0, len(photo_md5s), CHUNK):
        chunk = photo_md5s[start : start + CHUNK]
        photos = Photo.objects.filter(library__in=libraries, photo_md5__in=chunk, has_thumbnail=True, is_shown=True)
        given: set[str] = set()
        is_read = Case(When(read_md5=F("photo_md5"), then=0), default=1)  # what is only told of a file may not be so
        for photo in photos.select_related("library").order_by(is_read, "pk"):
            source = _reached(photo.library, sources, stack)
            if source is not None and photo.photo_md5 not in given:
                given.add(photo.photo_md5)
                yield _job(photo, source)


def _reached(library: Library, sources: dict[Any, Source | None], stack: ExitStack) -> Source | None:
    """Return the library's source, asked once whether it can be reached; None if not."""
    if library.pk not in sources:
        source = source_for(library)
        stack.callback(source.close)
        try:
            source.check()
        except SourceUnavailable:
            sources[library.pk] = None
        else:
            sources[library.pk] = source
    return sources[library.pk]


def _job(photo: Photo, source: Source) -> Job:
    facts = (photo.size_bytes, photo.mtime_ns)
    params = {"zone": photo.library.time_zone, "size_bytes": facts[0], "mtime_ns": facts[1]}
    return Job(photo.photo_md5, photo.filename, partial(source.open, photo.path, expected=facts), params)
