"""Puts a written snapshot where it is found again: cache snapshot, cache pointer, root snapshot, root pointer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from catalog.snapshots.location import Location
from catalog.snapshots.pointer import MAX_POINTER_BYTES, POINTER_NAME, Pointer, advance, format_pointer, parse_pointer
from catalog.snapshots.schema import md5_of_name, snapshot_name
from catalog.snapshots.write import WrittenSnapshot
from photolala.lib.digests import md5_of_file

KEEP_COUNT = 5
"""How many snapshots are kept by default, the latest included."""
Keep = Callable[[Location, Sequence[str]], Sequence[str]]
"""Returns those of a pointer's lines, the latest first, whose snapshots are kept in a place."""


@dataclass(slots=True)
class Published:
    """What `publish` did. `warnings` are sentences for the log and for the library's page."""

    md5: str
    root_written: bool = False
    warnings: list[str] = field(default_factory=list)


def publish(
    written: WrittenSnapshot,
    cache: Location,
    root: Location | None,
    *,
    keep_count: int = KEEP_COUNT,
    keep: Keep | None = None,
) -> Published:
    """Publish `written` in the cache and then in the root (None: the source takes no files), and prune old snapshots.

    The newest `keep_count` are kept, or what `keep` says, and always `written`.

    Whatever happens in between, each pointer names only whole snapshots. A root that cannot be written costs a warning;
    an OSError of the cache is raised, and then the root is untouched. The temporary file stays the caller's to discard.
    """
    published = Published(written.md5)
    if keep is None:
        keep = lambda _, md5s: md5s[: max(keep_count, 1)]  # noqa: E731
    published.warnings += _publish_at(written, cache, keep)
    if root is None:
        return published
    try:
        published.warnings += _publish_at(written, root, keep)
        published.root_written = True
    except OSError as error:
        published.warnings.append(
            f"The snapshot {written.md5} could not be written to {root.label} ({error.strerror or error}); it is "
            f"kept in {cache.label}. Other servers will not see this state until the folder can be written."
        )
    return published


def read_pointer(location: Location) -> Pointer | None:
    """Return the pointer at `location`, or None where there is none. Raises OSError if it cannot be read."""
    try:
        with location.open(POINTER_NAME) as file:
            return parse_pointer(file.read(MAX_POINTER_BYTES + 1))
    except FileNotFoundError:
        return None


def _publish_at(written: WrittenSnapshot, location: Location, keep: Keep) -> list[str]:
    if not _has_whole(location, written):
        location.put_file(written.name, written.path)
    pointer = read_pointer(location)
    present = [md5 for name in location.names() if (md5 := md5_of_name(name))]
    earlier = [md5 for md5 in pointer.md5s if md5 in present] if pointer else []
    if pointer is None or pointer.notes:
        # A lost or torn pointer has forgotten snapshots that may be the only good ones: take them up, prune none.
        earlier += [md5 for md5 in present if md5 not in earlier]
    following = advance(earlier, written.md5, len(earlier) + 1)
    kept = {written.md5, *keep(location, following)}
    lines = tuple(md5 for md5 in following if md5 in kept)
    if pointer is None or pointer.notes or pointer.md5s != lines:
        location.put_bytes(POINTER_NAME, format_pointer(lines))
    return _prune(location, present, lines)


def _prune(location: Location, present: list[str], kept: tuple[str, ...]) -> list[str]:
    """Delete the snapshots that the pointer no longer names. A failure is a warning: the new state is already safe."""
    try:
        for md5 in present:
            if md5 not in kept:
                location.delete(snapshot_name(md5))
    except OSError as error:
        return [
            f"Old snapshots in {location.label} could not be removed ({error.strerror or error}); they only take space."
        ]
    return []


def _has_whole(location: Location, written: WrittenSnapshot) -> bool:
    """Return whether the very same bytes are there already, so that a rescan without changes writes nothing."""
    try:
        with location.open(written.name) as file:
            return md5_of_file(file) == written.md5
    except OSError:
        return False  # not there, or unreadable: then writing it anew is the repair
