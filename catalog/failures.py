"""The files of a library that cannot be shown, or only in part: how many, and the first of them with their reasons."""

from itertools import islice

from .models import Library, Photo
from .models.photo import PhotoQuerySet

STATES = (Photo.State.BROKEN, Photo.State.DAMAGED)


def count_failed(library: Library) -> int:
    """Return how many there are."""
    return sum(_in_state(library, state).count() for state in STATES)


def first_failures(library: Library, most: int) -> list[dict[str, str]]:
    """Return `path` and `reason` of the first `most`, by folder and name. One query a state: each is a range of their index."""
    rows: list[tuple[str, str, str]] = []
    for state in STATES:
        bad = _in_state(library, state).order_by("directory", "filename")
        rows += bad.values_list("directory", "filename", "problem")[:most]
    paths = ((f"{directory}/{name}" if directory else name, reason) for directory, name, reason in sorted(rows))
    return [{"path": path, "reason": reason} for path, reason in islice(paths, most)]


def _in_state(library: Library, state: str) -> PhotoQuerySet:
    return Photo.objects.filter(library=library, state=state).with_problems()
