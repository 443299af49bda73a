"""The hidden names under which an import writes: each carries the claim of who made it, so that a late writer changes nothing.

A name is made before the claim is checked for the last time, and a file is written and renamed only from a name that was made
so. Whoever takes over removes the names of earlier claims first; a writer that was stopped and goes on then finds its own names
gone, and can put nothing into the library.
"""

from uuid import UUID

from catalog.models import ImportItem
from catalog.sources.hidden import hidden_versions, remove_hidden
from catalog.sources.placing import reserve_hidden


class HiddenNames:
    """The hidden names of one claim of one library's importer."""

    def __init__(self, library: UUID, operation: UUID, token: int) -> None:
        self._every = f"import-{library.hex[:8]}-"
        self._mine = f"{self._every}{operation.hex[:12]}.{token}-"
        self._reserved: list[tuple[int, bytes]] = []

    def word_for(self, item: ImportItem, beside: ImportItem | None = None) -> str:
        """Return what makes the hidden name of an item's file, or of a sidecar that goes with it, under this claim."""
        return f"{self._mine}{item.pk}" + (f"-{beside.pk}" if beside else "")

    def remove_earlier(self, folder: int) -> None:
        """Remove the names that other claims of this library left in an open folder. Raises OSError."""
        mine = set(hidden_versions(folder, self._mine))
        for name in set(hidden_versions(folder, self._every)) - mine:
            remove_hidden(folder, name)

    def reserve(self, folder: int, word: str) -> None:
        """Make a name in an open folder, which stays open until `release`. Raises OSError."""
        self._reserved.append((folder, reserve_hidden(folder, word)))

    def release(self) -> None:
        """Remove those of this claim that were not used."""
        while self._reserved:
            remove_hidden(*self._reserved.pop())
