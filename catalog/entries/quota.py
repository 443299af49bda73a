"""How much people may keep: their photos and the files that they attach to notes count together."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Sum

from catalog.models import Library, Media, Photo


@contextmanager
def holding(*people: Any) -> Iterator[None]:
    """In a transaction of the block nobody else reserves for these people, or begins something of which they have one.

    On SQLite transactions are one at a time anyway.
    """
    with transaction.atomic():
        rows = get_user_model().objects.select_for_update(no_key=True)
        list(rows.filter(pk__in=[person.pk for person in people]).order_by("pk").values_list("pk", flat=True))
        yield


def room_for(owner_id: Any) -> int | None:
    """Return how many bytes more this person's libraries and media store may hold together; None without a quota."""
    quota = get_user_model().objects.values_list("quota_bytes", flat=True).get(pk=owner_id)
    if quota is None:
        return None
    mine = Library.objects.filter(owner=owner_id).values("pk")
    here = Photo.objects.filter(library__in=mine).exclude(state__in=[Photo.State.MISSING, Photo.State.REMOTE])
    sums = (rows.aggregate(sum=Sum("size_bytes"))["sum"] or 0 for rows in (here, Media.objects.filter(owner=owner_id)))
    return int(quota - sum(sums))
