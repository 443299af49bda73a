"""The one order in which transactions lock rows, so that no two wait for each other.

People for whom room is reserved first (`catalog.entries.quota.holding`), then photos by their keys, all that will be
written; then what hangs on them, each kind by its keys: drafts and notes, albums, trash items, writes into files, stars in
the queue. Then the libraries by their keys, and the operation in whose name it is done last. An operation's own row may
also be locked first, by who works on it.
"""

from collections.abc import Iterable
from uuid import UUID

from django.db import connection

from catalog.models import Photo
from catalog.models.photo import PhotoQuerySet

_MOST_AT_ONCE = 5_000


def hold_photos(keys: Iterable[UUID | None]) -> None:
    """Lock these photos until the transaction ends; those that are gone are left out.

    Nothing where one transaction that writes keeps all others out, as on SQLite.
    """
    if not connection.features.has_select_for_update:
        return
    wanted = sorted({key for key in keys if key is not None})
    for start in range(0, len(wanted), _MOST_AT_ONCE):
        held = Photo.objects.select_for_update(of=("self",)).filter(pk__in=wanted[start : start + _MOST_AT_ONCE])
        list(held.order_by("pk").values_list("pk"))


def hold_rows_of(queries: Iterable[PhotoQuerySet]) -> None:
    """Lock the photos that these find now until the transaction ends; nothing where `hold_photos` does nothing."""
    if connection.features.has_select_for_update:
        hold_photos(key for query in queries for key in query.order_by().values_list("pk", flat=True))
