"""Scopes and their numbers: whoever reads a scope first numbers what was changed in it since.

Writers only mark rows (`Numbered`), so they wait for nobody. Numbers are given under the lock of the scope's counter, by one
transaction at a time, and only to what is committed: no reader sees n+1 before n, and what is changed again is marked
again and comes with a higher number. A number is `epoch << 40 | n` and is never given twice.
"""

import json
import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, F, Model, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from changes.models import EndedScope, Epoch, FieldState, Scope, Shown, Tombstone
from changes.types import Kind, kinds_of, parse_scope, scope_name, shown_kinds_of

__all__ = [
    "Counter",
    "begin_for",
    "end",
    "end_for",
    "number",
    "number_together",
    "parse_scope",
    "raise_epoch",
    "scope_name",
]

PIECE = 5_000
"""As many rows are numbered by one transaction: a second at most."""
EPOCH_BITS = 40
_EPOCH_SECONDS = 300
_BEGAN = 1_767_225_600  # 2026-01-01T00:00Z: epochs count from here
_KEY = 1


@dataclass(frozen=True)
class Counter:
    """What a scope's counter says: `is_complete` is False while rows are left for the next call."""

    epoch: int
    version: int
    floor: int
    is_complete: bool = True


def number(scope: str, most: int = PIECE) -> Counter:
    """Give numbers to what is marked in `scope`, to about `most` rows at once, and return where the counter stands.

    Where nothing is marked this is one query. Rows that somebody is changing just now are left out: they come with that
    change. Call it outside of transactions: within one, the counter is held until that ends. ValueError for no scope.
    """
    found = _look(scope)
    if found is not None and not found[1]:
        return found[0]
    _number_sources(scope)
    with transaction.atomic():
        return _number(scope, most, None)


def number_together(scopes: Collection[str]) -> None:
    """Give numbers to all that is marked in several scopes. For one transaction, which holds their counters until it ends.

    First come those where things are at home, also what albums among `scopes` show, then the albums, each in the order of
    their names: of two who do this with the same scopes one waits for the other.
    """
    albums = sorted(name for name in set(scopes) if _shows(name))
    whole = set(scopes) - set(albums)
    parts: dict[str, dict[str, list[Any]]] = {}
    for name in albums:
        for home, kind, keys in _marked_sources(name):
            parts.setdefault(home, {}).setdefault(kind, []).extend(keys)
    for home in sorted(whole | parts.keys()):
        if home in whole:
            _number_all(home)
        else:
            with transaction.atomic():
                _number(home, PIECE, parts[home])
    for name in albums:
        _number_all(name)


def _number_all(scope: str) -> None:
    while not number(scope).is_complete:
        pass


def _shows(scope: str) -> bool:
    """Return whether things of other scopes are shown in it."""
    return bool(shown_kinds_of(scope))


def raise_epoch() -> int:
    """Begin a new epoch, since the database is an earlier state of itself now; return it. Every device starts over.

    It grows with the time, so that two restores of the same state begin two epochs.
    """
    with transaction.atomic():
        Epoch.objects.bulk_create([Epoch(pk=_KEY, number=_epoch_of_now())], ignore_conflicts=True)
        row = Epoch.objects.select_for_update().get(pk=_KEY)
        row.number = max(row.number + 1, _epoch_of_now())
        row.save()
        return row.number


def current_epoch() -> int:
    """Return the epoch; the first reader begins it."""
    number = Epoch.objects.filter(pk=_KEY).values_list("number", flat=True).first()
    if number is None:
        Epoch.objects.bulk_create([Epoch(pk=_KEY, number=_epoch_of_now())], ignore_conflicts=True)
        number = Epoch.objects.get(pk=_KEY).number
    return number


def end(scope: str, users: Iterable[Any] = ()) -> None:
    """Note that the scope is gone, with all that was in it, and for whom. Call it in the transaction that removes it.

    An album or a library may be made again with the same id: the counter goes on, and who knew the scope before starts over.
    """
    for model in (Tombstone, Shown, FieldState):
        model.objects.filter(scope=scope).delete()
    counter = Scope.objects.filter(name=scope)
    if parse_scope(scope)[0] == "user":  # their ids are never given again
        counter.delete()
    else:
        counter.update(version=F("version") + 1, floor=F("version") + 1)
    end_for(scope, users)


