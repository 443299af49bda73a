"""The state machine: what devices, people at pages, scans, clocks, networks and administrators may do, in any order.

`World` is what a server must offer; a real one is plugged in by a subclass of SyncMachine with another `make_world`.
"""

import shutil
import tempfile
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from sync.device.client import Client
from sync.device.outbox import Outbox
from sync.device.transport import Transport
from sync.protocol.ids import album_item_id
from tests.sync.faults import FAULTS, Crash, FaultyTransport
from tests.sync.reference_server import ReferenceServer, Session, fresh_ids

DEVICES = 3
devices = st.integers(0, DEVICES - 1)
picks = st.integers(0, 30)
fault_plans = st.lists(st.sampled_from(("none",) * len(FAULTS) + FAULTS), max_size=8)
"""Half of the calls go well, so that some histories come to the later pages of a pull."""


class World:
    """A server under test. This one is the reference server; the methods are what the machine needs of any."""

    page_rows = 2
    most_mutations = 3

    def __init__(self):
        self.server = ReferenceServer(self.page_rows, self.most_mutations)

    def connect(self, number: int) -> tuple[str, Transport]:
        """Return the id of the n-th device, and how it reaches the server."""
        device = f"00000000-0000-0000-0000-{0xD00 + number:012x}"
        return device, Session(self.server, device)

    def pass_time(self, ms):
        self.server.now += ms

    def now(self):
        return self.server.now

    def live(self):
        """(type, id) -> fields of all things that are there."""
        return self.server.live()

    def live_texts(self):
        """All texts of notes, also of those in the trash."""
        return [thing.data.get("content", "") for thing in self.server.state.things.values()]

    def version_of(self, type, id):
        thing = self.server.state.things.get((type, id))
        return thing.version if thing else None

    def edit(self, type, id, fields):
        self.server.edit(type, id, fields)

    def machine_edit(self, type, id, fields):
        self.server.machine_edit(type, id, fields)

    def purge(self):
        self.server.purge()

    def collect(self):
        self.server.collect()

    def backup(self):
        return self.server.backup()

    def restore(self, backup):
        self.server.restore(backup)

    def texts_in(self, backup):
        return [thing.data.get("content", "") for thing in backup.things.values()]

    def things_in(self, backup):
        return set(backup.things)

    def scopes(self):
        return list(self.server.state.counters)

    def digest(self, scope):
        return self.server.digest("", scope).kinds

    def reused_mids(self):
        """Mids that came with other content than before: no client may do that."""
        return self.server.reused_mids

    def close(self):
        """Free what it holds."""


