"""Apply the mutations of one batch, one by one, each in a savepoint of its own: one that fails leaves the others alone."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import DataError, IntegrityError, transaction

from accounts.models import Device
from changes.origin import acting
from photolala.web.refusals import Problem
from sync.models import Conflict, PushedMutation
from sync.protocol.clock import Stamp
from sync.protocol.messages import KindInfo, Mutation, MutationResult, Op, Status, Unreadable
from sync.protocol.messages.results import GONE
from sync.protocol.resolvers import Edit, Merged, Seen, deletion_applies, merge
from sync.protocol.resolvers.merge import copy_id
from sync.protocol.values import JsonObject, JsonValue

from .recording import Recorder
from .repository import NOT_NUMBERED, Marks, MutationRefused, SyncRepository, Thing

logger = logging.getLogger(__name__)
_UNSTORABLE = (
    *(ArithmeticError, LookupError, TypeError, ValueError),
    *(DataError, IntegrityError, ObjectDoesNotExist, ValidationError),
)
STRICT = "matching_base"
"""The resolver of kinds whose things go only if nothing about them has changed."""

NOT_BACK = frozenset({"id_taken", "read_only"})
"""Reasons of verbs that say of a thing which was to be brought back that it is another's by now, or comes only as a file."""


@dataclass(frozen=True)
class Chain:
    """What a mutation builds on: the thing that it is meant for by now, and what its author had seen."""

    target: str
    seen: Seen


