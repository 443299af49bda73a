"""A server in memory that follows docs/sync.md to the letter: what clients are tested against, and real servers compared with."""

import copy
import itertools
import json
import uuid
from dataclasses import dataclass, field

from sync.protocol.clock import Stamp
from sync.protocol.digest import digest_of
from sync.protocol.messages import (
    ChangesReply,
    ChangesRequest,
    DigestReply,
    EndedScope,
    FieldInfo,
    Info,
    KindInfo,
    Limits,
    Mutation,
    MutationResult,
    Op,
    PushReply,
    PushRequest,
    Row,
    ScopeInfo,
    Status,
    Unreadable,
)
from sync.protocol.ordering import references
from sync.protocol.problems import OutOfSequence, StartOver
from sync.protocol.resolvers import Edit, FieldState, Seen, deletion_applies, merge, resolver_named
from sync.protocol.resolvers.merge import copy_id
from sync.protocol.versions import version_in

KINDS = (
    KindInfo("album", "album", (), (FieldInfo("title"), FieldInfo("description"))),
    KindInfo(
        "note",
        "user",
        (),
        (FieldInfo("content", "keep_both"), FieldInfo("caption"), FieldInfo("owner", writable=False)),
    ),
    KindInfo(
        "albumItem",
        "album",
        ("album", "note"),
        tuple(FieldInfo(name) for name in ("albumId", "targetType", "targetId", "position")),
    ),
)
PARENTS = {kind.name: kind.parents for kind in KINDS}
STRICT = {"albumItem"}


def fresh_ids():
    """UUIDs that are the same in every run, so that a failure can be repeated."""
    return (str(uuid.UUID(int=number)) for number in itertools.count(1))


@dataclass
class Thing:
    scope: str
    data: dict
    version: int = 0
    trashed: bool = False
    states: dict = field(default_factory=dict)


@dataclass
class Device:
    acked: int = 0
    results: dict = field(default_factory=dict)  # mid -> (digest, result, root)


@dataclass
class State:
    """All that a backup holds."""

    epoch: int = 1
    things: dict = field(default_factory=dict)  # (type, id) -> Thing
    tombstones: dict = field(default_factory=dict)  # (type, id) -> (scope, version)
    counters: dict = field(default_factory=dict)
    floors: dict = field(default_factory=dict)
    devices: dict = field(default_factory=dict)
    ended: dict = field(default_factory=dict)