class SyncMachine(RuleBasedStateMachine):
    """Rules and, at the end, the promises."""

    make_world = World

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp(prefix="sync-machine-"))
        self.world = self.make_world()
        self.skews = [0] * DEVICES
        self.transports = []
        self.clients = []
        for number in range(DEVICES):
            _, session = self.world.connect(number)
            self.transports.append(FaultyTransport(session))
            self.clients.append(self._open(number))
            self.clients[number].sync()
        self.ids = fresh_ids()
        self.tokens = {}  # token -> note that it was written into; it must be found at the end
        self.made = set()  # things that nobody deleted
        self.items_of = {}  # note -> its items in albums, which cannot come without it
        self.doomed = set()  # things that were deleted by somebody who had seen all, and that nobody touched since
        self.authors = {}  # thing -> who wrote it
        self.count = 0
        self.saved = None
        self.restores = 0

    def _open(self, number):
        path = self.folder / f"{number}.sqlite"
        clock = lambda: self.world.now() + self.skews[number]  # noqa: E731
        return Client(path, self.transports[number], wall_ms=clock, chance=lambda: 0.5, is_durable=False)

    def _token(self):
        self.count += 1
        return f"<{self.count}>"

    def _pick(self, client, type, pick):
        ids = list(client.view.ids(type))
        return ids[pick % len(ids)] if ids else None

    def _touched(self, type, id, author):
        self.authors.setdefault((type, id), set()).add(author)
        self.doomed.discard((type, id))

    # What people do on devices

    @rule(number=devices)
    def write_note(self, number):
        token, id = self._token(), next(self.ids)
        self.clients[number].create("note", {"content": token, "caption": token}, id)
        self.tokens[token] = id
        self.made.add(("note", id))
        self._touched("note", id, number)

    @rule(number=devices)
    def write_several_notes(self, number):
        for _ in range(4):
            self.write_note(number)

    @rule(number=devices, pick=picks)
    def append_to_note(self, number, pick):
        client = self.clients[number]
        if id := self._pick(client, "note", pick):
            self._append(number, id)

    def _append(self, number, id):
        client, token = self.clients[number], self._token()
        client.patch("note", id, {"content": f"{client.get('note', id)['content']} {token}"})
        self.tokens[token] = id
        self._touched("note", id, number)

    @rule(number=devices, pick=picks)
    def prepend_and_rename_note(self, number, pick):
        client = self.clients[number]
        if id := self._pick(client, "note", pick):
            token = self._token()
            client.patch("note", id, {"content": f"{token} {client.get('note', id)['content']}", "caption": token})
            self.tokens[token] = id
            self._touched("note", id, number)

    @rule(number=devices, pick=picks, is_short=st.booleans())
    def rewrite_note(self, number, pick, is_short):
        """Take away what is in a note, but for its first word perhaps, and write another one."""
        client = self.clients[number]
        if id := self._pick(client, "note", pick):
            self._rewrite(number, id, is_short)

    def _rewrite(self, number, id, is_short):
        """`is_short` leaves the first word alone; else a new word takes the place of all."""
        words = self.clients[number].get("note", id)["content"].split()
        self._forget_words(id, words[1:] if is_short else words)
        word = words[0] if is_short else self._token()
        self.clients[number].patch("note", id, {"content": word})
        if not is_short:
            self.tokens[word] = id
        self._touched("note", id, number)

    def _forget_words(self, id, words):
        """Words that somebody takes away who sees them need not be found."""
        self.tokens = {token: note for token, note in self.tokens.items() if note != id or token not in words}

    @rule(number=devices, pick=picks)
    def name_note(self, number, pick):
        client = self.clients[number]
        if id := self._pick(client, "note", pick):
            client.patch("note", id, {"caption": self._token()})
            self._touched("note", id, number)

    @rule(number=devices, type=st.sampled_from(["note", "albumItem"]), pick=picks)
    def delete(self, number, type, pick):
        client = self.clients[number]
        if id := self._pick(client, type, pick):
            self._delete(number, type, id)

    def _delete(self, number, type, id):
        client = self.clients[number]
        text = (client.get(type, id) or {}).get("content", "")
        self.tokens = {token: note for token, note in self.tokens.items() if note != id or token not in text}
        self.made -= {(type, id), *self.items_of.get(id, ())}
        others = any(Outbox(other.store).of(type, id) for other in self.clients if other is not client)
        version = client.view.base_version(type, id)
        is_hidden = any(edit.base_version != version for edit in Outbox(client.store).of(type, id))
        has_seen_all = version == self.world.version_of(type, id) and not is_hidden
        # After a restore a device does not know any more which of the server's versions are its own edits.
        has_written_all = self.authors.get((type, id)) == {number} and not (self.restores and is_hidden)
        client.delete(type, id)
        late = any(transport._late for transport in self.transports)
        if (has_seen_all or has_written_all) and not others and not late:
            self.doomed.add((type, id))

    @rule(number=devices, pick=picks)
    def change_ones_mind(self, number, pick):
        """Delete a note, make it again, and delete it after all."""
        client = self.clients[number]
        if id := self._pick(client, "note", pick):
            self._delete(number, "note", id)
            client.create("note", {"content": "again", "caption": "again"}, id)
            self._touched("note", id, number)
            self._delete(number, "note", id)

    @rule(number=devices, pick=picks)
    def make_again(self, number, pick):
        """Make a note that was deleted once more, with other words."""
        client = self.clients[number]
        gone = sorted({id for type, id in self.authors if type == "note" and client.get(type, id) is None})
        if gone:
            id, token = gone[pick % len(gone)], self._token()
            client.create("note", {"content": token, "caption": token}, id)
            self.tokens[token] = id
            self._touched("note", id, number)

    @rule(number=devices, pick=picks)
    def put_note_into_new_album(self, number, pick):
        client = self.clients[number]
        album = next(self.ids)
        client.create("album", {"title": "t", "description": ""}, album)
        self.made.add(("album", album))
        if note := self._pick(client, "note", pick):
            self._add_item(number, album, note)

    @rule(number=devices, pick=picks, other=picks)
    def put_note_into_album(self, number, pick, other):
        client = self.clients[number]
        album, note = self._pick(client, "album", pick), self._pick(client, "note", other)
        if album and note:
            self._add_item(number, album, note)

    def _add_item(self, number, album, note):
        id = album_item_id(album, "note", note)
        fields = {"albumId": album, "targetType": "note", "targetId": note, "position": "a"}
        self.clients[number].create("albumItem", fields, id)
        self._touched("albumItem", id, number)
        self.made.add(("albumItem", id))
        self.items_of.setdefault(note, set()).add(("albumItem", id))

    @rule(number=devices, pick=picks)
    def rename_album(self, number, pick):
        client = self.clients[number]
        if id := self._pick(client, "album", pick):
            client.patch("album", id, {"title": self._token()})

    # What happens to devices

    @rule(number=devices, faults=fault_plans)
    def sync(self, number, faults):
        self._sync(number, faults)

    @rule(number=devices)
    def sync_well(self, number):
        self._sync(number, [])

    @rule(number=devices, pages=st.integers(0, 3), fault=st.sampled_from(["crash_before", "crash_after", "lose_reply"]))
    def sync_and_fail_in_the_pull(self, number, pages, fault):
        self._sync(number, [], {"changes": ["none"] * pages + [fault]})

    @rule(
        number=devices,
        pushes=st.integers(0, 2),
        fault=st.sampled_from(["crash_after", "lose_reply", "delay", "old_reply"]),
    )
    def sync_and_fail_in_the_push(self, number, pushes, fault):
        self._sync(number, [], {"push": ["none"] * pushes + [fault]})

    @rule(number=devices, pick=picks)
    def edit_again_after_a_lost_reply(self, number, pick):
        self.append_to_note(number, pick)
        self._sync(number, [], {"push": ["lose_reply"]})
        self.append_to_note(number, pick)

    @rule(number=devices, pick=picks)
    def edit_during_a_pull(self, number, pick):
        """A person writes while pages are on their way, and once more when they are there."""
        self.transports[number].meanwhile = lambda: self.append_to_note(number, pick)
        self._sync(number, [], {"changes": ["meanwhile"]})
        self.name_note(number, pick)

    @rule(
        number=devices,
        pick=picks,
        before=st.sampled_from(["append", "shorten", "delete"]),
        after=st.sampled_from(["append", "rewrite", "delete", "make_again"]),
    )
    def go_on_without_seeing_what_came(self, number, pick, before, after):
        """A person writes while pages are on their way, and goes on with the same note: the first edit hides what came."""
        id = self._pick(self.clients[number], "note", pick)
        if id:
            self._sync(number, [])
            if ("note", id) in self.world.live():
                self._append_on_page(id)
            self.transports[number].meanwhile = lambda: self._do(before, number, id)
            self._sync(number, [], {"changes": ["meanwhile"]})
            self._do(after, number, id)

    def _do(self, what, number, id):
        client = self.clients[number]
        if what == "make_again":
            token = self._token()
            self._forget_words(id, (client.get("note", id) or {}).get("content", "").split())
            client.create("note", {"content": token, "caption": token}, id)
            self.tokens[token] = id
            self._touched("note", id, number)
        elif client.get("note", id) is None:
            return
        elif what == "append":
            self._append(number, id)
        elif what == "delete":
            self._delete(number, "note", id)
        else:
            self._rewrite(number, id, what == "shorten")

    def _sync(self, number, faults, faults_of=None):
        self.transports[number].faults = list(faults)
        self.transports[number].faults_of = faults_of or {}
        try:
            self.clients[number].sync()
        except Crash:
            self.restart(number)
        self.transports[number].faults = []
        self.transports[number].faults_of = {}

    @rule(number=devices)
    def restart(self, number):
        self.clients[number].close()
        self.clients[number] = self._open(number)

    @rule(number=devices, skew_ms=st.sampled_from([-(10**9), -1000, 0, 1000, 10**6, 10**9]))
    def set_clock(self, number, skew_ms):
        self.skews[number] = skew_ms

    @rule(ms=st.sampled_from([1, 1000, 10**6]))
    def pass_time(self, ms):
        self.world.pass_time(ms)

    # What happens on the server

    @rule(pick=picks)
    def append_on_page(self, pick):
        notes = sorted(id for type, id in self.world.live() if type == "note")
        if notes:
            self._append_on_page(notes[pick % len(notes)])

    def _append_on_page(self, id):
        token = self._token()
        self.world.edit("note", id, {"content": f"{self.world.live()['note', id].get('content', '')} {token}"})
        self.tokens[token] = id
        self._touched("note", id, "page")

    @rule(pick=picks)
    def change_by_machine(self, pick):
        items = sorted(id for type, id in self.world.live() if type == "albumItem")
        if items:
            id = items[pick % len(items)]
            self.world.machine_edit("albumItem", id, {"position": self._token()})
            self._touched("albumItem", id, "machine")

    @rule()
    def purge_trash(self):
        self.world.purge()

    @rule()
    def collect_tombstones(self):
        self.world.purge()
        self.world.collect()

    @rule()
    def backup(self):
        self.saved = self.world.backup()

    @precondition(lambda self: self.saved is not None and self.restores < 2)
    @rule()
    def restore(self):
        self.restores += 1
        pending = [edit for client in self.clients for edit in self._edits(client)]
        texts = [*self.world.texts_in(self.saved), *(str(edit.fields.get("content", "")) for edit in pending)]
        self.tokens = {token: id for token, id in self.tokens.items() if any(token in text for text in texts)}
        there = self.world.things_in(self.saved) | {(edit.type, edit.id) for edit in pending if edit.op == "create"}
        self.made = {thing for thing in self.made & there if thing[0] != "albumItem"}
        self.doomed = set()
        self.world.restore(self.saved)

    def _edits(self, client):
        outbox = Outbox(client.store)
        return [
            edit
            for kind in ("note", "album", "albumItem")
            for id in outbox.ids_of(kind)
            for edit in outbox.of(kind, id)
        ]

    # The promises

    def teardown(self):
        if not hasattr(self, "clients"):
            return
        try:
            self._converge()
            self._check()
        finally:
            for client in self.clients:
                client.close()
            self.world.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _converge(self):
        """Synchronise all in turn, four times; fewer where nothing has moved in a whole turn."""
        for _ in range(4):
            has_moved = False
            for number in range(DEVICES):
                self.clients[number].confirm_deletions()  # that the brake held up, after a restore for instance
                self.transports[number].faults = []
                self.transports[number]._late = []
                result = self.clients[number].sync()
                assert result.success, result
                has_moved |= bool(result.uploaded_items or result.downloaded_items or result.refused_items)
            if not has_moved:
                return

    def _check(self):
        live = self.world.live()
        assert self.world.reused_mids() == []
        for client in self.clients:
            assert client.status().pending_uploads == {}
            assert set(client.store.scopes()) == set(self.world.scopes())
            for scope in client.store.scopes():
                assert client.store.digest(scope) == self.world.digest(scope)
            assert {
                (type, id): client.get(type, id)
                for type in ("note", "album", "albumItem")
                for id in client.view.ids(type)
            } == live
            assert client.verify() == []
            staged = client.store.db.execute("SELECT count(*) FROM staged").fetchone()[0]
            kept = client.store.db.execute("SELECT count(*) FROM row WHERE deleted AND data IS NOT NULL").fetchone()[0]
            assert (staged, kept) == (0, 0)
        assert all({"content", "caption"} <= set(data) for (type, _), data in live.items() if type == "note"), (
            "not whole"
        )
        self.world.purge()  # a text in the trash counts as lost, unless somebody deleted it who had seen it
        refused = " ".join(str(edit["fields"]) for client in self.clients for edit in client.refused())
        texts = [*self.world.live_texts(), refused]
        lost = [token for token in self.tokens if not any(token in text for text in texts)]
        assert not lost, f"lost: {lost}"
        missing = self.made - set(live)
        if self.restores:  # a note that the restored server lacks keeps its items out
            missing = {thing for thing in missing if thing[0] != "albumItem"}
        assert not missing, f"gone without a deletion: {missing}"
        assert not self.doomed & set(live), f"deleted and still there: {self.doomed & set(live)}"
