"""Which short video belongs to which picture: Live Photos by what both files say, others by their names and times."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import NamedTuple
from uuid import UUID

from django.db.models import Q, QuerySet

from catalog.models import Photo
from catalog.sources.kinds import RAW_EXTENSIONS, extension_of

LONGEST_MS = 6_500
"""Phones record up to three seconds with a picture; what somebody films on purpose is mostly longer than twice that."""
_APART = timedelta(seconds=5)
_AT_ONCE = 100
_MOST_ALIKE = 500
"""Videos with the identifiers of a hundred pictures that are looked at; each phone gives each of its photos another one."""
_VIDEOS = (".MOV", ".mov", ".MP4", ".mp4")
_PICTURES = (".HEIC", ".heic", ".JPG", ".jpg", ".JPEG", ".jpeg", ".HEIF", ".heif")

_RAWS = [f".{written}" for name in sorted(RAW_EXTENSIONS) for written in (name, name.upper())]


class Half(NamedTuple):
    """A picture or a video, as far as it matters here; the names are those of its columns."""

    id: UUID
    library_id: UUID
    directory: str
    filename: str
    media_type: str
    duration_ms: int | None
    taken_at: datetime
    taken_local: datetime
    content_identifier: str

    @property
    def place(self) -> tuple[UUID, str, str]:
        """Library, folder and name without its extension."""
        return self.library_id, self.directory, os.path.splitext(self.filename)[0]


def is_pair(picture: Half, video: Half) -> bool:
    """Tell whether the video belongs to the picture: both say the same identifier, or neither tells it apart from another's, and
    they have one name in one folder, the video is short, and they were taken within five seconds, by instant or wall clock."""
    if not video.media_type.startswith("video/") or not picture.media_type.startswith("image/"):
        return False
    if picture.content_identifier and video.content_identifier:
        return picture.content_identifier == video.content_identifier and picture.library_id == video.library_id
    apart = min(abs(picture.taken_at - video.taken_at), abs(picture.taken_local - video.taken_local))
    return (
        picture.place == video.place
        and video.duration_ms is not None
        and video.duration_ms <= LONGEST_MS
        and apart <= _APART
    )


def videos_of(photos: QuerySet[Photo], ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Return of the pictures among `ids` those with a short video among `photos`, with its id. Three queries for each hundred.

    A Live Photo's video that was renamed is found by when it was taken. No video belongs to two pictures.
    """
    found: dict[UUID, UUID] = {}
    videos = photos.filter(is_shown=True, media_type__startswith="video/")
    for pictures in _halves(ids):
        pictures = [one for one in pictures if one.media_type.startswith("image/")]
        if pictures:
            rows = _rows(videos.filter(_named_like(pictures, _VIDEOS)))
            _match(pictures, list(dict.fromkeys(rows + _alike(videos, pictures))), found)
    return found


def _alike(videos: QuerySet[Photo], pictures: Iterable[Half]) -> list[Half]:
    """Return those with the identifier of one of the pictures that were taken when one was: through the index of times, in
    which no place is read twice."""
    condition = Q()
    identified: dict[UUID, list[Half]] = defaultdict(list)
    for one in pictures:
        if one.content_identifier:
            identified[one.library_id].append(one)
    for library, some in identified.items():
        times = Q()
        for start, end in _joined(one.taken_local for one in some):
            times |= Q(taken_local__range=(start, end))
        condition |= Q(times, library=library, content_identifier__in={one.content_identifier for one in some})
    return _rows(videos.filter(condition), _MOST_ALIKE) if condition else []


def _joined(moments: Iterable[datetime]) -> list[tuple[datetime, datetime]]:
    """Return the spans of time around these moments, as one where they touch."""
    spans: list[tuple[datetime, datetime]] = []
    for moment in sorted(moments):
        start, end = moment - _APART, moment + _APART
        if spans and start <= spans[-1][1]:
            start = spans.pop()[0]
        spans.append((start, end))
    return spans


def with_videos(photos: QuerySet[Photo], ids: Sequence[UUID]) -> list[UUID]:
    """Return the ids once each, a picture's followed by that of the short video among `photos` that belongs to it."""
    wanted = list(dict.fromkeys(ids))
    videos = videos_of(photos, wanted)
    return list(dict.fromkeys(chain.from_iterable((one, videos[one]) if one in videos else (one,) for one in wanted)))


def keys_by_name(ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return a text for each of the videos with these ids that belongs to a picture by its name, and for that picture: the same.

    Two queries for each hundred.
    """
    keys: dict[UUID, str] = {}
    for videos in _halves(ids):
        shown = Photo.objects.filter(_named_like(videos, _PICTURES), is_shown=True, content_identifier="")
        pairs: dict[UUID, UUID] = {}
        _match(_rows(shown), videos, pairs)
        places = {one.id: one.place for one in videos}
        for picture, video in pairs.items():
            text = "\n".join(map(str, places[video])).encode("utf-8", "surrogateescape")
            keys[picture] = keys[video] = hashlib.blake2s(text, digest_size=6).hexdigest()
    return keys


def raw_partners(photos: QuerySet[Photo], ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return of those that are a RAW, or the picture beside one, the file name of the other among `photos`.

    Two queries for each hundred: they have one name in one folder, as cameras write them.
    """
    partners: dict[UUID, str] = {}
    for halves in _halves(ids):
        by_place: dict[tuple[UUID, str, str], list[Half]] = defaultdict(list)
        for other in _rows(photos.filter(_named_like(halves, (*_RAWS, *_PICTURES)))):
            by_place[other.place].append(other)
        for one in halves:
            is_raw = _is_raw(one)
            other_kind = [other.filename for other in by_place[one.place] if _is_raw(other) != is_raw]
            if other_kind:
                partners[one.id] = other_kind[0]
    return partners


def _is_raw(one: Half) -> bool:
    return extension_of(one.filename) in RAW_EXTENSIONS


def _halves(ids: Iterable[UUID]) -> Iterator[list[Half]]:
    """Yield what is known of these photos, a hundred at a time."""
    rest = iter(ids)
    while some := list(islice(rest, _AT_ONCE)):
        yield _rows(Photo.objects.filter(pk__in=some))


def _rows(photos: QuerySet[Photo], most: int | None = None) -> list[Half]:
    return [Half(*row) for row in photos.order_by("filename", "pk").values_list(*Half._fields)[:most]]


def _named_like(halves: Iterable[Half], extensions: Sequence[str]) -> Q:
    """Return the condition that a photo has the place of one of these with such an extension, through the index of paths."""
    names: dict[tuple[UUID, str], list[str]] = defaultdict(list)
    for one in halves:
        library, directory, stem = one.place
        names[library, directory] += [stem + extension for extension in extensions]
    condition = Q(pk__in=[])
    for (library, directory), wanted in names.items():
        condition |= Q(library=library, directory=directory, filename__in=wanted)
    return condition


def _match(pictures: Iterable[Half], videos: Sequence[Half], found: dict[UUID, UUID]) -> None:
    """Add to `found` each of the pictures with the first video that belongs to it and to none before."""
    by_place, by_identifier = defaultdict(list), defaultdict(list)
    for video in videos:
        by_place[video.place].append(video)
        by_identifier[video.library_id, video.content_identifier].append(video)
    taken = set(found.values())
    for picture in pictures:
        candidates = list(by_place[picture.place])
        if picture.content_identifier:
            candidates += by_identifier[picture.library_id, picture.content_identifier]
        for video in candidates:
            if video.id not in taken and is_pair(picture, video):
                found[picture.id] = video.id
                taken.add(video.id)
                break