class ReferenceServer:
    """One user's things. `now` is its clock in milliseconds."""

    def __init__(self, page_rows=1000, most_mutations=500):
        self.user = str(uuid.UUID(int=2**100))
        self.now = 1_000_000_000
        self.limits = Limits(mutations=most_mutations, rows=page_rows)
        self.state = State()
        self.calls = []
        self.reused_mids = []
        self._scope(f"user:{self.user}")

    # What the outside does to it

    def backup(self):
        return copy.deepcopy(self.state)

    def restore(self, backup):
        epoch = self.state.epoch
        self.state = copy.deepcopy(backup)
        self.state.epoch = epoch + 1

    def edit(self, type, id, fields):
        """A person changes something on a page."""
        thing = self.state.things[type, id]
        version = self._bump(thing)
        thing.data.update(fields)
        for name in fields:
            thing.states[name] = FieldState(version, Stamp(self.now, 0, "page"), "page")

    def machine_edit(self, type, id, fields):
        """A scan changes something: no field state."""
        thing = self.state.things[type, id]
        self._bump(thing)
        thing.data.update(fields)

    def trash(self, type, id):
        thing = self.state.things[type, id]
        self._bump(thing)
        thing.trashed = True

    def purge(self):
        for (type, id), thing in list(self.state.things.items()):
            if thing.trashed:
                self.state.tombstones[type, id] = (thing.scope, self._next(thing.scope))
                del self.state.things[type, id]

    def collect(self):
        for key, (scope, version) in list(self.state.tombstones.items()):
            self.state.floors[scope] = max(self.state.floors[scope], version)
            del self.state.tombstones[key]

    def end_scope(self, scope):
        self.state.ended[scope] = self.now
        for table in (self.state.things, self.state.tombstones):
            for key, value in list(table.items()):
                if (value.scope if isinstance(value, Thing) else value[0]) == scope:
                    del table[key]
        del self.state.counters[scope]

    def live(self):
        return {key: dict(thing.data) for key, thing in self.state.things.items() if not thing.trashed}

    # Requests

    def info(self, device):
        scopes = tuple(ScopeInfo(scope, self._version(scope)) for scope in sorted(self.state.counters))
        ended = tuple(EndedScope(scope, at) for scope, at in self.state.ended.items())
        acked = self._device(device).acked
        return Info("server", self.user, device, self.now, self.state.epoch, acked, scopes, ended, KINDS, self.limits)

    def push(self, device, request):
        if request.epoch != self.state.epoch:
            raise StartOver("The server was restored from a backup. Ask for its info again.")
        known = self._device(device)
        for mutation in request.mutations:
            if mutation.mid <= known.acked:
                stored = known.results.get(mutation.mid)
                if stored is None or stored[0] != mutation.digest:
                    self.reused_mids.append((device, mutation.mid))
                    raise OutOfSequence(f"Mid {mutation.mid} was used for something else.", known.acked)
        if request.mutations and request.mutations[0].mid > known.acked + 1:
            raise OutOfSequence(f"Mid {known.acked + 1} is missing.", known.acked)
        results, things = [], {}
        for mutation in request.mutations:
            if mutation.mid > known.acked:
                self._apply(device, known, mutation)
            _, result, _ = known.results[mutation.mid]
            results.append(result)
            if isinstance(mutation, Mutation):
                things[mutation.type, mutation.id] = None
                if result.target:
                    things[mutation.type, result.target] = None
        rows, gone = [], []
        for type, id in things:
            row = self._row(type, id)
            if row is None:
                gone.append(id)
            else:
                rows.append(row)
        return PushReply(known.acked, self.now, tuple(results), tuple(rows), tuple(gone))

    def changes(self, device, request):
        if request.scope not in self.state.counters:
            raise StartOver("The scope has ended.")
        floor = self.state.floors[request.scope]
        epoch, after, begun = json.loads(request.cursor) if request.cursor else (self.state.epoch, -1, floor)
        if epoch != self.state.epoch or (request.cursor and after < floor and begun < floor):
            raise StartOver("The cursor is too old. Pull from zero.")
        rows = [row for row in self._rows(request.scope) if row.version > after]
        if request.types:
            rows = [row for row in rows if row.type in request.types]
        rows.sort(key=lambda row: row.version)
        page = rows[: request.limit]
        has_more = len(rows) > len(page)
        after = page[-1].version if has_more else self._version(request.scope)
        cursor = json.dumps([epoch, after, begun if has_more else self.state.floors[request.scope]])
        return ChangesReply(request.scope, tuple(page), cursor, has_more, request.cursor)

    def digest(self, device, scope):
        rows = [(row.type, row.id, row.version) for row in self._rows(scope) if not row.deleted]
        return DigestReply(scope, self._version(scope), digest_of(rows))

    # Inside

    def _scope(self, scope):
        self.state.counters.setdefault(scope, 0)
        self.state.floors.setdefault(scope, 0)

    def _version(self, scope):
        versions = [row.version for row in self._rows(scope)]
        return max([version_in(self.state.epoch, self.state.counters[scope]), *versions])

    def _next(self, scope):
        self.state.counters[scope] += 1
        return version_in(self.state.epoch, self.state.counters[scope])

    def _bump(self, thing):
        thing.version = self._next(thing.scope)
        return thing.version

    def _device(self, device):
        return self.state.devices.setdefault(device, Device())

    def _row(self, type, id):
        if thing := self.state.things.get((type, id)):
            versions = {name: state.version for name, state in thing.states.items()}
            return Row(thing.scope, type, id, thing.version, None if thing.trashed else dict(thing.data), versions)
        if tombstone := self.state.tombstones.get((type, id)):
            return Row(tombstone[0], type, id, tombstone[1], None)
        return None

    def _rows(self, scope):
        keys = [key for key, thing in self.state.things.items() if thing.scope == scope]
        keys += [key for key, (of, _) in self.state.tombstones.items() if of == scope]
        return [self._row(*key) for key in keys]

    def _apply(self, device, known, mutation):
        if isinstance(mutation, Unreadable):
            result, root = (
                MutationResult(mutation.mid, Status.REJECTED, reason="malformed", detail=mutation.sentence),
                0,
            )
        else:
            seen, root = self._seen(device, known, mutation)
            result = self._result(device, mutation, seen)
        known.acked = mutation.mid
        known.results[mutation.mid] = (mutation.digest, result, root)

    def _seen(self, device, known, mutation):
        base = mutation.base
        if base is None:
            return Seen(0, device), 0
        _, before, root = known.results.get(base.mid, (None, None, 0)) if base.mid else (None, None, 0)
        root = base.version if base.version is not None else root
        return Seen(root, device, before.version or 0 if before else 0), root

    def _result(self, device, mutation, seen):
        key = (mutation.type, mutation.id)
        thing = self.state.things.get(key)
        if mutation.op is Op.DELETE:
            return self._delete(mutation, thing, seen)
        stamp = mutation.hlc.clamped(self.now)
        if thing is None and mutation.op is Op.PATCH:
            return MutationResult(mutation.mid, Status.REJECTED, reason="gone", detail="It was deleted for good.")
        if thing is None:
            return self._create(device, mutation, stamp)
        revived = thing.trashed
        kind = next(kind for kind in KINDS if kind.name == mutation.type)
        resolvers = {info.name: info.resolver for info in kind.fields}
        edit = Edit(mutation.type, mutation.fields, seen, stamp)
        merged = merge(edit, thing.data, thing.states, lambda name: resolver_named(resolvers[name]), most_text=5000)
        if revived or merged.write:
            version = self._bump(thing)
            thing.trashed = False
            thing.data.update(merged.write)
            for name in merged.write:
                own = name in merged.own
                thing.states[name] = FieldState(
                    version, stamp if own else Stamp(self.now, 0, "server"), device if own else ""
                )
        target = None
        if merged.copy:
            target = copy_id(mutation.id, device, mutation.mid)
            twin = Thing(thing.scope, {**thing.data, **merged.copy})
            self._bump(twin)
            twin.states = {name: FieldState(twin.version, stamp, device) for name in twin.data}
            self.state.things[mutation.type, target] = twin
        status = Status.EDIT_WINS if revived else merged.status
        return MutationResult(mutation.mid, status, thing.version, target)

    def _create(self, device, mutation, stamp):
        for parent in references(mutation.type, mutation.fields, PARENTS):
            if parent not in self.state.things:
                return MutationResult(mutation.mid, Status.MISSING_REF, detail=f"There is no {parent[0]} {parent[1]}.")
        scope = f"user:{self.user}"
        if mutation.type != "note":
            scope = f"album:{mutation.fields.get('albumId', mutation.id)}"
        self._scope(scope)
        self.state.ended.pop(scope, None)
        self.state.tombstones.pop((mutation.type, mutation.id), None)
        thing = Thing(scope, dict(mutation.fields))
        version = self._bump(thing)
        thing.states = {name: FieldState(version, stamp, device) for name in mutation.fields}
        self.state.things[mutation.type, mutation.id] = thing
        return MutationResult(mutation.mid, Status.APPLIED, version)

    def _delete(self, mutation, thing, seen):
        if thing is None or thing.trashed:
            return MutationResult(mutation.mid, Status.NOOP, thing.version if thing else None)
        strict = thing.version if mutation.type in STRICT else None
        if not deletion_applies(seen, thing.states.values(), strict_version=strict):
            return MutationResult(mutation.mid, Status.EDIT_WINS, thing.version)
        version = self._bump(thing)
        thing.trashed = True
        return MutationResult(mutation.mid, Status.APPLIED, version)


class Session:
    """The server as one device reaches it, through JSON."""

    def __init__(self, server, device):
        self.server = server
        self.device = device

    def info(self):
        self.server.calls.append("info")
        return Info.from_json(self.server.info(self.device).to_json())

    def push(self, request):
        self.server.calls.append("push")
        reply = self.server.push(self.device, PushRequest.from_json(request.to_json()))
        return PushReply.from_json(reply.to_json())

    def changes(self, request: ChangesRequest):
        self.server.calls.append("changes")
        return ChangesReply.from_json(self.server.changes(self.device, request).to_json(), request.scope)

    def digest(self, scope):
        self.server.calls.append("digest")
        return DigestReply.from_json(self.server.digest(self.device, scope).to_json())
