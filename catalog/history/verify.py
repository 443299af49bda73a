"""Whether a library's snapshots are whole, repairing them from other places, and which are still kept."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.conf import settings

from catalog.cache.working import working_folder
from catalog.history import publish
from catalog.history.copies import SnapshotNotKept, Unreadable, all_places, copy_to, places
from catalog.models import Library
from catalog.roots.snapshot_locations import COPIES_LABEL, root_location
from catalog.snapshots.location import Location
from catalog.snapshots.pointer import POINTER_NAME, format_pointer
from catalog.snapshots.publish import read_pointer
from catalog.snapshots.read import open_snapshot
from catalog.snapshots.schema import SnapshotUnusable, md5_of_name, snapshot_name
from operations.models import ACTIVE, Operation
from photolala.lib.digests import md5_of_file


@dataclass
class Verified:
    """What `verify` found and did. `problems` are sentences on what could not be repaired."""

    checked: int = 0
    set_aside: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def verify(library: Library) -> Verified:
    """Recompute the MD5 of every kept snapshot; replace what is damaged or lost in one place by the other's copy.

    A damaged file is never deleted: it is set aside as `….broken-<UTC>`.
    """
    verified = Verified()
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    locations = all_places(library)
    if settings.CATALOG_COPIES and len(locations) == len(places(library)):
        verified.problems.append(f"{COPIES_LABEL.capitalize()} is not there, so nothing in it was looked at.")
    whole: dict[str, list[Location]] = {}
    wanting: list[tuple[Location, str]] = []
    for location in locations:
        try:
            present = {md5 for name in location.names() if (md5 := md5_of_name(name))}
            pointer = read_pointer(location)
        except OSError as error:
            verified.problems.append(f"{location.label} cannot be read: {error.strerror or error}.")
            continue
        if pointer is not None:
            verified.problems += [f"In {location.label}: {note}" for note in pointer.notes]
        for md5 in sorted(present):
            verified.checked += 1
            try:
                is_whole = _is_whole(location, md5)
            except OSError as error:  # a disk that fails now is no proof against the file
                verified.problems.append(
                    f"{snapshot_name(md5)} in {location.label} cannot be read now: {error.strerror or error}."
                )
                continue
            if is_whole:
                whole.setdefault(md5, []).append(location)
            elif _set_aside(location, snapshot_name(md5), stamp, verified):
                wanting.append((location, md5))
        wanting += [(location, md5) for md5 in (pointer.md5s if pointer else ()) if md5 not in present]
    for location, md5 in wanting:
        _repair(location, md5, whole.get(md5, []), verified)
    publish.mark_present(library, set(locations[0].names()), root_location(library))
    return verified


def _is_whole(location: Location, md5: str) -> bool:
    with location.open(snapshot_name(md5)) as file:
        return md5_of_file(file) == md5


def _set_aside(location: Location, name: str, stamp: str, verified: Verified) -> bool:
    """Rename a damaged file; False, with a problem noted, if that cannot be: then it must stay as it is."""
    try:
        taken = set(location.names())
        aside, number = f"{name}.broken-{stamp}", 1
        while aside in taken:
            number += 1
            aside = f"{name}.broken-{stamp}-{number}"
        location.rename(name, aside)
    except OSError as error:
        verified.problems.append(
            f"{name} in {location.label} is damaged and could not be set aside: {error.strerror or error}."
        )
        return False
    verified.set_aside.append(f"{name} in {location.label} was damaged; it is kept as {aside}.")
    return True


def _repair(location: Location, md5: str, others: list[Location], verified: Verified) -> None:
    name = snapshot_name(md5)
    with working_folder("repair") as folder:
        for other in others:
            try:
                copy_to(other, md5, folder / name)
                open_snapshot(folder / name, md5).close()
                location.put_file(name, str(folder / name))
            except (OSError, SnapshotUnusable, Unreadable) as error:
                verified.problems.append(f"{name} in {location.label} could not be repaired: {error}")
            else:
                verified.repaired.append(f"{name} in {location.label} was copied anew from {other.label}.")
            return
    verified.problems.append(f"{name} is damaged or lost in {location.label}, and no whole copy of it is left.")


def prune(library: Library, keep_count: int) -> list[str]:
    """Keep the latest `keep_count` (at least 1) snapshots of each place; return the names of the files removed.

    Refuses with SnapshotNotKept while the library is being scanned or restored, or where a pointer is lost or torn:
    then no one knows which may go. A failed removal raises OSError; what the pointer names is always still there.
    """
    if Operation.objects.filter(active_key=library.scan_key, state__in=ACTIVE).exists():
        raise SnapshotNotKept("The library is being scanned or restored, so nothing was removed. Try again after that.")
    removed: list[str] = []
    locations = places(library)
    for location in locations:
        present = [md5 for name in location.names() if (md5 := md5_of_name(name))]
        if not present:
            continue
        pointer = read_pointer(location)
        if pointer is None or pointer.notes:
            raise SnapshotNotKept(
                f"The pointer of {location.label} is lost or torn, so nothing was removed there. Scan the library, which "
                "writes it anew."
            )
        kept = pointer.md5s[: max(1, keep_count)]
        if kept != pointer.md5s:
            location.put_bytes(POINTER_NAME, format_pointer(kept))
        for md5 in present:
            if md5 not in kept:
                location.delete(snapshot_name(md5))
                removed.append(f"{snapshot_name(md5)} in {location.label}")
    publish.mark_present(library, set(locations[0].names()), root_location(library))
    return removed
