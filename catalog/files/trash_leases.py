"""Who moves the files of trash items: a process known by name, that says again and again that it is at work.

Its name stands in each row that it works on. Before each step it proves, by writing into the row, that the row is still its
own; whoever takes a row over writes its own name there, so that the one before stops at its next step.
"""

import logging
import secrets
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from django.db import DatabaseError, connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from catalog.models import Library, TrashItem
from photolala.lib.process import identity, is_dead

logger = logging.getLogger(__name__)
LEASE = timedelta(minutes=2)
"""A mover that was not seen at work for so long lost its rows, even if its process lives."""
RENEWED_EVERY_SECONDS = LEASE.total_seconds() / 6
UNDER_WAY = (TrashItem.State.MOVING, TrashItem.State.RESTORING, TrashItem.State.FILING)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class MoverLost(Exception):
    """Somebody else has taken the row over: nothing more may be done to its files, or to the row."""


class Mover:
    """One piece of work on rows of the trash; use it in a `with` block, which says in a thread that it is at work.

    Rows that still carry its name when the block ends belong to nobody: `settle` takes them at once.
    """

    def __init__(self, operation: UUID | None = None) -> None:
        """`operation` is that whose claim this is a part of, so that a later claim can tell (`of_operation`)."""
        self.token = secrets.token_hex(8)
        self.name = f"{identity()}|{operation}.{self.token}" if operation else f"{identity()}|{self.token}"
        self._stopping = threading.Event()
        self._beat = threading.Thread(target=self._renew, name="trash-mover", daemon=True)

    def __enter__(self) -> Self:
        self._beat.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        if kind is None or issubclass(kind, Exception):  # else the process ends, which is seen by its name
            with suppress(DatabaseError):
                self._rows().update(mover="", mover_seen_at=_LONG_AGO)

    @property
    def marks(self) -> dict[str, Any]:
        """The columns that make a row this mover's."""
        return {"mover": self.name, "mover_seen_at": timezone.now()}

    def require(self, item: TrashItem, **changes: Any) -> None:
        """Prove that the row is this mover's still, and write `changes` into it. Raises MoverLost."""
        mine = TrashItem.objects.filter(pk=item.pk, mover=self.name)
        if not mine.update(mover_seen_at=timezone.now(), **changes):
            raise MoverLost

    def take_over(self, item: TrashItem) -> bool:
        """Make a row this mover's that nobody works on any more; False if it changed since `item` was read."""
        marks = self.marks
        as_it_was = TrashItem.objects.filter(
            pk=item.pk, state=item.state, mover=item.mover, mover_seen_at=item.mover_seen_at
        )
        if not as_it_was.update(**marks):
            return False
        item.mover, item.mover_seen_at = marks["mover"], marks["mover_seen_at"]
        return True

    def _rows(self) -> QuerySet[TrashItem]:
        return TrashItem.objects.filter(state__in=UNDER_WAY, mover=self.name)

    def _renew(self) -> None:
        while not self._stopping.wait(RENEWED_EVERY_SECONDS):
            try:
                for key in list(self._rows().values_list("pk", flat=True)):  # one by one, so that nobody waits for two
                    self._rows().filter(pk=key).update(mover_seen_at=timezone.now())
            except Exception:
                logger.warning("A mover of the trash could not say that it is at work", exc_info=True)
            finally:
                connection.close()


def photos_under_way(library: Library) -> QuerySet[TrashItem, Any]:
    """Return the keys of the photos whose files are being moved into the trash, back, or into another folder."""
    items = TrashItem.objects.filter(library=library, state__in=UNDER_WAY, photo__isnull=False)
    return items.values("photo")


def of_operation(operation: UUID) -> Q:
    """Return the condition that a row belongs to a mover of one of the operation's claims."""
    return Q(mover__contains=f"|{operation}.")


def is_abandoned(item: TrashItem, before: datetime | None = None) -> bool:
    """True if nobody works on the row: its process is gone, or was not seen at work since `before` (`LEASE` ago)."""
    if item.mover and is_dead(item.mover):
        return True
    seen_at = item.mover_seen_at or item.trashed_at
    # Seen in the future is seen before the clock was set back: no lease is that long.
    return seen_at <= (before or timezone.now() - LEASE) or seen_at > timezone.now() + LEASE