def end_for(scope: str, users: Iterable[Any]) -> None:
    """Note that these users (or their keys) see the scope no longer. Call it in the transaction that takes it away."""
    keys = sorted({getattr(user, "pk", user) for user in users})
    EndedScope.objects.bulk_create(
        [EndedScope(user_id=key, scope=scope, at=timezone.now()) for key in keys],
        update_conflicts=True,
        unique_fields=["user", "scope"],
        update_fields=["at"],
    )


def begin_for(scope: str, users: Iterable[Any]) -> None:
    """Note that these users see the scope (again). Call it in the transaction that grants it."""
    EndedScope.objects.filter(scope=scope, user__in=[getattr(user, "pk", user) for user in users]).delete()


def _epoch_of_now() -> int:
    return max(1, int(time.time() - _BEGAN) // _EPOCH_SECONDS)


def marked_rows(kind: Kind, key: uuid.UUID) -> QuerySet:
    """Return the rows of a type in their home scope that are not numbered."""
    return kind.model._base_manager.filter(**{kind.scope_column: key, "version__isnull": True}).order_by()


def _stale(scope: str, kind: Kind) -> QuerySet[Shown]:
    """Return what is shown in `scope` and has changed at home since it was numbered here, or is not numbered here."""
    shown = Shown.objects.filter(scope=scope, kind=kind.name).order_by()
    other = Q(version__gt=OuterRef("source_version")) | Q(version__lt=OuterRef("source_version"))
    home = kind.model._base_manager.filter(pk=OuterRef("object_id"))
    return shown.filter(Q(version__isnull=True) | Exists(home.filter(other | Q(version__isnull=True))))


def _look(scope: str) -> tuple[Counter, bool] | None:
    """Return where the counter stands, and whether something is marked, by one query; None if nobody read the scope before."""
    _, key = parse_scope(scope)
    marks = [Exists(rows.filter(scope=scope, version__isnull=True)) for rows in (Tombstone.objects, FieldState.objects)]
    marks += [Exists(marked_rows(kind, key)) for kind in kinds_of(scope)]
    marks += [Exists(_stale(scope, kind)) for kind in shown_kinds_of(scope)]
    counters = Scope.objects.filter(name=scope).annotate(
        epoch=Subquery(Epoch.objects.filter(pk=_KEY).values("number")[:1]),
        is_marked=Q(marks[0]) | _any(marks[1:]),
    )
    row = counters.values_list("epoch", "version", "floor", "is_marked").first()
    if row is None or row[0] is None:
        return None
    epoch, version, floor, is_marked = row
    return Counter(epoch, version, floor), bool(is_marked)


def _any(conditions: Iterable[Any]) -> Q:
    found = Q()
    for condition in conditions:
        found |= Q(condition)
    return found


def _number_sources(scope: str) -> None:
    """Number what is shown in `scope` at home first, each home by a transaction of its own."""
    for home, kind, keys in _marked_sources(scope):
        with transaction.atomic():
            _number(home, PIECE, {kind: keys})


def _marked_sources(scope: str) -> list[tuple[str, str, list[Any]]]:
    """Return what is shown in `scope` and marked at home: the home's name, the kind, and the keys; a piece of a kind at most."""
    found: list[tuple[str, str, list[Any]]] = []
    for kind in shown_kinds_of(scope):
        shown = Shown.objects.filter(scope=scope, kind=kind.name).values("object_id")
        marked = kind.model._base_manager.filter(pk__in=shown, version__isnull=True).order_by(kind.scope_column)
        homes: dict[Any, list[Any]] = {}
        for pk, home in marked.values_list("pk", kind.scope_column)[:PIECE]:
            homes.setdefault(home, []).append(pk)
        found += [(scope_name(kind.scope, home), kind.name, keys) for home, keys in homes.items()]
    return found


def _number(scope: str, most: int, only: Mapping[str, Collection[Any]] | None) -> Counter:
    epoch = current_epoch()
    Scope.objects.bulk_create([Scope(name=scope)], ignore_conflicts=True)
    counter = Scope.objects.select_for_update().get(name=scope)
    base = max(counter.version, epoch << EPOCH_BITS)
    # The rows before the tombstones: what was deleted and made again gets its tombstone first.
    rows, is_complete = _pick_rows(scope, most, only)
    shown, all_shown = ([], True) if only else _pick_shown(scope, most)
    states = _held(FieldState.objects.filter(scope=scope, version__isnull=True).order_by())
    # The first number of this piece: above all that anybody has read, and not above that of the row.
    _assign(FieldState, base, list(states.values_list("pk", flat=True)[:most]), step=0)
    unnumbered = Tombstone.objects.filter(scope=scope, version__isnull=True).order_by("pk")
    tombstones = list(unnumbered.values_list("pk", flat=True)[: most + 1])
    if len(tombstones) > most:  # and only then the rows
        tombstones, rows, shown, is_complete = tombstones[:most], [], [], False
    last = _assign(Tombstone, base, tombstones)
    for model, keys in rows:
        last = _assign(model, last, keys)
    last = _assign(Shown, last, [pk for pk, _ in shown], source_versions=[version for _, version in shown])
    if last > base:
        Scope.objects.filter(name=scope).update(version=last)
        counter.version = last
    return Counter(epoch, max(counter.version, 0), counter.floor, is_complete and all_shown)


def _pick_rows(
    scope: str, most: int, only: Mapping[str, Collection[Any]] | None
) -> tuple[list[tuple[type[Model], list[Any]]], bool]:
    _, key = parse_scope(scope)
    picked: list[tuple[type[Model], list[Any]]] = []
    left = most
    for kind in kinds_of(scope):
        rows = marked_rows(kind, key)
        if only is not None:
            if kind.name not in only:
                continue
            rows = rows.filter(pk__in=only[kind.name])
        keys = list(_held(rows).values_list("pk", flat=True)[: left + 1])
        is_complete = len(keys) <= left
        picked.append((kind.model, keys[:left]))
        left -= len(keys[:left])
        if not is_complete:
            return picked, False
    return picked, True


def _pick_shown(scope: str, most: int) -> tuple[list[tuple[int, int]], bool]:
    """Return what is stale in `scope`: its key, and the version that it has at home."""
    picked: list[tuple[int, int]] = []
    for kind in shown_kinds_of(scope):
        held = list(_held(_stale(scope, kind)).values_list("pk", "object_id")[: most + 1])
        home = kind.model._base_manager.filter(pk__in=[key for _, key in held], version__isnull=False)
        versions = dict(home.values_list("pk", "version"))
        picked += [(pk, versions[key]) for pk, key in held[:most] if key in versions]
        if len(held) > most:
            return picked, False
    return picked, True


def _held(rows: QuerySet) -> QuerySet:
    """Lock the rows, but wait for nobody: what another transaction holds is being changed, and marked by that."""
    return rows.select_for_update(of=("self",), skip_locked=True, no_key=True)


def _assign(
    model: type[Model], base: int, keys: Sequence[Any], *, step: int = 1, source_versions: Sequence[int] = ()
) -> int:
    """Give the rows with these keys the numbers after `base`, `step` apart, by one statement; return the last one given."""
    if not keys:
        return base
    numbers = [base + 1 + step * place for place in range(len(keys))]
    columns = {"version": numbers}
    if source_versions:
        columns["source_version"] = list(source_versions)
    table, field = model._meta.db_table, model._meta.pk
    assert field is not None
    parameters: list[Any]
    if connection.vendor == "postgresql":
        types = ", ".join([f"%s::{field.rel_db_type(connection)}[]", *("%s::bigint[]" for _ in columns)])
        given = f"unnest({types}) AS given(id, {', '.join(f'new_{name}' for name in columns)})"
        key, new = "given.id", {name: f"given.new_{name}" for name in columns}
        parameters = [list(keys), *columns.values()]
    else:
        given, key = "json_each(%s) AS given", "json_extract(given.value, '$[0]')"
        new = {name: f"json_extract(given.value, '$[{place}]')" for place, name in enumerate(columns, start=1)}
        plain = [field.get_db_prep_value(value, connection) for value in keys]
        parameters = [json.dumps(list(zip(plain, *columns.values(), strict=True)))]
    assignments = ", ".join(f"{name} = {value}" for name, value in new.items())
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET {assignments} FROM {given} WHERE {table}.{field.column} = {key}",  # noqa: S608
            parameters,
        )
    return numbers[-1]
