"""Things shown in a further scope besides their home: a photo or a note in an album, an album in its members' own lists."""

import uuid
from collections.abc import Collection, Iterable

from django.db import transaction
from django.db.models import QuerySet

from changes.models import Shown
from changes.models.numbered import hide_everywhere
from changes.types import kind as kind_of
from changes.types import parse_scope

_BATCH = 1000


def show(scope: str, kind: str, ids: Iterable[uuid.UUID]) -> None:
    """Let these things be seen in `scope`, too; those that are already stay as they are.

    ValueError if the type cannot be shown there.
    """
    family, _ = parse_scope(scope)
    if family not in kind_of(kind).shown_in:
        raise ValueError(f"A {kind} cannot be shown in {scope}.")
    rows = [Shown(scope=scope, kind=kind, object_id=key) for key in sorted(set(ids))]
    with transaction.atomic():
        Shown.objects.bulk_create(rows, batch_size=_BATCH, ignore_conflicts=True)


def hide(scope: str, kind: str, ids: Iterable[uuid.UUID]) -> int:
    """Let these things be seen in `scope` no longer: devices there are told that they are gone. Returns how many were."""
    with transaction.atomic():
        return hide_everywhere(kind, sorted(set(ids)), lambda shown: shown.filter(scope=scope))


def hide_those(kind: str, ids: Collection[uuid.UUID] | QuerySet) -> int:
    """Let these things be seen in no further scope any more, e.g. because a statement is about to delete them.

    Returns how many were hidden.
    """
    keys = list(Shown.objects.filter(kind=kind, object_id__in=ids).values_list("object_id", flat=True).distinct())
    with transaction.atomic():
        return hide_everywhere(kind, keys)


def lead(kind: str, new: uuid.UUID, old: uuid.UUID) -> None:
    """Let `old` be seen wherever `new` is, which is seen nowhere any more: they turned out to be the same."""
    scopes = list(Shown.objects.filter(kind=kind, object_id=new).values_list("scope", flat=True))
    with transaction.atomic():
        for scope in scopes:
            show(scope, kind, [old])
        hide_everywhere(kind, [new])
