"""Examine how far scans are with what later versions keep of photos that were catalogued before."""

from collections.abc import Iterator

from catalog.later_columns import LATER, count_unfilled
from catalog.models import Library, Photo

from .findings import Finding, note


def examine_later_columns() -> Iterator[Finding]:
    """Yield for each library how many photos are still to be read once more. Only reads."""
    names = ", ".join(column.name for column in LATER)
    for library in Library.objects.exclude(source="device").order_by("name", "pk"):
        left = count_unfilled(library)
        if not left:
            continue
        there = Photo.objects.filter(library=library).exclude(state=Photo.State.MISSING).count()
        yield note(
            "library.later_columns",
            f"{left:,} of {there:,} photos of “{library.name}” were catalogued by an earlier version and lack what later "
            f"ones keep of them ({names}): until that is there, a photo that is moved and edited at once is another photo.",
            "Each scan reads a share of them again; nothing else has to be done.",
        )
