"""What became of a push: edits leave the outbox, rows come in, and what the server did not take is kept."""

from sync.protocol.clock import Stamp
from sync.protocol.messages import Mutation, MutationResult, Op, PushReply, Status
from sync.protocol.messages.results import GONE
from sync.protocol.ordering import references

from .collapse import Pending
from .outbox import Entry, Outbox
from .status import SyncResult
from .store import Store
from .view import View

_CONFLICTS = frozenset({Status.MERGED, Status.FORKED, Status.EDIT_WINS})


class OtherReply(Exception):
    """The reply belongs to another push."""


def apply_reply(store: Store, batch: list[Mutation], reply: PushReply, result: SyncResult, at_ms: int) -> None:
    """Take over the results and rows of a reply in one transaction. The pull cursor does not move.

    OtherReply, and nothing is changed, if it does not say what became of each mutation of the batch.
    """
    results = {item.mid: item for item in reply.results}
    if any(mutation.mid not in results for mutation in batch) or reply.acked_through < batch[-1].mid:
        raise OtherReply
    outbox, view = Outbox(store), View(store)
    with store.writing():
        for mutation in batch:
            entry = outbox.settle(mutation.mid)
            if entry is not None:
                _settle(store, outbox, view, entry, results[mutation.mid], result, at_ms)
        for row in reply.rows:
            store.put(row)
        for mutation in batch:
            store.drop_data_of_deleted(mutation.type, mutation.id)


def _settle(
    store: Store, outbox: Outbox, view: View, entry: Entry, outcome: MutationResult, result: SyncResult, at_ms: int
) -> None:
    if outcome.status is Status.REJECTED and outcome.reason == GONE and entry.op is Op.PATCH:
        _send_whole(store, outbox, view, entry)
    elif outcome.status is Status.MISSING_REF and _waits_for_what_comes_back(store, outbox, entry):
        outbox.add(entry.type, entry.id, Pending(entry.op, entry.fields, entry.base_version), {}, entry.hlc)
    elif outcome.status in {Status.REJECTED, Status.MISSING_REF}:
        outbox.refuse(entry, outcome.reason or outcome.status.value, outcome.detail or "", at_ms)
        result.refused_items += 1
    else:
        result.uploaded_items += 1
        result.conflicts_resolved += outcome.status in _CONFLICTS


def _waits_for_what_comes_back(store: Store, outbox: Outbox, entry: Entry) -> bool:
    """Return whether this put something into, or was made of, a thing that is gone for good and that an edit makes again."""
    if entry.op is not Op.CREATE or outbox.of(entry.type, entry.id):
        return False
    parents = {name: kind.parents for name, kind in store.kinds().items()}
    keys = references(entry.type, entry.fields, parents)
    return any(edit.op is Op.CREATE and edit.mid is None for key in keys for edit in outbox.of(*key))


def _send_whole(store: Store, outbox: Outbox, view: View, entry: Entry) -> None:
    """Bring back what was deleted for good while the edit was on its way: with all its fields, as a new thing of the same id."""
    later = outbox.of(entry.type, entry.id)
    if any(edit.op is Op.DELETE for edit in later):
        return  # deleted here, too, meanwhile
    kind = store.kinds().get(entry.type)
    known = view.kept(entry.type, entry.id) or {}
    fields = {name: value for name, value in known.items() if kind is None or name in kind.writable}
    fields.update(entry.fields)
    stamp = entry.hlc
    for edit in later:  # those that were sent, too: the thing that is made anew comes after them
        fields.update(edit.fields)
        stamp = max(stamp, edit.hlc)
        if edit.mid is None:
            outbox.remove(edit)
    base = entry.base_version if entry.base_version is not None else 0
    outbox.add(entry.type, entry.id, Pending(Op.CREATE, fields, base), {}, Stamp(stamp.ms, stamp.count, stamp.node))
