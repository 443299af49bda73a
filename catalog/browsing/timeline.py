"""The timeline: how many photos each month has, and what one needs to draw a month."""

import hashlib
from calendar import monthrange
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import Any
from uuid import UUID

from django.core.cache import cache
from django.db.models import Case, Count, F, OuterRef, QuerySet, Subquery, Value, When

from accounts.models import User
from catalog.browsing.filters import PhotoFilters, among, editable_of_visible, narrow, visible_libraries
from catalog.browsing.searches import searched
from catalog.entries import pairs
from catalog.models import Favourite, Photo
from catalog.models.photo import EARLIEST, IS_ESTIMATED, UNDATED
from catalog.words import lookup
from photolala.web import query_limits
from photolala.web.refusals import BadRequest

LARGEST_MONTH = 1_000
MOST_BUCKETS = 50
MOST_PHOTOS = 50_000  # of several buckets together; a single one comes whole, whatever its size
CHUNK_ROWS = 2_000
MOST_JOINED = 1_000  # short videos of an answer of which it is asked whether they belong to pictures
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
    "live",
    "can_edit",
    "motion",
)
_COLUMNS = (
    "pk",
    "width",
    "height",
    "placeholder",
    "stars",
    "taken_at",
    "taken_local",
    "taken_source",
    "media_type",
    "duration_ms",
    "state",
    "has_thumbnail",
    "photo_md5",
    "library_id",
    "content_identifier",
    "motion_bytes",
)


def timeline_buckets(user: User, filters: PhotoFilters | None = None) -> list[dict[str, Any]]:
    """Return `{"bucket", "count"}` per month, newest first; a month above 1,000 photos by day; the undated last.

    Photos of which only the file's time is known are among the undated. One query for the libraries; without filters the
    counts of a library are kept until its revision changes, else two queries for each, and one for favourites.
    """
    filters = filters or PhotoFilters()
    libraries = visible_libraries(user, filters)
    if filters.only_libraries:
        days = _all_days(libraries)
    else:
        ids = [library for library, _ in libraries]
        is_plain = filters == PhotoFilters(libraries=filters.libraries, query=filters.query, album=filters.album)
        with searched(user, ids, filters, for_days=is_plain) as search:
            if is_plain and search.match:
                days = lookup.days(ids, search.match)
                if search.match.is_without:
                    unwanted = days
                    days = {day: count - unwanted.get(day, 0) for day, count in _all_days(libraries).items()}
            else:
                search = search.to_count()
                photos = narrow(among(ids, user, filters, search), user, ids, filters, search)
                days = _count_days_by(photos, search.counted_by) if search.counted_by else _count_narrowed_days(photos)
    return _by_month(days)


def timeline_bucket(user: User, filters: PhotoFilters | None, buckets: Sequence[str]) -> dict[str, list[Any]]:
    """Return the photos of `buckets` as arrays of one length, newest first. Two queries, three for favourites.

    The undated cost two more. Raises BadRequest.

    `id`, `ratio` (width / height), `placeholder` (#rrggbb), `favorite` and `stars` (the asking user's), `taken_at` (UTC, `Z`),
    `taken_local` (wall clock), `media_type`, `duration` (ms or None), `state`, `thumbnail` (there is one),
    `version` (for `?v=` of the picture's address), `live` (the same for picture and video of a Live Photo, else ""), `can_edit`
    (the asking user may change the photo), `motion` (a short video is in the picture's file).
    """
    filters = filters or PhotoFilters()
    if not 1 <= len(buckets) <= MOST_BUCKETS:
        raise BadRequest(f"Name 1 to {MOST_BUCKETS} buckets, as bucket=2024-05&bucket=2024-04.", "bad_bucket")
    ranges = _merged(sorted({bucket_range(bucket) for bucket in buckets if bucket != UNDATED_BUCKET}))
    editable = editable_of_visible(user, filters)
    ids = list(editable)
    with searched(user, ids, filters) as search:
        photos = narrow(among(ids, user, filters, search), user, ids, filters, search)
        own = Favourite.objects.filter(user=user, photo=OuterRef("pk")).values("rating")[:1]
        found = _in_buckets(photos.annotate(stars=Subquery(own)).order_by(), ranges, UNDATED_BUCKET in buckets)
        arrays = _as_arrays(found, editable, MOST_PHOTOS if len(buckets) > 1 else None)
    _join_by_name(arrays)
    return arrays


def _in_buckets(photos: QuerySet[Photo], ranges: list[tuple[datetime, datetime]], has_undated: bool) -> Iterable[Any]:
    """Return the rows of `photos` in these times, newest first, then the undated."""
    dated = photos.exclude(IS_ESTIMATED)
    parts = [dated.filter(taken_local__gte=start, taken_local__lt=end).values_list(*_COLUMNS) for start, end in ranges]
    several: list[QuerySet[Any, Any]] = []
    if len(parts) == 1:
        several.append(parts[0].order_by("-taken_local", "pk"))
    elif parts:
        several.append(parts[0].union(*parts[1:], all=True).order_by("-taken_local", "id"))
    if has_undated:
        undated = (photos.filter(IS_ESTIMATED), photos.filter(taken_local=UNDATED))
        several += [part.order_by("-taken_local", "pk").values_list(*_COLUMNS) for part in undated]
    return query_limits.in_time(chain.from_iterable(part.iterator(CHUNK_ROWS) for part in several))


