"""What a library's pages count, its revision, and the files that cannot be shown with their reasons."""

from datetime import datetime
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import Count, F, Sum

from catalog.models import Library, Photo
from catalog.models.photo import PhotoQuerySet
from operations.running import Run
from photolala.lib.paths import join_path

STATES = (Photo.State.BROKEN, Photo.State.DAMAGED)
MOST_COVERS_READ = 400


def count_failed(library: Library) -> int:
    """Return how many there are."""
    return sum(_in_state(library, state).count() for state in STATES)


def first_failures(library: Library, most: int) -> list[dict[str, str]]:
    """Return `path` and `reason` of the first `most`, by folder and name. One query a state: each is a range of their index."""
    rows: list[tuple[str, str, str]] = []
    for state in STATES:
        bad = _in_state(library, state).order_by("directory", "filename")
        rows += bad.values_list("directory", "filename", "problem")[:most]
    paths = ((join_path(directory, name), reason) for directory, name, reason in sorted(rows))
    return [{"path": path, "reason": reason} for path, reason in islice(paths, most)]


def _in_state(library: Library, state: str) -> PhotoQuerySet:
    return Photo.objects.filter(library=library, state=state).with_problems()


def refresh_counts(library: Library, *, scanned_at: datetime | None = None, run: Run | None = None) -> None:
    """Bring the counts and cover pictures of a library up to date.

    With `run` under its fencing number: a run that was overtaken meanwhile raises LeaseLost and writes nothing.
    """
    counts = _counts_of(library)
    if scanned_at:
        counts["scanned_at"] = scanned_at
    with transaction.atomic():
        if run:
            run.checkpoint(stop=False)
        Library.objects.filter(pk=library.pk).update(**counts)
    library.refresh_from_db()


def _counts_of(library: Library) -> dict[str, Any]:
    photos = Photo.objects.filter(library=library)
    by_state = photos.with_problems().order_by().values_list("state").annotate(count=Count("*"))
    problems: dict[str, int] = dict(by_state)
    # One index each (every photo has a day, 0 if undated): together they would be counted row by row.
    counts: dict[str, Any] = {
        "photo_count": photos.shown().filter(taken_day__gte=0).count(),
        "problem_count": problems.get(Photo.State.BROKEN, 0) + problems.get(Photo.State.DAMAGED, 0),
        "missing_count": photos.gone().count(),
        **photos.exclude(state=Photo.State.MISSING).aggregate(size_bytes=Sum("size_bytes", default=0)),
    }
    counts["cover_ids"] = _covers(photos)
    return counts


def _covers(photos: PhotoQuerySet) -> list[str]:
    """Return the ids of the four newest photos that are whole and know their date; others only where these are too few."""
    shown = photos.filter(is_shown=True, has_thumbnail=True).order_by("-taken_local", "id")
    newest = list(shown.values_list("pk", "state", "taken_source")[:MOST_COVERS_READ])
    newest.sort(key=lambda row: row[1] == Photo.State.DAMAGED or row[2] in ("", "file"))
    return [str(key) for key, _, _ in newest[:4]]


def bump_revision(library: Library) -> None:
    """Count a change of the library's photos: pages refresh, and the next scan knows that a snapshot is due."""
    Library.objects.filter(pk=library.pk).update(revision=F("revision") + 1)
