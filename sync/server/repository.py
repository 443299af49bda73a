"""Where the protocol's server reads and writes: the interface; `orm.py` is the implementation on the site's own database."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sync.protocol.digest import KindDigest
from sync.protocol.messages import ChangesReply, KindInfo, Row
from sync.protocol.resolvers import FieldState
from sync.protocol.values import JsonObject

NOT_NUMBERED = 2**63 - 1
"""Stands for the number of a change that has none yet: nobody can have seen it."""


class MutationRefused(Exception):
    """One mutation cannot be applied; the others can. `is_reference`: something that it refers to is not there."""

    def __init__(self, reason: str, detail: str, *, is_reference: bool = False) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.is_reference = reason, detail, is_reference


@dataclass(frozen=True)
class Thing:
    """A thing in its home scope. `version` may be NOT_NUMBERED; `data` is None in the trash."""

    kind: str
    id: str
    scope: str
    version: int
    data: JsonObject | None


@dataclass(frozen=True)
class Mark:
    """Who wrote a field last: what a merge needs of it, and the user and device for people to read."""

    state: FieldState
    user_id: Any = None
    device_id: Any = None


@dataclass(frozen=True)
class VisibleScope:
    """A scope that a person may see, and what they may do in it: "owner", "editor" or "viewer"."""

    name: str
    role: str


Marks = Mapping[str, Mark]
"""By field."""


class SyncRepository(Protocol):
    """All that the server of the protocol does with things, their versions and their scopes, in the name of one user."""

    def epoch(self) -> int:
        """Return the present epoch."""

    def kinds(self) -> Sequence[KindInfo]:
        """Return all kinds, parents first, with the resolvers that the settings choose."""

    def scopes(self) -> Sequence[VisibleScope]:
        """Return all scopes that the user may see."""

    def lock(self, kind: str, ids: Collection[str]) -> dict[str, Thing]:
        """Return those that the user may see, the ones in the trash too, locked until the transaction ends."""

    def read(self, kind: str, ids: Collection[str]) -> dict[str, Thing]:
        """Return those that the user may see, without locking."""

    def marks(self, kind: str, ids: Collection[str]) -> dict[str, Marks]:
        """Return who wrote which field last, by id."""

    def create(self, kind: str, id: str, fields: JsonObject) -> None:
        """Make it. Raises MutationRefused."""

    def patch(self, kind: str, id: str, fields: JsonObject) -> None:
        """Change these fields. Raises MutationRefused."""

    def delete(self, kind: str, id: str) -> None:
        """Delete it: into the trash, where there is one. Raises MutationRefused."""

    def restore(self, kind: str, id: str) -> None:
        """Take it out of the trash. Raises MutationRefused."""

    def number(self, scopes: Iterable[str]) -> None:
        """Give numbers to what was changed in these scopes, with the counters locked in one order for all."""

    def changes(self, scope: str, cursor: str, kinds: Collection[str], limit: int) -> tuple[ChangesReply, int]:
        """Return a page of changes, and the version up to which whoever asks has all before it.

        Raises StartOver for a cursor that is too old, BadRequest for one that is none.
        """

    def digest(self, scope: str) -> tuple[int, Mapping[str, KindDigest]]:
        """Return the version of the scope, and count and sum of all that is in it, by kind."""


def row_of(thing: Thing, marks: Marks) -> Row:
    """Return what is sent of a thing."""
    versions = {name: mark.state.version for name, mark in marks.items() if mark.state.version != NOT_NUMBERED}
    return Row(thing.scope, thing.kind, thing.id, thing.version, thing.data, versions)
