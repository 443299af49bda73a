"""Examine the libraries: that their roots can be reached, and that their snapshots are there and whole."""

from collections.abc import Iterator

from catalog.entries.counts import bump_revision
from catalog.models import Library
from catalog.roots.reach import source_for
from catalog.roots.snapshot_locations import CACHE_LABEL, cache_location, root_location
from catalog.snapshots.location import Location
from catalog.snapshots.publish import read_pointer
from catalog.snapshots.schema import snapshot_name
from catalog.sources.base import SourceUnavailable
from operations.progress import Progress, quietly
from photolala.lib.digests import md5_of_file

from .findings import Finding, note, warning

HEALED = "The next scan of the library writes it anew."


def examine_libraries(*, full: bool = False, heal: bool = False, progress: Progress = quietly) -> Iterator[Finding]:
    """Yield what is wrong with each library. Only reads; `full` reads also the earlier snapshots.

    With `heal` a latest snapshot that is lost or damaged is noted down to be published again by the next scan.
    """
    for library in progress(
        Library.objects.exclude(source="device").order_by("name", "pk").iterator(), "Examining libraries"
    ):
        source = source_for(library)
        try:
            root_md5 = source.root_md5
            try:
                source.check()
            except SourceUnavailable as failure:
                reachable = False
                yield warning(
                    "library.unreachable",
                    f"The library “{library.name}” cannot be reached: {failure}",
                    "Its catalog and thumbnails stay; originals and scans are back with the folder.",
                )
            else:
                reachable = True
                if not source.root_is_writable():
                    yield _read_only(library)
        finally:
            source.close()
        if library.snapshot_md5:
            places = [cache_location(root_md5)]
            root = root_location(library)
            if root and reachable and library.root_has_pointer:
                places.append(root)
            for place in places:
                yield from _examine_snapshots(library, place, full=full, heal=heal)


def _read_only(library: Library) -> Finding:
    text = f"The folder of the library “{library.name}” cannot be written: its catalog snapshots are in the cache only"
    if library.ratings == Library.Ratings.DATABASE:
        return note(
            "library.read_only", f"{text}.", "All else works; give Photolala the right to write if you want them."
        )
    return warning(
        "library.read_only",
        f"{text}, and stars cannot be written {library.get_ratings_display()}.",
        "Give Photolala's user the right to write, or let the library keep its stars in the database (its settings).",
    )


def _examine_snapshots(library: Library, place: Location, *, full: bool, heal: bool) -> Iterator[Finding]:
    try:
        pointer = read_pointer(place)
    except OSError as failure:
        reason = failure.strerror or str(failure)
        yield warning(
            "snapshot.unreadable",
            f"The snapshots of “{library.name}” in {place.label} cannot be read: {reason}.",
            "Give Photolala's user the right to read them.",
        )
        return
    if pointer is None or pointer.md5s[:1] != (library.snapshot_md5,):
        is_lost = pointer is None and place.label != CACHE_LABEL
        finding = warning(
            "snapshot.pointer",
            f"The pointer .photolala.md5 of “{library.name}” in {place.label} is missing, or does not name the latest "
            "catalog snapshot.",
            "Perhaps another disk is mounted there: look. If it is the right folder, scan and confirm it."
            if is_lost
            else "Scan the library: the snapshot is published again.",
        )
        yield finding if is_lost else _to_be_published(library, finding, heal=heal)
    for number, md5 in enumerate((pointer.md5s if pointer else ())[: None if full else 1]):
        problem = _problem_of(place, md5)
        if not problem:
            continue
        is_latest = md5 == library.snapshot_md5
        finding = warning(
            "snapshot.latest" if is_latest else "snapshot.earlier",
            f"The {'latest' if number == 0 else 'earlier'} snapshot {snapshot_name(md5)} of “{library.name}” in "
            f"{place.label} {problem}.",
            "Scan the library: it is written anew."
            if is_latest
            else "Nothing needs it while a later one is whole; it is removed after some further snapshots.",
        )
        yield _to_be_published(library, finding, heal=heal) if is_latest else finding


def _to_be_published(library: Library, finding: Finding, *, heal: bool) -> Finding:
    """Let the next scan publish; without `heal` it would not, because nothing changed."""
    if heal:
        bump_revision(library)
        finding.healed = HEALED
    else:
        finding.advice = f"Run `manage.py doctor --heal`. Then: {finding.advice}"
    return finding


def _problem_of(place: Location, md5: str) -> str:
    """Return "" for a snapshot whose bytes have the MD5 of its name, else what is wrong."""
    try:
        with place.open(snapshot_name(md5)) as file:
            found = md5_of_file(file)
    except FileNotFoundError:
        return "is missing"
    except OSError as failure:
        return f"cannot be read ({failure.strerror or failure})"
    return "" if found == md5 else "is damaged: its bytes no longer have the MD5 of its name"
