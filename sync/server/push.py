"""Push: apply a batch of a device's mutations, each at most once, all in one commit."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from django.db import transaction
from django.utils import timezone

from accounts.models import Device
from operations.database_conflicts import retried_on_conflict
from photolala.web.refusals import Conflict as ConflictRefused
from sync.models import Conflict, DeviceState, PushedMutation
from sync.protocol.messages import Mutation, MutationResult, PushReply, PushRequest, Row, Status, Unreadable

from .apply_mutations import Applying
from .refusals import StartOver
from .repository import SyncRepository, Thing, row_of

MOST_ERRORS = 20
_FAILED = (Status.REJECTED, Status.MISSING_REF)
Item = Mutation | Unreadable


@retried_on_conflict
def push(
    repository: SyncRepository, device: Device, request: PushRequest, clock: Callable[[], int] = time.time_ns
) -> PushReply:
    """Apply what was not applied yet, and answer what was with its stored result. One transaction, a savepoint a mutation.

    Raises StartOver if the device knows another epoch, Conflict for a gap or a `mid` that was used for something else.
    """
    now_ms = clock() // 1_000_000
    with transaction.atomic():
        state = _locked_state(device)
        epoch = repository.epoch()
        if request.epoch != epoch:
            raise StartOver(
                "The server was set back to an earlier state since this device pulled last. Pull everything anew, keep what "
                "waits to be pushed, and push it with the epoch that `info` names.",
                epoch=epoch,
            )
        stored = _stored(device, request.mutations)
        fresh = _fresh(request.mutations, stored, state, epoch)
        applying = Applying(repository, device, fresh, now_ms)
        new = [applying.apply(item) for item in fresh]
        rows, gone = _as_they_are(repository, request.mutations, [*stored.values(), *new], new)
        _keep(state, epoch, request, new, applying.conflicts)
    known = {row.mid: row for row in (*stored.values(), *new)}
    results = [_result(item, known.get(item.mid)) for item in request.mutations]
    return PushReply(state.acked_through, now_ms, tuple(results), tuple(rows), tuple(gone))


def _locked_state(device: Device) -> DeviceState:
    DeviceState.objects.get_or_create(device=device)
    return DeviceState.objects.select_for_update().get(device=device)


def _stored(device: Device, items: Sequence[Item]) -> dict[int, PushedMutation]:
    rows = PushedMutation.objects.filter(device=device, mid__in=[item.mid for item in items])
    return {row.mid: row for row in rows}


def _fresh(items: Sequence[Item], stored: dict[int, PushedMutation], state: DeviceState, epoch: int) -> list[Item]:
    """Return those that were never applied. Raises Conflict if others must come before, or a number is used twice."""
    for item in items:
        if item.mid in stored and stored[item.mid].digest != item.digest:
            raise ConflictRefused(
                f"Mutation {item.mid} was pushed before with other content. Nothing of this batch was applied; give each edit "
                "a number of its own.",
                "out_of_sequence",
                ackedThrough=state.acked_through,
            )
    # A device that was never seen in this epoch may begin where it is: what it counted before was set back with the server.
    if state.epoch == epoch and items and items[0].mid > state.acked_through + 1:
        raise ConflictRefused(
            f"The mutations from {state.acked_through + 1} to {items[0].mid - 1} are missing. Nothing of this batch was applied; "
            "send them first.",
            "out_of_sequence",
            ackedThrough=state.acked_through,
        )
    return [item for item in items if item.mid not in stored and item.mid > state.acked_through]


def _as_they_are(
    repository: SyncRepository, items: Iterable[Item], about: Iterable[PushedMutation], new: Iterable[PushedMutation]
) -> tuple[list[Row], list[str]]:
    """Number what was changed, write the versions into the new results, and return the things as they are now."""
    ids: dict[str, set[str]] = defaultdict(set)
    for item in items:
        if isinstance(item, Mutation):
            ids[item.type].add(item.id)
    for row in about:
        if row.target is not None and row.kind:
            ids[row.kind].add(str(row.target))
    known = [kind.name for kind in repository.kinds() if kind.name in ids]
    scopes = {thing.scope for kind in known for thing in repository.read(kind, ids[kind]).values()}
    repository.number(scopes)
    things: dict[tuple[str, str], Thing] = {}
    rows: list[Row] = []
    for kind in known:
        marks = repository.marks(kind, ids[kind])
        for id, thing in repository.read(kind, ids[kind]).items():
            things[kind, id] = thing
            rows.append(row_of(thing, marks.get(id, {})))
    for row in new:  # that of the copy, where one was made
        if (found := things.get((row.kind, str(row.target)))) and row.result["status"] not in _FAILED:
            row.result["version"] = str(found.version)
    gone = [id for kind in ids for id in ids[kind] if (kind, id) not in things]
    return rows, gone


def _keep(
    state: DeviceState, epoch: int, request: PushRequest, new: list[PushedMutation], conflicts: list[Conflict]
) -> None:
    """Write down results, conflicts and how far the device is, in the transaction that applied the mutations."""
    PushedMutation.objects.bulk_create(new)
    Conflict.objects.bulk_create(conflicts)
    state.epoch = epoch
    state.acked_through = max([state.acked_through, *(item.mid for item in request.mutations)])
    state.last_push_at = timezone.now()
    done = len(request.mutations)
    state.pending = (
        {kind: count for kind, count in _left(request).items() if count > 0} if done else dict(request.pending)
    )
    errors = [_error(row) for row in reversed(new) if row.result["status"] in _FAILED]
    state.errors = [*errors, *state.errors][:MOST_ERRORS]
    state.save()


def _left(request: PushRequest) -> dict[str, int]:
    """Return what waits on the device after this batch, by kind."""
    left = dict(request.pending)
    for item in request.mutations:
        if isinstance(item, Mutation) and item.type in left:
            left[item.type] -= 1
    return left


def _error(row: PushedMutation) -> dict[str, str | int]:
    result = row.result
    return {
        "mid": row.mid,
        "kind": row.kind,
        "id": str(row.target or ""),
        "at": row.pushed_at.isoformat(),
        "status": result["status"],
        "reason": result.get("reason", ""),
        "detail": result.get("detail", ""),
    }


def _result(item: Item, row: PushedMutation | None) -> MutationResult:
    if row is None:  # applied so long ago that its result is not kept
        return MutationResult(item.mid, Status.NOOP, reason="applied_before")
    return MutationResult.read(row.result)
