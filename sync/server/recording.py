"""Write down where two sides met in one field, so that no text is lost and a person can decide or look it up."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from accounts.models import Device
from sync.models import Conflict
from sync.protocol.clock import Stamp
from sync.protocol.messages import KindInfo, Mutation
from sync.protocol.resolvers import Conflict as Meeting
from sync.protocol.resolvers import Decision, Merged, Outcome, Resolver, resolver_named
from sync.protocol.values import JsonValue

from .repository import Marks, Thing

_DECIDED = {
    Outcome.KEEP_LOCAL: Conflict.Decision.MINE,
    Outcome.KEEP_REMOTE: Conflict.Decision.THEIRS,
    Outcome.COPY: Conflict.Decision.BOTH,
}
_EARLIEST_MS, _LATEST_MS = 0, 253_402_300_799_000


class Recorder:
    """What the mutations of one batch met."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.found: list[Conflict] = []

    def meeting(self, item: Mutation, kind: KindInfo, thing: Thing, marks: Marks) -> "Recording":
        """Return what listens while a mutation is merged with a thing."""
        return Recording(self._device, self.found, item, kind, thing, marks)


@dataclass
class Recording:
    """One mutation's merge; `resolver_of` hands out resolvers and hears what they decide."""

    device: Device
    found: list[Conflict]
    item: Mutation
    kind: KindInfo
    thing: Thing
    marks: Marks
    heard: list[tuple[Meeting, Decision]] = field(default_factory=list)

    def resolver_of(self, name: str) -> Resolver:
        """Return the resolver of a field."""
        resolve = resolver_named(self._name_of(name))

        def listening(meeting: Meeting) -> Decision:
            decision = resolve(meeting)
            self.heard.append((meeting, decision))
            return decision

        return listening

    def record(self, merged: Merged, copy: str) -> None:
        """Add what a person has to decide, and what somebody wrote that does not count any more."""
        for meeting, decision in self.heard:
            if decision.outcome is Outcome.MANUAL:
                self._add(meeting)
            elif decision.outcome is Outcome.COPY:
                self._add(meeting, decision.outcome, copy)
            elif _is_lost(meeting, decision):
                self._add(meeting, decision.outcome)

    def _add(self, meeting: Meeting, outcome: Outcome | None = None, copy: str = "") -> None:
        mark = self.marks.get(meeting.field)
        now = datetime.now(UTC)
        self.found.append(
            Conflict(
                user_id=self.device.user_id,
                other_id=mark.user_id if mark else None,
                kind=self.kind.name,
                object_id=self.thing.id,
                scope=self.thing.scope,
                field=meeting.field,
                resolver=self._name_of(meeting.field),
                mine=meeting.local.value,
                theirs=meeting.remote.value,
                device=self.device,
                device_name=self.device.name,
                other_device_id=mark.device_id if mark else None,
                mine_at=_moment(meeting.local.stamp),
                theirs_at=_moment(meeting.remote.stamp),
                made_at=now,
                state=Conflict.State.DECIDED if outcome else Conflict.State.OPEN,
                decision=_DECIDED[outcome] if outcome else "",
                decided_at=now if outcome else None,
                copy_id=copy or None,
            )
        )

    def _name_of(self, field_name: str) -> str:
        return next((one.resolver for one in self.kind.fields if one.name == field_name), "last_writer")


def _is_lost(meeting: Meeting, decision: Decision) -> bool:
    """True if somebody wrote something that the thing does not hold any more."""
    if decision.outcome not in _DECIDED:
        return False
    mine, theirs = meeting.local.value, meeting.remote.value
    lost, kept = (theirs, mine) if decision.outcome is Outcome.KEEP_LOCAL else (mine, theirs)
    return _is_written(lost) and not (isinstance(lost, str) and isinstance(kept, str) and lost in kept)


def _is_written(value: JsonValue) -> bool:
    return isinstance(value, str | list | dict) and bool(value)


def _moment(stamp: Stamp | None) -> Any:
    if stamp is None or not _EARLIEST_MS < stamp.ms < _LATEST_MS:
        return None
    return datetime.fromtimestamp(stamp.ms / 1000, UTC)
