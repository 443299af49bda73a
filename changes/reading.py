"""What changed in a scope since a cursor: rows, and what is gone, in the order of their numbers.

Rows and cursor need no common snapshot of the database: the counter is read first, and a row up to that number can only go
away from there while the page is read (to come back with a higher one), never appear. A row and its number are read by one
statement.
"""

import base64
import binascii
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from zlib import crc32

from django.db.models import BooleanField, Case, Q, QuerySet, Value, When

from changes.fields import states_of
from changes.models import Shown, Tombstone
from changes.scopes import Counter, number
from changes.types import Kind, kinds_of, parse_scope, shown_kinds_of

MOST = 1000


class StartOver(Exception):
    """The cursor is of before what is still known here (or of another epoch): read the scope from zero, and replace the copy."""


class BadCursor(ValueError):
    """The cursor is none that was given for this scope and these types."""


@dataclass(frozen=True)
class Change:
    """The state of one thing: its data, or that it is gone."""

    kind: str
    id: uuid.UUID
    version: int
    data: dict[str, Any] | None
    field_versions: dict[str, int] = field(default_factory=dict)

    @property
    def deleted(self) -> bool:
        """True if it is gone, or in the trash."""
        return self.data is None

    def as_json(self) -> dict[str, Any]:
        """Return it as it goes over the wire: versions as texts, for they exceed JavaScript's safe integers."""
        return {
            "type": self.kind,
            "id": str(self.id),
            "version": str(self.version),
            "deleted": self.deleted,
            "data": self.data,
            "fieldVersions": {name: str(version) for name, version in self.field_versions.items()},
        }


@dataclass(frozen=True)
class Page:
    """A page of changes; `cursor` is for the next one, and `version` what the scope's counter said."""

    changes: list[Change]
    cursor: str
    has_more: bool
    version: int


@dataclass(frozen=True)
class _Cursor:
    epoch: int
    version: int
    since: int
    """What the counter said when this copy was begun from zero: what was deleted before needs no telling."""


def changes_since(scope: str, cursor: str = "", kinds: Collection[str] | None = None, limit: int = MOST) -> Page:
    """Return what changed in `scope` since `cursor` (from zero if empty): at most `limit` changes, 1,000 at most.

    Only of the types `kinds`, if given; a cursor is good for the scope and the types that it was given for. Who may see the
    scope is the caller's to check. Raises StartOver, BadCursor, and ValueError for a scope, type or limit that cannot be.
    """
    if not 1 <= limit <= MOST:
        raise ValueError(f"A page holds 1 to {MOST} changes.")
    home, shown = kinds_of(scope), shown_kinds_of(scope)
    if kinds is not None:
        if unknown := set(kinds) - {kind.name for kind in (*home, *shown)}:
            raise ValueError(f"There is no type {', '.join(sorted(unknown))} in this scope.")
        home = [kind for kind in home if kind.name in kinds]
        shown = [kind for kind in shown if kind.name in kinds]
    seal = crc32(f"{scope} {sorted(kinds) if kinds is not None else ''}".encode())
    known = _read(cursor, seal)
    counter = number(scope)
    known = _checked(known, counter)
    if known.version == counter.version:
        return Page([], _write(known, seal), not counter.is_complete, counter.version)
    between = Q(version__gt=known.version, version__lte=counter.version)
    found: list[tuple[int, str, Any]] = []
    found += _gone(scope, [kind.name for kind in (*home, *shown)], known, counter, limit + 1)
    for kind in home:
        rows = _of(kind, home_rows(scope, kind).filter(between)).order_by("version")[: limit + 1]
        found += [(row.version, kind.name, row) for row in rows]
    for kind in shown:
        found += _shown(scope, kind, between, limit + 1)
    found.sort(key=lambda one: one[0])
    page, is_cut = found[:limit], len(found) > limit
    reached = page[-1][0] if is_cut else counter.version
    changes = _changes(scope, page)
    return Page(
        changes, _write(replace(known, version=reached), seal), is_cut or not counter.is_complete, counter.version
    )


