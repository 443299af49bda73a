"""The repository on the site's own database: all types that `changes.types` knows, through their verbs."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from changes import reading, scopes
from changes import types as registry
from changes.digest import digest as digest_of
from changes.fields import states_of
from photolala.web.refusals import BadRequest
from sync.protocol.clock import Stamp
from sync.protocol.digest import KindDigest
from sync.protocol.messages import ChangesReply, KindInfo, Row
from sync.protocol.messages.info import FieldInfo
from sync.protocol.resolvers import FieldState
from sync.protocol.values import JsonObject

from .families import held_keys, visible_keys, visible_scopes
from .refusals import StartOver
from .repository import NOT_NUMBERED, Mark, Marks, MutationRefused, Thing, VisibleScope

REFERENCES = frozenset({"missing_ref", "not_found", "missing"})
"""Reasons of verbs that mean: what the mutation refers to is not there, or not yours."""


class OrmRepository:
    """See `SyncRepository`."""

    def __init__(self, user: Any) -> None:
        self._user = user

    def epoch(self) -> int:
        """Return the present epoch."""
        return scopes.current_epoch()

    def kinds(self) -> Sequence[KindInfo]:
        """Return all kinds, parents first."""
        return [_info(kind) for kind in registry.kinds()]

    def scopes(self) -> Sequence[VisibleScope]:
        """Return all scopes that the user may see."""
        return visible_scopes(self._user)

    def lock(self, kind: str, ids: Collection[str]) -> dict[str, Thing]:
        """Return the things, locked; also what is in albums in the trash of the user."""
        rows = self._rows(kind, ids, is_held=True)
        list(rows.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))
        return self._things(kind, rows)

    def read(self, kind: str, ids: Collection[str]) -> dict[str, Thing]:
        """Return the things."""
        return self._things(kind, self._rows(kind, ids))

    def marks(self, kind: str, ids: Collection[str]) -> dict[str, Marks]:
        """Return who wrote which field last."""
        found = states_of(kind, [UUID(id) for id in ids])
        return {str(key): {name: _mark(state) for name, state in states.items()} for key, states in found.items()}

    def create(self, kind: str, id: str, fields: JsonObject) -> None:
        """Make it."""
        with _Verb(kind) as verbs:
            verbs.create(self._user, UUID(id), fields)

    def patch(self, kind: str, id: str, fields: JsonObject) -> None:
        """Change these fields."""
        with _Verb(kind) as verbs:
            verbs.patch(self._user, UUID(id), fields)

    def delete(self, kind: str, id: str) -> None:
        """Delete it."""
        with _Verb(kind) as verbs:
            verbs.delete(self._user, UUID(id))

    def restore(self, kind: str, id: str) -> None:
        """Take it out of the trash."""
        with _Verb(kind) as verbs:
            restore = getattr(verbs, "restore", None)
            if restore is None:
                raise MutationRefused("deleted", "It is in the trash. Bring it back first.")
            restore(self._user, UUID(id))

    def number(self, names: Iterable[str]) -> None:
        """Give numbers to what was changed in these scopes."""
        scopes.number_together(set(names))

    def changes(self, scope: str, cursor: str, kinds: Collection[str], limit: int) -> tuple[ChangesReply, int]:
        """Return a page of changes, and the version up to which whoever asks has all."""
        try:
            page = reading.changes_since(scope, cursor, kinds or None, limit)
        except reading.StartOver:
            raise StartOver(
                "What this cursor builds on is not known any more. Pull the scope from the beginning, beside your copy, and then "
                "put it in the copy's place; keep what waits to be pushed.",
                epoch=self.epoch(),
            ) from None
        except reading.BadCursor as error:
            raise BadRequest(str(error), "bad_cursor") from None
        rows = tuple(
            Row(scope, one.kind, str(one.id), one.version, one.data, one.field_versions) for one in page.changes
        )
        had = rows[0].version - 1 if rows else page.version
        return ChangesReply(scope, rows, page.cursor, page.has_more, cursor), had

    def digest(self, scope: str) -> tuple[int, Mapping[str, KindDigest]]:
        """Return version, and count and sum by kind."""
        found = digest_of(scope)
        return found.version, {name: KindDigest(one.count, one.sum) for name, one in found.types.items()}

    def _rows(self, name: str, ids: Collection[str], *, is_held: bool = False) -> QuerySet[Any]:
        """Return the rows that the user sees; with albums in their trash, and with `is_held` what is in those."""
        kind = registry.kind(name)
        is_scope_itself = kind.scope_column == "id"
        keys = (held_keys if is_held or is_scope_itself else visible_keys)(kind.scope, self._user)
        rows = kind.model._base_manager.filter(**{f"{kind.scope_column}__in": keys})
        if not kind.has_own_key:
            _fill_lookups(kind, rows)
        return rows.filter(**{f"{kind.lookup}__in": {UUID(id) for id in ids}})

    def _things(self, name: str, rows: QuerySet[Any]) -> dict[str, Thing]:
        kind = registry.kind(name)
        found = list(kind.select(rows).order_by("pk"))
        live = set(rows.filter(kind.live).values_list("pk", flat=True)) if kind.live else {row.pk for row in found}
        by_scope: dict[str, list[Any]] = defaultdict(list)
        for row in found:
            by_scope[registry.scope_name(kind.scope, getattr(row, kind.scope_column))].append(row)
        things = {}
        for scope, here in by_scope.items():
            shown = [row for row in here if row.pk in live]
            data = dict(zip((row.pk for row in shown), kind.data(shown, scope) if shown else [], strict=True))
            for row in here:
                key, version = str(kind.key_of(row)), row.version
                things[key] = Thing(name, key, scope, NOT_NUMBERED if version is None else version, data.get(row.pk))
        return things


class _Verb:
    """Gives the verbs of a kind, and turns their refusals into the protocol's."""

    def __init__(self, kind: str) -> None:
        self._kind = registry.kind(kind)

    def __enter__(self) -> Any:
        if self._kind.verbs is None:
            raise MutationRefused("read_only", f"Devices only read things of the type {self._kind.name!r}.")
        return self._kind.verbs

    def __exit__(self, _type: Any, error: BaseException | None, _traceback: Any) -> None:
        if isinstance(error, registry.Refused):
            raise MutationRefused(error.reason, error.detail, is_reference=error.reason in REFERENCES) from error


def _info(kind: registry.Kind) -> KindInfo:
    chosen: Mapping[str, str] = settings.SYNC_RESOLVERS
    fields = tuple(
        FieldInfo(
            field.name,
            chosen.get(f"{kind.name}.{field.name}", field.resolver),
            field.writable and kind.verbs is not None,
        )
        for field in kind.fields
    )
    return KindInfo(kind.name, kind.scope, tuple(kind.parents), fields)


def _mark(state: Any) -> Mark:
    try:
        stamp = Stamp.parse(state.hlc)
    except ValueError:
        stamp = None
    version = NOT_NUMBERED if state.version is None else state.version
    return Mark(FieldState(version, stamp, str(state.device or "")), state.actor, state.device)


def _fill_lookups(kind: registry.Kind, rows: QuerySet[Any]) -> None:
    """Give rows their ids on the wire that have none: a process of an earlier version made them while it was replaced."""
    for pk, *columns in rows.filter(**{kind.lookup: None}).order_by().values_list("pk", *kind.key_columns):
        kind.model._base_manager.filter(pk=pk).update(**{kind.lookup: kind.key(*columns)})
