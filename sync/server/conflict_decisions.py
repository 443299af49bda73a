"""Conflicts that need a person: keep one side, the other, or both."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.models import Device
from operations.database_conflicts import retried_on_conflict
from photolala.web.refusals import Conflict as ConflictRefused
from photolala.web.refusals import NotThere, Unprocessable
from sync.models import Conflict
from sync.protocol.limits import MOST_TEXT
from sync.protocol.messages import KindInfo
from sync.protocol.resolvers import Conflict as Meeting
from sync.protocol.resolvers import Outcome, Side, resolver_named
from sync.protocol.resolvers.merge import copy_id
from sync.protocol.values import JsonValue

from .repository import MutationRefused, SyncRepository, Thing


@dataclass(frozen=True)
class ShownConflict:
    """A conflict as `user` may see it: the other side, and what the thing says now, only while it is shared with them."""

    conflict: Conflict
    is_mine: bool
    """What the device pushed is the user's own."""
    is_theirs_mine: bool
    mine: JsonValue
    theirs: JsonValue
    other_device: str
    current: JsonValue
    is_there: bool
    may_keep_both: bool
    title: str


def shown(repository: SyncRepository, user: Any, conflicts: list[Conflict]) -> list[ShownConflict]:
    """Return conflicts with what their things say now; what is not shared any more is left out."""
    kinds = {kind.name: kind for kind in repository.kinds()}
    things: dict[tuple[str, str], Thing] = {}
    for name in sorted({conflict.kind for conflict in conflicts} & kinds.keys()):
        for id, thing in repository.read(name, {str(one.object_id) for one in conflicts if one.kind == name}).items():
            things[name, id] = thing
    devices = Device.objects.filter(pk__in={one.other_device_id for one in conflicts}, user=user)
    names = dict(devices.values_list("pk", "name"))
    return [_shown(user, one, things.get((one.kind, str(one.object_id))), names) for one in conflicts]


@retried_on_conflict
def decide(repository: SyncRepository, user: Any, conflict_id: UUID, decision: str) -> Conflict:
    """Let `decision` ("mine", "theirs" or "both") count; return the conflict. One transaction.

    Raises NotThere, Conflict if it is decided already, Unprocessable if that cannot be done.
    """
    with transaction.atomic():
        rows = Conflict.objects.visible_to(user).select_for_update(of=("self",))
        conflict = rows.filter(pk=conflict_id).first()
        kind = next((kind for kind in repository.kinds() if conflict and kind.name == conflict.kind), None)
        if conflict is None or kind is None:
            raise NotThere("There is nothing here, or nothing that you may see.")
        if conflict.state != Conflict.State.OPEN:
            raise ConflictRefused("This conflict is decided already; nothing was changed.", "decided")
        thing = repository.lock(kind.name, [str(conflict.object_id)]).get(str(conflict.object_id))
        if thing is None:
            raise NotThere("What it is about is not there any more, or not shared with you.")
        try:
            _carry_out(repository, kind, thing, conflict, decision)
        except MutationRefused as refused:
            raise Unprocessable(f"{refused.detail} Nothing was changed.", "impossible") from refused
        conflict.state, conflict.decision = Conflict.State.DECIDED, decision
        conflict.decided_at, conflict.decided_by = timezone.now(), user
        conflict.save()
    return conflict


def _carry_out(repository: SyncRepository, kind: KindInfo, thing: Thing, conflict: Conflict, decision: str) -> None:
    if thing.data is None:
        repository.restore(kind.name, thing.id)
        thing = repository.read(kind.name, [thing.id])[thing.id]
    current = (thing.data or {}).get(conflict.field)
    if decision == Conflict.Decision.BOTH:
        _keep_both(repository, kind, thing, conflict, current)
        return
    wanted = conflict.mine if decision == Conflict.Decision.MINE else conflict.theirs
    if wanted != current:
        repository.patch(kind.name, thing.id, {conflict.field: wanted})


def _keep_both(
    repository: SyncRepository, kind: KindInfo, thing: Thing, conflict: Conflict, current: JsonValue
) -> None:
    decision = resolver_named("keep_both")(_meeting(conflict, current))
    if decision.outcome is Outcome.MERGE:
        try:
            with transaction.atomic():
                repository.patch(kind.name, thing.id, {conflict.field: decision.value})
                return
        except MutationRefused:  # a text that may not be that long: it becomes a copy
            pass
    if decision.outcome in (Outcome.COPY, Outcome.MERGE):
        key = copy_id(thing.id, str(conflict.pk), 0)
        had = {name: value for name, value in (thing.data or {}).items() if name in kind.writable}
        repository.create(kind.name, key, {**had, conflict.field: conflict.mine})
        conflict.copy_id = UUID(key)
    elif decision.outcome is Outcome.KEEP_LOCAL:
        repository.patch(kind.name, thing.id, {conflict.field: conflict.mine})


def may_keep_both(conflict: Conflict) -> bool:
    """True if the field can hold both sides: a text, or a list of blocks."""
    return all(isinstance(side, str | list) and side for side in (conflict.mine, conflict.theirs))


def _meeting(conflict: Conflict, current: JsonValue) -> Meeting:
    return Meeting(conflict.kind, conflict.field, Side(conflict.mine, None), Side(current, None), MOST_TEXT)


def _shown(user: Any, conflict: Conflict, thing: Thing | None, names: dict[UUID, str]) -> ShownConflict:
    data = dict(thing.data or {}) if thing else {}
    title = next((str(data[name]) for name in ("title", "caption", "name", "content") if data.get(name)), "")
    is_mine, is_theirs_mine, is_there = conflict.user_id == user.pk, conflict.other_id == user.pk, thing is not None
    return ShownConflict(
        conflict=conflict,
        is_mine=is_mine,
        is_theirs_mine=is_theirs_mine,
        mine=conflict.mine if is_mine or is_there else None,
        theirs=conflict.theirs if is_theirs_mine or is_there else None,
        other_device=names.get(conflict.other_device_id or conflict.pk, ""),
        current=data.get(conflict.field),
        is_there=is_there,
        may_keep_both=is_there and may_keep_both(conflict),
        title=title[:120],
    )
