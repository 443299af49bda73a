"""Whose files come next into a library: one operation takes in what everybody sends there, by turns."""

from time import monotonic
from uuid import UUID

from catalog.importing.requests import waiting
from catalog.models import Import, ImportItem, Library

LOOK_SECONDS = 1.0
LEAST_SECONDS = 2.0
LONG_TURN_SECONDS = 30.0
FEW_FILES = 100
"""Others with no more files than these have their turn as soon as they can; with more, after a long turn of this one."""


class OthersWait(Exception):
    """Another person's files wait, too; this import goes on after these."""


class ImportTurns:
    """Chooses among the imports that wait for a library."""

    def __init__(self, library: Library) -> None:
        self._waiting = waiting().filter(library=library)
        self._served: dict[UUID, int] = {}
        self._current: UUID | None = None
        self._began = self._looked = monotonic()

    def next(self) -> Import | None:
        """Return the oldest import of the person who had no turn for the longest; None if nothing waits."""
        people = dict.fromkeys(self._waiting.values_list("user_id", flat=True))
        if not people:
            return None
        self._current = min(people, key=lambda user: self._served.get(user, 0))
        self._served[self._current] = max(self._served.values(), default=0) + 1
        self._began = self._looked = monotonic()
        return self._waiting.filter(user=self._current).select_related("user").first()

    def raise_if_over(self) -> None:
        """Raise OthersWait if the import under way is to stop here, and go on later. Asks once a second at most."""
        now = monotonic()
        if now - self._looked < LOOK_SECONDS or now - self._began < LEAST_SECONDS:
            return
        self._looked = now
        others = self._waiting.exclude(user=self._current)
        if not others.exists():
            return
        files = ImportItem.objects.filter(import_run__in=others.order_by().values("pk"), state__in=ImportItem.OPEN)
        if now - self._began >= LONG_TURN_SECONDS or len(files.values("pk")[: FEW_FILES + 1]) <= FEW_FILES:
            raise OthersWait