def bucket_range(bucket: str) -> tuple[datetime, datetime]:
    """Return the wall-clock times [start, end) of `2024-05` or `2024-05-17`. Raises BadRequest."""
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


def _all_days(libraries: list[tuple[UUID, int]]) -> dict[int, int]:
    """Return how many photos of all `libraries` each day has."""
    days: dict[int, int] = {}
    for counts in _kept_counts(libraries):
        for day, count in counts.items():
            days[day] = days.get(day, 0) + count
    return days


def _kept_counts(libraries: list[tuple[UUID, int]]) -> list[dict[int, int]]:
    """Return photos per day of each library, from the cache where its revision is known there."""
    keys = {f"timeline-days-2:{library}:{revision}": library for library, revision in libraries}
    kept: dict[str, dict[int, int]] = cache.get_many(keys)
    for key, library in keys.items():
        if key not in kept:
            # The revision was read before the rows: what is kept may be newer than its name, never older.
            kept[key] = _count_days(Photo.objects.filter(library=library, is_shown=True))
            cache.set(key, kept[key], KEEP_SECONDS)
    return list(kept.values())


def _count_days(photos: QuerySet[Photo]) -> dict[int, int]:
    """From two indexes: all by their days, and then those apart of which only the file's time is known."""
    days: dict[int, int] = dict(photos.order_by().values_list("taken_day").annotate(count=Count("*")))
    # The sum keeps SQLite from the index of all days, which would give their order, and have every row read.
    # The bound, which holds for all, leads it to theirs.
    estimated = photos.filter(IS_ESTIMATED, taken_local__gte=EARLIEST).order_by().annotate(day=F("taken_day") + 0)
    for day, count in estimated.values_list("day").annotate(count=Count("*")):
        days[day] -= count
        days[0] = days.get(0, 0) + count
    return {day: count for day, count in days.items() if count > 0}


def _count_narrowed_days(photos: QuerySet[Photo]) -> dict[int, int]:
    """As above, but sorting the days of what is found, so that the filters choose the index, not the days' order."""
    day = Case(When(IS_ESTIMATED, then=Value(0)), default=F("taken_day") + 0)
    rows = photos.order_by().annotate(day=day).values_list("day").annotate(count=Count("*"))
    return dict(rows)


def _count_days_by(photos: QuerySet[Photo], columns: Sequence[str]) -> dict[int, int]:
    """As above, in the order of an index that begins with `columns`, of which the last are the day and its source."""
    days: dict[int, int] = {}
    for *_, day, source, count in photos.order_by().values_list(*columns).annotate(count=Count("*")):
        day = 0 if source == "file" else day
        days[day] = days.get(day, 0) + count
    return days


def _by_month(days: dict[int, int]) -> list[dict[str, Any]]:
    """Sum days (yyyymmdd -> count, 0 for undated) to months, but for months that are too large."""
    months: dict[int, dict[int, int]] = {}
    for day, count in days.items():
        if day and count > 0:
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
    if days.get(0, 0) > 0:
        buckets.append({"bucket": UNDATED_BUCKET, "count": days[0]})
    return buckets


def _merged(ranges: list[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Join ranges that touch or overlap, so that no photo comes twice and neighbours cost one look-up."""
    merged: list[tuple[datetime, datetime]] = []
    for start, end in ranges:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _as_arrays(rows: Iterable[Any], editable: dict[UUID, bool], most: int | None) -> dict[str, list[Any]]:
    """Turn rows to columns as they come, so that both are never held at once. Raises BadRequest for more than `most`."""
    arrays: dict[str, list[Any]] = {name: [] for name in ARRAYS}
    append = [values.append for values in arrays.values()]
    for row in rows:
        (
            pk, width, height, colour, stars, taken_at, taken_local, source, kind, duration, state, thumbnail, md5, library,
            identifier, motion_bytes,
        ) = row  # fmt: skip
        if most is not None and len(arrays["id"]) >= most:
            raise BadRequest(
                f"These buckets hold more than {most:,} photos. Ask for fewer of them at once.", "too_many_photos"
            )
        dated = taken_local > UNDATED and source != "file"
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
            _live_key(library, identifier) if identifier else "",
            editable[library],
            bool(motion_bytes),
        )
        for add, value in zip(append, values, strict=True):
            add(value)
    return arrays


def _join_by_name(arrays: dict[str, list[Any]]) -> None:
    """Give picture and video that belong together by their names the same `live`. No query where no short video is."""
    kinds = zip(arrays["id"], arrays["media_type"], arrays["duration"], arrays["live"], strict=True)
    short = (
        UUID(pk) for pk, kind, ms, live in kinds if ms and ms <= pairs.LONGEST_MS and not live and kind[:6] == "video/"
    )
    keys = pairs.keys_by_name(list(islice(short, MOST_JOINED)))
    if keys:
        arrays["live"] = [live or keys.get(UUID(pk), "") for pk, live in zip(arrays["id"], arrays["live"], strict=True)]


def _live_key(library: UUID, identifier: str) -> str:
    """Return what picture and video of one Live Photo in one library share."""
    return hashlib.blake2s(f"{library}:{identifier}".encode(), digest_size=6).hexdigest()
