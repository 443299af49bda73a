"""Hints: at which versions the scopes of a person are, so that devices know where to pull."""

import hashlib
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from changes import types as registry
from changes.models import FieldState, Scope, Shown, Tombstone
from changes.scopes import number, parse_scope, scope_name
from sync.protocol.messages import ScopeInfo

from .families import ended_scopes, families, visible_scopes

LOOK_EVERY_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 25


@dataclass(frozen=True)
class Hints:
    """Where all scopes of a person stand. `cursor` differs whenever anything of it does."""

    scopes: Sequence[ScopeInfo]
    ended: Sequence[str]

    @property
    def cursor(self) -> str:
        """A short text for the next question."""
        said = [*(f"{scope.scope}={scope.version}" for scope in self.scopes), *self.ended]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()[:32]


def hints_for(user: Any) -> Hints:
    """Return where the scopes of `user` stand."""
    visible = visible_scopes(user)
    versions = versions_of([scope.name for scope in visible])
    scopes = [ScopeInfo(scope.name, versions.get(scope.name, 0), scope.role) for scope in visible]
    return Hints(scopes, [name for name, _ in ended_scopes(user, visible)])


def wait_for_change(user: Any, after: str, seconds: float) -> Hints | None:
    """Return the hints as soon as they are others than those of the cursor `after`; None if `seconds` pass without."""
    end = time.monotonic() + seconds
    while True:
        hints = hints_for(user)
        if hints.cursor != after:
            return hints
        left = end - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(LOOK_EVERY_SECONDS, left))


def versions_of(names: Collection[str]) -> dict[str, int]:
    """Return the versions of these scopes; what was changed in them is numbered first.

    A handful of queries, however many scopes there are, and a transaction for each in which something changed.
    """
    versions = dict(Scope.objects.filter(name__in=names).values_list("name", "version"))
    for name in sorted(_marked(names) | (set(names) - versions.keys())):
        versions[name] = number(name).version
    return versions


def _marked(names: Collection[str]) -> set[str]:
    """Return in which of these scopes something is not numbered yet."""
    keys: dict[str, list[UUID]] = {}
    for name in names:
        family, key = parse_scope(name)
        keys.setdefault(family, []).append(key)
    found: set[str] = set()
    for family in keys.keys() & set(families()):
        homes = [_homes(kind, keys[family]) for kind in registry.kinds_of(family)]
        found |= {scope_name(family, key) for (key,) in _all_of(homes)}
    notes: list[QuerySet[Any]] = [
        rows.filter(scope__in=names, version__isnull=True).order_by().values_list("scope").distinct()
        for rows in (Tombstone.objects, FieldState.objects)
    ]
    return found | {scope for (scope,) in _all_of([*notes, *_stale(names)])}


def _homes(kind: registry.Kind, keys: Any) -> QuerySet[Any]:
    rows = kind.model._base_manager.filter(**{f"{kind.scope_column}__in": keys, "version__isnull": True})
    return rows.order_by().values_list(kind.scope_column).distinct()


def _stale(names: Collection[str]) -> Iterable[QuerySet[Any]]:
    """Give the scopes in which something is shown that has changed at home."""
    for kind in registry.kinds():
        if kind.shown_in:
            home = kind.model._base_manager.filter(pk=OuterRef("object_id"))
            is_other = Q(version__isnull=True) | ~Q(version=OuterRef("source_version"))
            shown = Shown.objects.filter(scope__in=names, kind=kind.name).order_by()
            yield shown.filter(Q(version__isnull=True) | Exists(home.filter(is_other))).values_list("scope").distinct()


def _all_of(queries: Sequence[QuerySet[Any]]) -> Iterable[tuple[Any, ...]]:
    if not queries:
        return []
    return queries[0].union(*queries[1:]) if len(queries) > 1 else queries[0]
