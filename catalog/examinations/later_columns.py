"""Examine how far scans are with photos that are to be read again: for what later versions keep, or as nobody read them here."""

from collections.abc import Iterator

from catalog.entries.read_here import count_unread
from catalog.models import Library, Photo
from catalog.scanning.later_columns import LATER, count_unfilled
from catalog.scanning.looks import without_look

from .findings import Finding, note


def examine_unread() -> Iterator[Finding]:
    """Yield for each library how many photos nobody read here yet. Only reads."""
    for library in Library.objects.exclude(source="device").order_by("name", "pk"):
        left = count_unread(library)
        if left:
            there = Photo.objects.filter(library=library).exclude(state=Photo.State.MISSING).count()
            yield note(
                "library.unread",
                f"{left:,} of {there:,} photos of “{library.name}” are known from an earlier version or a catalog file, and "
                "nothing tells that their bytes were read here: until they are, their pictures are drawn from their own files.",
                "Each scan reads a share of them again; nothing else has to be done.",
            )


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
            f"ones keep of them ({names}): until that is there, a photo that is moved and edited at once is another photo, and "
            "a motion photo stands still.",
            "Each scan reads a share of them again; nothing else has to be done.",
        )


def examine_looks() -> Iterator[Finding]:
    """Yield for each library how many photos cannot be found among similar pictures yet. Only reads."""
    for library in Library.objects.exclude(source="device").order_by("name", "pk"):
        left = sum(1 for _ in without_look(library).values_list("pk").iterator(chunk_size=2000))
        if left:
            yield note(
                "library.looks",
                f"{left:,} photos of “{library.name}” were catalogued by an earlier version, and are not compared yet when "
                "similar pictures are looked for.",
                "Each scan looks at the thumbnails of more of them; nothing else has to be done.",
            )
