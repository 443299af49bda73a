"""Who changed which field of a thing, for three-way merges. Written by what people wish; what a file said writes none."""

import uuid
from collections import defaultdict
from collections.abc import Iterable

from django.db import transaction

from changes import origin
from changes.models import FieldState
from changes.types import kind as kind_of
from changes.types import scope_name

_BATCH = 1000


def touched(kind: str, ids: Iterable[uuid.UUID], fields: Iterable[str], *, user: uuid.UUID | None = None) -> None:
    """Note that these fields (keys of the type's JSON) of these things were changed, by whom `origin` says, else by `user`.

    Call it in the transaction that changes them, after the rows are there; ids without a row are left out. KeyError or
    ValueError for a type or a field that there is not.
    """
    synced = kind_of(kind)
    names = sorted(set(fields))
    if unknown := set(names) - {field.name for field in synced.fields}:
        raise ValueError(f"A {kind} has no field {', '.join(sorted(unknown))}.")
    if not synced.has_own_key:
        raise ValueError(f"Name the scope of a {kind}: its id is not its key (touched_in).")
    keys = sorted(set(ids))
    for start in range(0, len(keys), _BATCH):
        some = keys[start : start + _BATCH]
        scopes = dict(synced.model._base_manager.filter(pk__in=some).values_list("pk", synced.scope_column))
        _write(kind, [(scope_name(synced.scope, scopes[key]), key) for key in some if key in scopes], names, user)


def touched_in(
    kind: str, scope: str, ids: Iterable[uuid.UUID], fields: Iterable[str], *, user: uuid.UUID | None = None
) -> None:
    """As `touched`, for things whose home is known to be `scope`; the ids are those on the wire."""
    keys, names = sorted(set(ids)), sorted(set(fields))
    for start in range(0, len(keys), _BATCH):
        _write(kind, [(scope, key) for key in keys[start : start + _BATCH]], names, user)


def _write(kind: str, things: list[tuple[str, uuid.UUID]], names: list[str], user: uuid.UUID | None) -> None:
    said = origin.current(user)
    states = [
        FieldState(scope=scope, kind=kind, object_id=key, field=name, hlc=said.hlc, actor=said.user, device=said.device)
        for scope, key in things
        for name in names
    ]
    with transaction.atomic(savepoint=False):
        FieldState.objects.bulk_create(
            states,
            update_conflicts=True,
            unique_fields=["kind", "object_id", "field"],
            update_fields=["scope", "version", "hlc", "actor", "device"],
        )


def states_of(kind: str, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, dict[str, FieldState]]:
    """Return what is known of the fields of these things: by id, by field. A state without a version is newer than any number.

    A field that no person ever changed has none.
    """
    found: dict[uuid.UUID, dict[str, FieldState]] = defaultdict(dict)
    keys = list(ids)
    for start in range(0, len(keys), _BATCH):
        for state in FieldState.objects.filter(kind=kind, object_id__in=keys[start : start + _BATCH]):
            found[state.object_id][state.field] = state
    return found
