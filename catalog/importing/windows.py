"""The open files of an import in windows: so many at a time, those of one shot together."""

from collections.abc import Iterator

from django.db.models import Q, QuerySet

from catalog.importing.read_file import shot_stem
from catalog.models import ImportItem

WINDOW = 400
WINDOW_BYTES = 2 * 10**9


def windows(media: QuerySet[ImportItem]) -> Iterator[list[ImportItem]]:
    """Yield the open files in windows until none is left; each begins behind the one before, for what is done is many rows."""
    after: ImportItem | None = None
    while True:
        window = _window(_behind(media, after))
        if not window and after is None:
            return
        after = window[-1] if window else None  # once more from the beginning: files may have come, or wait again
        if window:
            yield window


def _behind(media: QuerySet[ImportItem], last: ImportItem | None) -> QuerySet[ImportItem]:
    if last is None:
        return media
    later = Q(directory__gt=last.directory) | Q(filename__gt=last.filename)
    return media.filter(later, directory__gte=last.directory)


def _window(media: QuerySet[ImportItem]) -> list[ImportItem]:
    """Return the next open files, so that files of one shot are in one window, as far as that can be told by their names."""
    window = list(media.order_by("directory", "filename")[: WINDOW * 2])
    end = total = 0
    while end < min(len(window), WINDOW) and (end == 0 or total < WINDOW_BYTES):
        total += window[end].size_bytes
        end += 1
    while end < len(window) and shot_key(window[end]) == shot_key(window[end - 1]):
        end += 1
    return window[:end]


def shot_key(item: ImportItem) -> tuple[str, str]:
    """Return what files of one shot have in common: a photo, its RAW file, its video."""
    return item.directory, shot_stem(item.filename)