def things(scope: str, kind: Kind, ids: Iterable[uuid.UUID]) -> list[Change]:
    """Return the things of a type with these primary keys as they are now in their home scope; those that are gone are left out.

    One that was changed since somebody numbered has version 0: number first.
    """
    rows = _of(kind, home_rows(scope, kind).filter(pk__in=list(ids)))
    return _changes(scope, [(row.version or 0, kind.name, row) for row in rows])


def home_rows(scope: str, kind: Kind) -> QuerySet:
    """Return the rows of a type in their home scope."""
    return kind.model._base_manager.filter(**{kind.scope_column: parse_scope(scope)[1]})


def _of(kind: Kind, rows: QuerySet) -> QuerySet:
    is_live: Any = Case(When(kind.live, then=True), default=False) if kind.live else Value(True)
    is_live.output_field = BooleanField()
    return kind.select(rows).annotate(is_live_for_devices=is_live)


def _gone(scope: str, names: list[str], known: _Cursor, counter: Counter, most: int) -> list[tuple[int, str, Any]]:
    tombstones = Tombstone.objects.filter(scope=scope, kind__in=names)
    tombstones = tombstones.filter(version__gt=max(known.version, known.since), version__lte=counter.version)
    found = tombstones.order_by("version").values_list("version", "kind", "object_id")[:most]
    return [(version or 0, kind, key) for version, kind, key in found]


def _shown(scope: str, kind: Kind, between: Q, most: int) -> list[tuple[int, str, Any]]:
    versions = Shown.objects.filter(between, scope=scope, kind=kind.name).order_by("version")
    by_key = dict(versions.values_list("object_id", "version")[:most])
    rows = _of(kind, kind.model._base_manager.filter(pk__in=by_key)).order_by()
    return [(by_key[row.pk] or 0, kind.name, row) for row in rows]


def _changes(scope: str, page: list[tuple[int, str, Any]]) -> list[Change]:
    """Serialise a page: each type's rows at once."""
    live: dict[str, list[Any]] = {}
    for _, name, row in page:
        if not isinstance(row, uuid.UUID) and row.is_live_for_devices:
            live.setdefault(name, []).append(row)
    of_scope = {kind.name: kind for kind in (*kinds_of(scope), *shown_kinds_of(scope))}
    data: dict[tuple[str, Any], dict[str, Any]] = {}
    fields: dict[tuple[str, uuid.UUID], dict[str, int]] = {}
    for name, rows in live.items():
        kind = of_scope[name]
        for row, body in zip(rows, kind.data(rows, scope), strict=True):
            data[name, row.pk] = body
        if kind.scope == scope.partition(":")[0]:
            for key, states in states_of(name, [kind.key_of(row) for row in rows]).items():
                fields[name, key] = {said: state.version for said, state in states.items() if state.version is not None}
    changes = []
    for version, name, row in page:
        if isinstance(row, uuid.UUID):
            changes.append(Change(name, row, version, None))
            continue
        key = of_scope[name].key_of(row)
        changes.append(Change(name, key, version, data.get((name, row.pk)), fields.get((name, key), {})))
    return changes


def _checked(known: _Cursor | None, counter: Counter) -> _Cursor:
    if known is None:
        return _Cursor(counter.epoch, 0, counter.version)
    is_too_old = max(known.version, known.since) < counter.floor
    if known.epoch != counter.epoch or is_too_old or known.version > counter.version:
        raise StartOver
    return known


def _write(cursor: _Cursor, seal: int) -> str:
    text = f"{cursor.epoch}.{cursor.version}.{cursor.since}.{seal}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(text: str, seal: int) -> _Cursor | None:
    if not text:
        return None
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
        epoch, version, since, its_seal = (
            int(part) for part in plain.split(".") if part.isdecimal() and len(part) < 20
        )
    except (ValueError, binascii.Error):
        raise BadCursor("This is no cursor. Start from zero.") from None
    if its_seal != seal:
        raise BadCursor("This cursor is of another scope, or of other types. Start from zero.")
    return _Cursor(epoch, version, since)
