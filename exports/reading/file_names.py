"""What photos are called when they leave, and what an archive of them is called."""

from collections.abc import Iterable

from exports.ledger import names
from photolala.lib.paths import unescape_path


def portable_name(filename: str) -> str:
    """Return the name of a photo (escaped text) as any disk takes it: see docs/formats.md §4."""
    try:
        name = unescape_path(filename).decode("utf-8", "replace")
    except ValueError:  # a phone told it, which does not escape a backslash
        name = filename
    return names.portable_name(name)


def archive_name(years: Iterable[int]) -> str:
    """Return the name of an archive, without its extension, by the years in which its photos were taken."""
    found = sorted(set(years))
    if not found:
        return "photos"
    span = f"{found[0]:04}" if found[0] == found[-1] else f"{found[0]:04}-{found[-1]:04}"
    return f"photos-{span}"
