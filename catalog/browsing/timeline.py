"""The timeline: how many photos each month has, and what one needs to draw a month."""

from calendar import monthrange
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.cache import cache
from django.db.models import Count, F, OuterRef, QuerySet, Subquery

from accounts.models import User
from catalog.browsing.filters import PhotoFilters, among, narrow, search_of, visible_libraries
from catalog.models import Favourite, Photo
from catalog.models.photo import UNDATED
from photolala.web.refusals import BadRequest

LARGEST_MONTH = 1_000
MOST_BUCKETS = 50
MOST_PHOTOS = 50_000  # of several buckets together; a single one comes whole, whatever its size
CHUNK_ROWS = 2_000
UNDATED_BUCKET = "undated"
KEEP_SECONDS = 24 * 60 * 60
ARRAYS = (
    "id",
    "ratio",
    "placeholder",
    "favorite",
    "stars",
    "taken_at",
    "taken_local",
    "media_type",
    "duration",
    "state",
    "thumbnail",
    "version",
)
_COLUMNS = (
    "pk",
    "width",
    "height",
    "placeholder",
    "stars",
    "taken_at",
    "taken_local",
    "media_type",
    "duration_ms",
    "state",
    "has_thumbnail",
    "photo_md5",
)


def timeline_buckets(user: User, filters: PhotoFilters | None = None) -> list[dict[str, Any]]:
    """Return `{"bucket", "count"}` per month, newest first; a month above 1,000 photos by day; the undated last.

    One query for the libraries; without filters the counts of a library are kept until its revision changes, else one
    query more, and one for favourites.
    """
    filters = filters or PhotoFilters()
    libraries = visible_libraries(user, filters)
    if filters.only_libraries:
        days: dict[int, int] = {}
        for counts in _kept_counts(libraries):
            for day, count in counts.items():
                days[day] = days.get(day, 0) + count
    else:
        ids = [library for library, _ in libraries]
        search = search_of(user, ids, filters)
        days = _count_narrowed_days(narrow(among(ids, user, filters, search), user, ids, filters, search))
    return _by_month(days)


def timeline_bucket(user: User, filters: PhotoFilters | None, buckets: Sequence[str]) -> dict[str, list[Any]]:
    """Return the photos of `buckets` as arrays of one length, newest first. Two queries, three for favourites. Raises BadRequest.

    `id`, `ratio` (width / height), `placeholder` (#rrggbb), `favorite` and `stars` (the asking user's), `taken_at` (UTC, `Z`),
    `taken_local` (wall clock), `media_type`, `duration` (ms or None), `state`, `thumbnail` (there is one),
    `version` (for `?v=` of the picture's address).
    """
    filters = filters or PhotoFilters()
    if not 1 <= len(buckets) <= MOST_BUCKETS:
        raise BadRequest(f"Name 1 to {MOST_BUCKETS} buckets, as bucket=2024-05&bucket=2024-04.", "bad_bucket")
    ranges = _merged(sorted({bucket_range(bucket) for bucket in buckets}))
    ids = [library for library, _ in visible_libraries(user, filters)]
    search = search_of(user, ids, filters)
    photos = narrow(among(ids, user, filters, search), user, ids, filters, search)
    own = Favourite.objects.filter(user=user, photo=OuterRef("pk")).values("rating")[:1]
    photos = photos.annotate(stars=Subquery(own)).order_by()
    parts = [photos.filter(taken_local__gte=start, taken_local__lt=end).values_list(*_COLUMNS) for start, end in ranges]
    rows: QuerySet[Any, Any] = parts[0] if len(parts) == 1 else parts[0].union(*parts[1:], all=True)
    rows = rows.order_by("-taken_local", "pk" if len(parts) == 1 else "id")
    return _as_arrays(rows, MOST_PHOTOS if len(buckets) > 1 else None)


