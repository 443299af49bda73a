"""The registry of synced types: which rows devices see, in which scope, by which keys of their JSON, and who may write them.

It knows no model; apps register theirs when Django is ready.
"""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.db.models import Model, Q, QuerySet

SCOPES = ("library", "album", "user")


class Refused(Exception):
    """A verb does not do what a device asked for: `reason` is a word for programs, `detail` a sentence for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class Verbs(Protocol):
    """What devices may do with a type. Each checks the user's rights, calls the one verb of its wish, and raises Refused."""

    def create(self, user: Any, id: uuid.UUID, fields: Mapping[str, Any]) -> None:
        """Make the thing with this id."""

    def patch(self, user: Any, id: uuid.UUID, fields: Mapping[str, Any]) -> None:
        """Change these fields of it."""

    def delete(self, user: Any, id: uuid.UUID) -> None:
        """Delete it, as a person does: into the trash where there is one."""


@dataclass(frozen=True)
class Field:
    """A key of the type's JSON, and how two changes of it are reconciled."""

    name: str
    resolver: str = "last_writer"
    writable: bool = True


def _own_key(key: uuid.UUID) -> uuid.UUID:
    return key


def _as_it_is(rows: QuerySet) -> QuerySet:
    return rows


@dataclass(frozen=True)
class Kind:
    """A synced type.

    - `scope`, `scope_column`: the family of its home scope, and the column (attname) that holds the scope's UUID.
    - `data(rows, scope)` returns the JSON of a page of rows, in their order, without a query for each row.
    - `marks`: names of the model's fields that `data` depends on; who changes one of them marks the row as changed.
    - `parents`: types that a device applies before this one.
    - `live`: the rows that are there for devices; the others (in the trash) are told as deleted until they are back.
    - `select(queryset)`: which columns and relations `data` needs.
    - `key(*values of key_columns)`: the id on the wire. Types whose id is their primary key need no other; others name
      in `lookup` the indexed column that holds it.
    - `shown_in`: families of scopes in which `changes.shown` may show it besides its home.
    """

    name: str
    model: type[Model]
    scope: str
    scope_column: str
    fields: tuple[Field, ...]
    parents: tuple[str, ...]
    data: Callable[[Sequence[Any], str], list[dict[str, Any]]]
    marks: frozenset[str]
    verbs: Verbs | None = None
    live: Q = field(default_factory=Q)
    select: Callable[[QuerySet], QuerySet] = _as_it_is
    key_columns: tuple[str, ...] = ("pk",)
    key: Callable[..., uuid.UUID] = _own_key
    lookup: str = "pk"
    shown_in: frozenset[str] = frozenset()

    @property
    def has_own_key(self) -> bool:
        """True if its id on the wire is its primary key."""
        return self.key_columns == ("pk",)

    def key_of(self, row: Any) -> uuid.UUID:
        """Return the id of a row on the wire."""
        return self.key(*(getattr(row, column) for column in self.key_columns))


_kinds: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    """Add a type. ValueError if its name is taken by another, or it says something that cannot be."""
    if _kinds.get(kind.name, kind).model is not kind.model:
        raise ValueError(f"The type {kind.name} is registered twice.")
    if {kind.scope, *kind.shown_in} - set(SCOPES) or kind.scope in kind.shown_in:
        raise ValueError(f"The type {kind.name} names a scope that there is not, or its own as a further one.")
    if kind.shown_in and not kind.has_own_key:
        raise ValueError(f"The type {kind.name} can be shown elsewhere only by its primary key.")
    if not kind.has_own_key and kind.lookup == "pk":
        raise ValueError(f"The type {kind.name} has ids of its own, and no column to find them by.")
    for name in kind.marks:
        kind.model._meta.get_field(name)
    _kinds[kind.name] = kind
    return kind


def kinds() -> list[Kind]:
    """Return all types, parents before children."""
    done: dict[str, Kind] = {}

    def add(kind: Kind) -> None:
        if kind.name not in done:
            for name in kind.parents:
                if name in _kinds:
                    add(_kinds[name])
            done[kind.name] = kind

    for kind in _kinds.values():
        add(kind)
    return list(done.values())


def kind(name: str) -> Kind:
    """Return the type of that name. KeyError if there is none."""
    return _kinds[name]


def kinds_of(scope: str) -> list[Kind]:
    """Return the types whose home is this scope (by its name, or its family's), parents before children."""
    family = scope.partition(":")[0]
    return [kind for kind in kinds() if kind.scope == family]


def shown_kinds_of(scope: str) -> list[Kind]:
    """Return the types that can be shown in this scope besides their home."""
    family = scope.partition(":")[0]
    return [kind for kind in kinds() if family in kind.shown_in]


def kinds_of_model(model: type[Model]) -> list[Kind]:
    """Return the types that are stored in this model."""
    return [kind for kind in _kinds.values() if kind.model is model]


def marks_row(model: type[Model], names: Collection[str]) -> bool:
    """True if a change of these fields (names or attnames) is one that devices see; of a model without a type: of any."""
    wanted = {model._meta.pk.name if name == "pk" else model._meta.get_field(name).name for name in names}  # type: ignore[union-attr]
    wanted.discard("version")
    theirs = kinds_of_model(model)
    return bool(wanted) if not theirs else any(kind.marks & wanted for kind in theirs)


def scope_name(family: str, key: uuid.UUID) -> str:
    """Return the name of a scope, e.g. `library:<uuid>`. ValueError for a family that there is not."""
    if family not in SCOPES:
        raise ValueError(f"{family!r} is no kind of scope.")
    return f"{family}:{key}"


def parse_scope(scope: str) -> tuple[str, uuid.UUID]:
    """Return family and UUID of a scope's name. ValueError if it is none."""
    family, _, text = scope.partition(":")
    key = uuid.UUID(text)
    if family not in SCOPES or str(key) != text:
        raise ValueError(f"{scope!r} is no name of a scope.")
    return family, key
