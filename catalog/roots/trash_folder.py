"""The folder of a library's trash in its root, and what no row knows there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from uuid import UUID

from catalog.models import TrashItem
from catalog.sources.placing import open_folder
from photolala.lib.paths import escape_path, unescape_path

FOLDER = ".photolala.trash"
TAKEN = ".photolala-taken-"
"""How the hidden names begin that a photo has in its item's folder on its way back."""


def folder_of_item(item: TrashItem) -> str:
    """Return the item's folder in the trash, relative to the root."""
    return f"{FOLDER}/{item.pk}"


@contextmanager
def opened(root: int, directory: str) -> Iterator[int]:
    """Open a folder below the root for a `with` block. Raises OSError."""
    folder = open_folder(root, directory)
    try:
        yield folder
    finally:
        os.close(folder)


_MOST_ASKED = 5_000


@dataclass(frozen=True, slots=True)
class Stray:
    """A folder in the trash that no row knows, by its name there, and what is in it."""

    folder: str
    names: tuple[str, ...]


def strays_in(root: int) -> list[Stray]:
    """Return the folders in the trash of an open root that no row knows. Raises OSError."""
    found = []
    try:
        with opened(root, FOLDER) as bins:
            names = [escape_path(os.fsencode(name)) for name in os.listdir(bins)]
    except FileNotFoundError:
        return []
    keys = [key for name in names if (key := _uuid(name))]
    known: set[UUID] = set()
    for start in range(0, len(keys), _MOST_ASKED):
        some = TrashItem.objects.filter(pk__in=keys[start : start + _MOST_ASKED])
        known.update(some.values_list("pk", flat=True))
    for name in sorted(names):
        if _uuid(name) in known:
            continue  # its row is written before the folder is made, and removed after the folder
        with suppress(FileNotFoundError, NotADirectoryError), opened(root, f"{FOLDER}/{name}") as folder:
            found.append(Stray(name, tuple(sorted(escape_path(os.fsencode(one)) for one in os.listdir(folder)))))
    return found


def remove_empty(root: int) -> int:
    """Remove the empty folders in the trash of an open root that no row knows; return how many.

    Disks with transient errors leave such, and processes that were killed or overtaken. Not within a transaction: it has to
    see the rows that were written before the folders were made.
    """
    removed = 0
    try:
        strays = [stray for stray in strays_in(root) if not stray.names]
        with opened(root, FOLDER) as bins:
            for stray in strays:
                with suppress(OSError):  # the next one tries again
                    os.rmdir(unescape_path(stray.folder), dir_fd=bins)
                    removed += 1
    except OSError:
        pass  # there is no trash, or it cannot be read now
    return removed


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