class Applying:
    """One batch. Lock and read all that it names first: what a mutation changes is read anew for the next."""

    def __init__(
        self, repository: SyncRepository, device: Device, items: Sequence[Mutation | Unreadable], now_ms: int
    ) -> None:
        self._repository = repository
        self._device = device
        self._now_ms = now_ms
        self._kinds = {kind.name: kind for kind in repository.kinds()}
        self._earlier: dict[int, PushedMutation] = {}
        self._own = {item.mid for item in items}
        self._things: dict[tuple[str, str], Thing | None] = {}
        self._marks: dict[tuple[str, str], Marks] = {}
        self.recorder = Recorder(device)
        mutations = [item for item in items if isinstance(item, Mutation) and item.type in self._kinds]
        self._load((item.type, item.id) for item in mutations)
        self._remember_bases(mutations)

    @property
    def conflicts(self) -> list[Conflict]:
        """What was found in conflict, not saved yet."""
        return self.recorder.found

    def apply(self, item: Mutation | Unreadable) -> PushedMutation:
        """Apply it; return the row that says what became of it, not saved yet."""
        chain = Chain("", Seen(0, str(self._device.pk)))
        if isinstance(item, Unreadable):
            result = MutationResult(item.mid, Status.REJECTED, reason="malformed", detail=item.sentence)
            row = self._row(item.mid, item.digest, "", chain, result)
        else:
            chain = replace(chain, target=item.id)
            count = len(self.recorder.found)
            try:
                with transaction.atomic():
                    chain = self._chain(item)
                    result = self._apply(item, chain)
            except MutationRefused as refused:
                del self.recorder.found[count:]
                self._things.clear()
                status = Status.MISSING_REF if refused.is_reference else Status.REJECTED
                result = MutationResult(item.mid, status, reason=refused.reason, detail=refused.detail)
            row = self._row(item.mid, item.digest, item.type, chain, result)
        self._earlier[item.mid] = row
        return row

    def _row(self, mid: int, digest: str, kind: str, chain: Chain, result: MutationResult) -> PushedMutation:
        return PushedMutation(
            device=self._device,
            mid=mid,
            digest=digest,
            kind=kind[:40],
            target=result.target or chain.target or None,
            root=chain.seen.version,
            result=result.to_wire(),
        )

    # -- what it builds on --------------------------------------------------------------------------------------------

    def _remember_bases(self, mutations: Iterable[Mutation]) -> None:
        wanted = {item.base.mid for item in mutations if item.base and item.base.mid} - self._own
        for row in PushedMutation.objects.filter(device=self._device, mid__in=wanted) if wanted else ():
            self._earlier[row.mid] = row

    def _chain(self, item: Mutation) -> Chain:
        device = str(self._device.pk)
        if item.base is None:
            return Chain(item.id, Seen(0, device))
        if item.base.mid is None:
            return Chain(item.id, Seen(item.base.version or 0, device))
        before = self._earlier.get(item.base.mid)
        if before is None:  # pushed in another life of this device, or so long ago that it is forgotten
            return Chain(item.id, Seen(item.base.version or 0, device))
        if before.kind != item.type:
            raise MutationRefused(
                "bad_base", f"Mutation {before.mid}, which this one names as its base, is about something else."
            )
        # In this batch nothing is numbered yet, and nobody else comes between: the row is locked.
        own = NOT_NUMBERED if before.pk is None else int(before.result.get("version", 0))
        if before.result["status"] == Status.FORKED:
            return Chain(str(before.target), Seen(0, device, own))
        root = before.root if item.base.version is None else item.base.version
        return Chain(str(before.target), Seen(root, device, own))

    # -- the three operations -----------------------------------------------------------------------------------------

    def _apply(self, item: Mutation, chain: Chain) -> MutationResult:
        kind = self._kinds.get(item.type)
        if kind is None:
            raise MutationRefused("unknown_type", f"This server knows no things of the type {item.type!r}.")
        if not kind.writable:
            raise MutationRefused(
                "read_only", f"Devices only read things of the type {item.type!r}; nothing was changed."
            )
        _check_fields(kind, item.fields)
        with acting(
            user=self._device.user_id,
            device=self._device.pk,
            hlc=str(item.hlc.clamped(self._now_ms)),
            mid=item.mid,
        ):
            thing = self._thing(kind.name, chain.target)
            if item.op is Op.DELETE:
                return self._delete(item, kind, chain, thing)
            if thing is None:
                return self._create(item, kind, chain)
            return self._patch(item, kind, chain, thing)

    def _create(self, item: Mutation, kind: KindInfo, chain: Chain) -> MutationResult:
        if (
            item.op is not Op.CREATE
        ):  # what never was, was deleted for good, or is somebody else's is told apart for nobody
            raise MutationRefused(
                GONE, "There is no such thing (any more). Send it whole, as a create, and it comes back."
            )
        try:
            self._write(lambda: self._repository.create(kind.name, chain.target, item.fields))
        except MutationRefused as refused:
            if item.base is None or refused.reason not in NOT_BACK:
                raise
            raise MutationRefused(
                GONE,
                "It was deleted, or is not shared with you any more. Nothing was changed; the device keeps your edit.",
            ) from refused
        self._forget(kind.name, chain.target)
        return MutationResult(item.mid, Status.APPLIED)

    def _patch(self, item: Mutation, kind: KindInfo, chain: Chain, thing: Thing) -> MutationResult:
        was_deleted = thing.data is None
        if was_deleted:
            self._write(lambda: self._repository.restore(kind.name, thing.id))
            self._forget(kind.name, thing.id)
            self._forget_children(kind)
            thing = self._thing(kind.name, thing.id) or thing
        marks = self._marks_of(kind.name, thing.id)
        states = {name: mark.state for name, mark in marks.items()}
        edit = Edit(kind.name, item.fields, chain.seen, item.hlc.clamped(self._now_ms))
        meeting = self.recorder.meeting(item, kind, thing, marks)
        merged = merge(edit, thing.data or {}, states, meeting.resolver_of)
        self._write_merged(item, kind, thing, merged)
        copy = self._copy(item, kind, thing, merged)
        meeting.record(merged, copy)
        status = Status.EDIT_WINS if was_deleted and merged.status in (Status.APPLIED, Status.NOOP) else merged.status
        waits = tuple(conflict.field for conflict in merged.manual)
        return MutationResult(item.mid, status, target=copy or None, conflicts=waits)

    def _write_merged(self, item: Mutation, kind: KindInfo, thing: Thing, merged: Merged) -> None:
        own = {name: value for name, value in merged.write.items() if name in merged.own}
        joined = {name: value for name, value in merged.write.items() if name not in merged.own}
        if own:
            self._write(lambda: self._repository.patch(kind.name, thing.id, own))
        if joined:  # nobody has seen these values yet, so no device's edits count as having seen them
            with acting(user=self._device.user_id, hlc=str(Stamp(self._now_ms, 0, "server"))):
                self._write(lambda: self._repository.patch(kind.name, thing.id, joined))
        if own or joined:
            self._forget(kind.name, thing.id)

    def _copy(self, item: Mutation, kind: KindInfo, thing: Thing, merged: Merged) -> str:
        """Make the copy that holds what the device sent; return its id, or nothing where there is none to make."""
        if not merged.copy:
            return ""
        key = copy_id(thing.id, str(self._device.pk), item.mid)
        had = {name: value for name, value in (thing.data or {}).items() if name in kind.writable}
        self._write(lambda: self._repository.create(kind.name, key, {**had, **merged.write, **merged.copy}))
        self._forget(kind.name, key)
        return key

    def _delete(self, item: Mutation, kind: KindInfo, chain: Chain, thing: Thing | None) -> MutationResult:
        if thing is None or thing.data is None:
            return MutationResult(item.mid, Status.NOOP)
        states = [mark.state for mark in self._marks_of(kind.name, thing.id).values()]
        is_strict = any(field.resolver == STRICT for field in kind.fields)
        strict = thing.version if is_strict else None
        if not deletion_applies(chain.seen, states, strict_version=strict):
            return MutationResult(item.mid, Status.EDIT_WINS)
        self._write(lambda: self._repository.delete(kind.name, thing.id))
        self._forget(kind.name, thing.id)
        self._forget_children(kind)
        return MutationResult(item.mid, Status.APPLIED)

    def _write(self, work: Callable[[], None]) -> None:
        """Call a verb. Whatever it refuses, and what it stumbles over, is the end of this mutation, not of the batch."""
        try:
            work()
        except Problem as problem:
            raise MutationRefused(problem.code, problem.detail) from problem
        except _UNSTORABLE as error:
            logger.warning("A mutation was refused: %r", error)
            raise MutationRefused("impossible", "This cannot be stored as it is. Nothing of it was applied.") from error

    # -- what is known of things --------------------------------------------------------------------------------------

    def _load(self, named: Iterable[tuple[str, str]]) -> None:
        wanted: dict[str, set[str]] = defaultdict(set)
        for kind, id in named:
            wanted[kind].add(id)
        for kind in self._kinds:  # in one order for all
            if ids := wanted.get(kind):
                found, marks = self._repository.lock(kind, ids), self._repository.marks(kind, ids)
                for id in ids:
                    self._things[kind, id] = found.get(id)
                    self._marks[kind, id] = marks.get(id, {})

    def _thing(self, kind: str, id: str) -> Thing | None:
        if (kind, id) not in self._things:
            self._load([(kind, id)])
        return self._things[kind, id]

    def _marks_of(self, kind: str, id: str) -> Marks:
        self._thing(kind, id)
        return self._marks[kind, id]

    def _forget(self, kind: str, id: str | None = None) -> None:
        """Read it (all of the kind, without an id) anew for the next mutation."""
        keys = [key for key in self._things if key[0] == kind] if id is None else [(kind, id)]
        for key in keys:
            self._things.pop(key, None)

    def _forget_children(self, kind: KindInfo) -> None:
        """Read what is in a thing that goes or comes back anew: it may have gone, or come, with it."""
        for child in self._kinds.values():
            if kind.name in child.parents:
                self._forget(child.name)


def _check_fields(kind: KindInfo, fields: JsonObject) -> None:
    """Raise MutationRefused for a field that there is not, that devices do not write, or whose text no database takes."""
    names = {field.name for field in kind.fields}
    for name, value in fields.items():
        if name not in names:
            raise MutationRefused("unknown_field", f"A {kind.name} has no field {name[:40]!r}.")
        if name not in kind.writable:
            raise MutationRefused("read_only", f"Devices do not write the field {name!r} of a {kind.name}.")
        if not _is_storable(value):
            raise MutationRefused(
                "bad_text", f"The field {name!r} holds a character that cannot be stored (NUL, or half of a pair)."
            )


def _is_storable(value: JsonValue) -> bool:
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= sign <= "\udfff" for sign in value)
    if isinstance(value, dict):
        return all(_is_storable(part) for pair in value.items() for part in pair)
    return all(_is_storable(part) for part in value) if isinstance(value, list) else True
