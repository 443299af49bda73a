"""The outbox: edits that wait for the server, in the order in which they were made."""

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sync.protocol.clock import Stamp
from sync.protocol.limits import MOST_BYTES
from sync.protocol.messages import Base, Limits, Mutation, Op
from sync.protocol.ordering import depths, references
from sync.protocol.values import JsonObject, JsonValue, dump

from .brake import Brake
from .collapse import Apart, Pending, collapse
from .store import Store, object_from

_COLUMNS = "seq, type, id, op, fields, base_version, base_seq, base_mid, hlc, mid, confirmed"
_ROOM_BYTES = 4096
"""Of a push's limit, what is left for all but the mutations."""
_LENGTH_OF_UUID = 36


@dataclass(frozen=True)
class Entry:
    """One edit that waits. `mid` is None until it is sent for the first time."""

    seq: int
    type: str
    id: str
    op: Op
    fields: dict[str, JsonValue]
    base_version: int | None
    base_seq: int | None
    base_mid: int | None
    hlc: Stamp
    mid: int | None
    confirmed: bool


class Outbox:
    """The edits of a store. Callers hold a transaction of it where they write."""

    def __init__(self, store: Store) -> None:
        """Work on the tables of `store`."""
        self._store = store
        self._db = store.db

    def add(self, type: str, id: str, edit: Pending, whole: JsonObject, stamp: Stamp) -> None:
        """Add an edit, collapsed with an earlier one of the same thing that has not been sent.

        `whole` is the thing as it was before it was deleted. ValueError if no request could carry the edit.
        """
        earlier = self.of(type, id)
        while earlier and earlier[-1].mid is None:
            last = earlier[-1]
            if last.op is Op.CREATE and edit.op is Op.PATCH and self._names_a_child(type, id, edit.fields):
                break  # it can only be sent after the child, and the child after the creation
            try:
                both = collapse(Pending(last.op, last.fields, last.base_version), edit, whole)
            except Apart:
                break
            if both is None and len(earlier) > 1:  # what was sent before it may have made the thing
                both = Pending(Op.DELETE, {}, None)
            if both is None:
                self._remove(last)
                self._remove_children(type, id)
                return
            if (
                len(earlier) > 1 and earlier[-2].mid is None
            ):  # two patches on different versions, and now more than a patch
                edit = both
                self._remove(earlier.pop())
                continue
            self._check_size(both.fields)
            self._db.execute(
                "UPDATE outbox SET op = ?, fields = ?, base_version = ?, hlc = ?, confirmed = 0 WHERE seq = ?",
                (both.op.value, dump(both.fields), both.base_version, str(stamp), last.seq),
            )
            return
        self._check_size(edit.fields)
        base_seq = earlier[-1].seq if earlier else None
        self._db.execute(
            "INSERT INTO outbox (type, id, op, fields, base_version, base_seq, hlc) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (type, id, edit.op.value, dump(edit.fields), edit.base_version, base_seq, str(stamp)),
        )

    def of(self, type: str, id: str) -> list[Entry]:
        """Return the edits of one thing, oldest first."""
        return list(self._select("WHERE type = ? AND id = ? ORDER BY seq", type, id))

    def ids_of(self, type: str) -> list[str]:
        """Return the ids of things of a kind that have edits waiting."""
        return [id for (id,) in self._db.execute("SELECT DISTINCT id FROM outbox WHERE type = ? ORDER BY id", (type,))]

    def counts(self) -> dict[str, int]:
        """Return how many edits of each kind wait."""
        return dict(self._db.execute("SELECT type, count(*) FROM outbox GROUP BY type ORDER BY type"))

    def held(self, brake: Brake) -> int:
        """Return how many deletions wait for a confirmation before they are sent."""
        count = self._unconfirmed()
        if count < brake.least:  # so that nothing has to be counted
            return 0
        live = self._db.execute("SELECT count(DISTINCT id) FROM row WHERE NOT deleted").fetchone()[0]
        return count if brake.holds(count, live) else 0

    def confirm(self) -> int:
        """Let all deletions that wait now be sent; return how many."""
        self._db.execute("UPDATE outbox SET confirmed = 1 WHERE op = 'delete' AND mid IS NULL")
        return int(self._db.execute("SELECT changes()").fetchone()[0])

    def next_batch(self, limits: Limits, brake: Brake) -> list[Mutation]:
        """Return the mutations of the next push, numbered; none if nothing may be sent.

        What was sent before and has no result goes first, unchanged. Of new ones what is made and changed is numbered first,
        parents before children, then changes that name what was made (an album's cover), then deletions, children before parents:
        so none refers to what the server does not have yet, and a deleted album is back before something is put into it.
        """
        sent = list(self._select("WHERE mid IS NOT NULL ORDER BY mid LIMIT ?", limits.mutations))
        if sent:
            return self._cut(sent, limits)
        hold = "AND (op != 'delete' OR confirmed)" if self.held(brake) else ""
        mid = self._store.recall_number("next_mid", 1)
        for seq in self._in_order(hold)[: limits.mutations]:
            self._db.execute("UPDATE outbox SET mid = ? WHERE seq = ?", (mid, seq))
            mid += 1
        self._store.remember(next_mid=mid)
        return self._cut(list(self._select("WHERE mid IS NOT NULL ORDER BY mid LIMIT ?", limits.mutations)), limits)

    def settle(self, mid: int) -> Entry | None:
        """Take the edit that the server has acknowledged out of the outbox and return it; None if it is not there."""
        for entry in self._select("WHERE mid = ?", mid):
            self._db.execute("UPDATE outbox SET base_mid = ?, base_seq = NULL WHERE base_seq = ?", (mid, entry.seq))
            self._db.execute("DELETE FROM outbox WHERE seq = ?", (entry.seq,))
            return entry
        return None

    def renumber(self, acked_through: int, *, keep_through: int) -> None:
        """Number what was sent anew, from `acked_through` + 1. Mids up to `keep_through` stay: the server has their results."""
        entries = list(self._select("WHERE mid > ? ORDER BY mid", keep_through))
        self._db.execute("UPDATE outbox SET mid = NULL WHERE mid > ?", (keep_through,))
        for mid, entry in enumerate(entries, acked_through + 1):
            self._db.execute("UPDATE outbox SET mid = ? WHERE seq = ?", (mid, entry.seq))
        self._store.remember(next_mid=acked_through + len(entries) + 1)

    def forget_settled_mids(self) -> None:
        """Base no edit on a settled one: its mid means nothing to a restored server, nor if the device is another one now."""
        self._db.execute(
            """UPDATE outbox SET base_mid = NULL, base_version =
            CASE WHEN base_version IS NULL AND base_seq IS NULL AND base_mid IS NOT NULL THEN 0 ELSE base_version END"""
        )

    def unsend(self, entry: Entry) -> None:
        """Take back the number of an edit and of all after it, of which the server has seen none."""
        if entry.mid is not None:
            self._db.execute("UPDATE outbox SET mid = NULL WHERE mid >= ?", (entry.mid,))
            self._store.remember(next_mid=entry.mid)

    def refuse(self, entry: Entry, reason: str, detail: str, at_ms: int) -> None:
        """Keep an edit that the server does not take where its author can find it."""
        self._db.execute(
            "INSERT INTO refused (type, id, op, fields, reason, detail, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (entry.type, entry.id, entry.op.value, dump(entry.fields), reason, detail, at_ms),
        )

    def remove(self, entry: Entry) -> None:
        """Take an edit out."""
        self._remove(entry)

    def _select(self, rest: str, *values: str | int) -> Iterator[Entry]:
        for row in self._db.execute(f"SELECT {_COLUMNS} FROM outbox {rest}", values).fetchall():  # noqa: S608 (no input)
            seq, type, id, op, fields, base_version, base_seq, base_mid, hlc, mid, confirmed = row
            yield Entry(
                seq,
                type,
                id,
                Op(op),
                object_from(fields),
                base_version,
                base_seq,
                base_mid,
                Stamp.parse(hlc),
                mid,
                bool(confirmed),
            )

    def _unconfirmed(self) -> int:
        query = "SELECT count(*) FROM outbox WHERE op = 'delete' AND mid IS NULL AND NOT confirmed"
        return int(self._db.execute(query).fetchone()[0])

    def _remove(self, entry: Entry) -> None:
        self._db.execute("UPDATE outbox SET base_seq = ? WHERE base_seq = ?", (entry.base_seq, entry.seq))
        self._db.execute("DELETE FROM outbox WHERE seq = ?", (entry.seq,))

    def _remove_children(self, type: str, id: str) -> None:
        """Take out things that were made in, or of, a thing that never left this device."""
        parents = {name: kind.parents for name, kind in self._store.kinds().items()}
        for entry in list(self._select("WHERE op = 'create' AND mid IS NULL AND base_version IS NULL")):
            if (type, id) in references(entry.type, entry.fields, parents):
                self._remove(entry)
                self._remove_children(entry.type, entry.id)

    def _names_a_child(self, type: str, id: str, fields: JsonObject) -> bool:
        """Return whether one of the values is what was put into the thing, as an album's cover is, and was not sent either."""
        keys = {value for value in fields.values() if isinstance(value, str) and len(value) == _LENGTH_OF_UUID}
        if not keys:
            return False
        parents = {name: kind.parents for name, kind in self._store.kinds().items()}
        made = self._select("WHERE op = 'create' AND mid IS NULL")
        return any(
            entry.fields.get("targetId") in keys and (type, id) in references(entry.type, entry.fields, parents)
            for entry in made
        )

    def _in_order(self, hold: str) -> list[int]:
        """Return the numbers of all edits that were not sent, in the order in which they may be."""
        generations = depths({name: kind.parents for name, kind in self._store.kinds().items()})
        places: list[tuple[int, int, int]] = []
        after_children: set[tuple[str, str]] = set()
        for entry in self._select(f"WHERE mid IS NULL {hold} ORDER BY seq"):
            depth, key = generations.get(entry.type, 0), (entry.type, entry.id)
            if entry.op is Op.DELETE:
                places.append((2, -depth, entry.seq))
                continue
            if entry.op is Op.PATCH and self._names_a_child(*key, entry.fields):
                after_children.add(key)
            places.append((int(key in after_children), depth, entry.seq))
        return [seq for _, _, seq in sorted(places)]

    def _cut(self, entries: Sequence[Entry], limits: Limits) -> list[Mutation]:
        """Return as many mutations as one push may carry, and at least one."""
        mids = {entry.seq: entry.mid for entry in entries}
        batch: list[Mutation] = []
        room = min(limits.bytes, MOST_BYTES) - _ROOM_BYTES
        for entry in entries:
            mutation = _mutation(entry, mids)
            room -= len(dump(mutation.to_wire()).encode()) + 1
            if room < 0 and batch:
                break
            batch.append(mutation)
        return batch

    def _check_size(self, fields: JsonObject) -> None:
        size_bytes = len(dump(fields).encode())
        if size_bytes > MOST_BYTES - 2 * _ROOM_BYTES:
            raise ValueError(f"The edit has {size_bytes:,} bytes, more than a request may have. Make it shorter.")


def _mutation(entry: Entry, mids: dict[int, int | None]) -> Mutation:
    assert entry.mid is not None
    base_mid = entry.base_mid if entry.base_seq is None else mids.get(entry.base_seq)
    base = None if entry.base_version is None and base_mid is None else Base(entry.base_version, base_mid)
    if base is None and entry.op is not Op.CREATE:
        base = Base(0)
    return Mutation(entry.mid, entry.type, entry.id, entry.op, base, entry.hlc, entry.fields)


def cleaned(fields: JsonObject) -> dict[str, JsonValue]:
    """Return fields with all texts in NFC; ValueError for what JSON or a database cannot hold (NUL, half characters, NaN)."""
    return {str(_cleaned(name)): _cleaned(value) for name, value in fields.items()}


def _cleaned(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("A text has a NUL character in it. Leave it out.")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("A text has half of a character in it. Leave it out.")
        return unicodedata.normalize("NFC", value)
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return cleaned(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("A number is not finite. Leave it out.")
    return value
