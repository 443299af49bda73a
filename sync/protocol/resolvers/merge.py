"""Three-way merge: fields that only one side changed are that side's; the others go to their resolvers."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..clock import Stamp
from ..limits import MOST_TEXT
from ..messages.results import Status
from ..values import JsonObject, JsonValue
from .conflict import Conflict, Outcome, Resolver, Side


@dataclass(frozen=True)
class FieldState:
    """Who last changed a field: the version that the change got, its stamp, and the device ("" for the server's own merges)."""

    version: int
    stamp: Stamp | None = None
    device: str = ""


@dataclass(frozen=True)
class Seen:
    """What the author of an edit had seen: the thing at `version`, and the device's own edits up to `own_version`.

    `own_version` is what the row had after the edit that the base names by its mid. What others did between the two was not
    seen, although it is older than `own_version`. What a merge made of the device's edit was not seen either.
    """

    version: int
    device: str
    own_version: int = 0

    def covers(self, state: FieldState) -> bool:
        """Say whether a change was seen."""
        is_own = bool(self.device) and state.device == self.device
        return state.version <= (max(self.version, self.own_version) if is_own else self.version)


@dataclass(frozen=True)
class Edit:
    """The fields that a device sent, what it had seen, and when it wrote them (clamped to the server's time)."""

    kind: str
    fields: JsonObject
    seen: Seen
    stamp: Stamp


@dataclass(frozen=True)
class Merged:
    """What is to be done. Fields in `own` were written as sent: their state gets the device and the stamp of the edit.

    Other fields in `write` have both sides' values: their state gets no device, because nobody has seen them yet.
    """

    status: Status
    write: Mapping[str, JsonValue] = field(default_factory=dict)
    own: frozenset[str] = frozenset()
    copy: Mapping[str, JsonValue] = field(default_factory=dict)
    """Fields of the copy that is to be made, beside what the thing has; empty: no copy."""
    manual: tuple[Conflict, ...] = ()
    """What a person has to decide."""
    overruled: tuple[Conflict, ...] = ()
    """Local values that were not taken, because the remote ones are newer."""


def merge(
    edit: Edit,
    current: JsonObject,
    states: Mapping[str, FieldState],
    resolver_of: Callable[[str], Resolver],
    *,
    most_text: int = MOST_TEXT,
) -> Merged:
    """Return what an edit makes of a thing whose fields are `current`. `resolver_of` gives the resolver of a field.

    A field without a state was changed by no person: the edit is applied.
    """
    write: dict[str, JsonValue] = {}
    own: set[str] = set()
    copy: dict[str, JsonValue] = {}
    manual: list[Conflict] = []
    overruled: list[Conflict] = []
    met_others = False
    for name, value in edit.fields.items():
        if name in current and current[name] == value:
            continue
        state = states.get(name)
        if state is None or edit.seen.covers(state):
            write[name] = value
            own.add(name)
            continue
        local, remote = Side(value, edit.stamp), Side(current.get(name), state.stamp)
        conflict = Conflict(edit.kind, name, local, remote, most_text)
        decision = resolver_of(name)(conflict)
        if decision.outcome is Outcome.KEEP_LOCAL:
            write[name] = value
            own.add(name)
            continue
        met_others = True
        if decision.outcome is Outcome.MERGE:
            write[name] = decision.value
        elif decision.outcome is Outcome.COPY:
            copy[name] = value
        elif decision.outcome is Outcome.MANUAL:
            manual.append(conflict)
        else:
            overruled.append(conflict)
    return Merged(_status(write, copy, met_others), write, frozenset(own), copy, tuple(manual), tuple(overruled))


def _status(write: JsonObject, copy: JsonObject, met_others: bool) -> Status:
    if copy:
        return Status.FORKED
    if met_others:
        return Status.MERGED
    return Status.APPLIED if write else Status.NOOP


def copy_id(id: str, device: str, mid: int) -> str:
    """Return the id of the copy that mutation `mid` of `device` makes of a thing: the same, however often it is asked for."""
    return str(uuid.uuid5(uuid.UUID(id), f"copy:{device}:{mid}"))