def bucket_range(bucket: str) -> tuple[datetime, datetime]:
    """Return the wall-clock times [start, end) of `2024-05`, `2024-05-17` or `undated`. Raises BadRequest."""
    if bucket == UNDATED_BUCKET:
        return UNDATED, UNDATED + timedelta(microseconds=1)
    try:
        if len(bucket) == 7 and bucket.isascii():
            start = datetime.strptime(bucket, "%Y-%m").replace(tzinfo=UTC)
            return start, start + timedelta(days=monthrange(start.year, start.month)[1])
        if len(bucket) == 10 and bucket.isascii():
            start = datetime.strptime(bucket, "%Y-%m-%d").replace(tzinfo=UTC)
            return start, start + timedelta(days=1)
    except (ValueError, OverflowError):
        pass  # the sentence below says it
    raise BadRequest(f"{bucket[:40]!r} is no bucket: write 2024-05, 2024-05-17 or undated.", "bad_bucket")


def _kept_counts(libraries: list[tuple[UUID, int]]) -> list[dict[int, int]]:
    """Return photos per day of each library, from the cache where its revision is known there."""
    keys = {f"timeline-days:{library}:{revision}": library for library, revision in libraries}
    kept: dict[str, dict[int, int]] = cache.get_many(keys)
    for key, library in keys.items():
        if key not in kept:
            # The revision was read before the rows: what is kept may be newer than its name, never older.
            kept[key] = _count_days(Photo.objects.filter(library=library, is_shown=True))
            cache.set(key, kept[key], KEEP_SECONDS)
    return list(kept.values())


def _count_days(photos: QuerySet[Photo]) -> dict[int, int]:
    rows = photos.order_by().values_list("taken_day").annotate(count=Count("*"))
    return dict(rows)


def _count_narrowed_days(photos: QuerySet[Photo]) -> dict[int, int]:
    """As above, but sorting the days of what is found, so that the filters choose the index, not the days' order."""
    rows = photos.order_by().annotate(day=F("taken_day") + 0).values_list("day").annotate(count=Count("*"))
    return dict(rows)


def _by_month(days: dict[int, int]) -> list[dict[str, Any]]:
    """Sum days (yyyymmdd -> count, 0 for undated) to months, but for months that are too large."""
    months: dict[int, dict[int, int]] = {}
    for day, count in days.items():
        if day:
            months.setdefault(day // 100, {})[day] = count
    buckets = []
    for month in sorted(months, reverse=True):
        name = f"{month // 100:04}-{month % 100:02}"
        total = sum(months[month].values())
        if total <= LARGEST_MONTH:
            buckets.append({"bucket": name, "count": total})
            continue
        buckets += [
            {"bucket": f"{name}-{day % 100:02}", "count": count}
            for day, count in sorted(months[month].items(), reverse=True)
        ]
    if days.get(0):
        buckets.append({"bucket": UNDATED_BUCKET, "count": days[0]})
    return buckets


def _merged(ranges: list[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Join ranges that touch or overlap, so that no photo comes twice and neighbours cost one look-up."""
    merged = [ranges[0]]
    for start, end in ranges[1:]:
        if start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _as_arrays(rows: QuerySet[Any, Any], most: int | None) -> dict[str, list[Any]]:
    """Turn rows to columns as they come, so that both are never held at once. Raises BadRequest for more than `most`."""
    arrays: dict[str, list[Any]] = {name: [] for name in ARRAYS}
    append = [values.append for values in arrays.values()]
    for row in rows.iterator(CHUNK_ROWS):
        pk, width, height, colour, stars, taken_at, taken_local, kind, duration, state, thumbnail, md5 = row
        if most is not None and len(arrays["id"]) >= most:
            raise BadRequest(
                f"These buckets hold more than {most:,} photos. Ask for fewer of them at once.", "too_many_photos"
            )
        dated = taken_local > UNDATED
        values = (
            str(pk),
            round(width / height, 4) if width and height else 1.5,
            colour,
            bool(stars),
            stars or 0,
            taken_at.strftime("%Y-%m-%dT%H:%M:%SZ") if dated else None,
            taken_local.strftime("%Y-%m-%dT%H:%M:%S") if dated else None,
            kind,
            duration,
            state,
            thumbnail,
            md5[:8],
        )
        for add, value in zip(append, values, strict=True):
            add(value)
    return arrays
