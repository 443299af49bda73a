"""Uploads: what a push carries, what its results do, and what a lost reply does not."""

import json

import pytest

from sync.device.outbox import Outbox
from sync.protocol.messages import Limits, MutationResult, PushReply, Status
from sync.protocol.problems import OutOfSequence, TooLarge
from tests.sync.reference_server import Device


def test_an_empty_outbox_pushes_nothing(phone, server):
    assert phone.sync().uploaded_items == 0
    assert server.calls == ["info"]


@pytest.mark.promise("S1-066")
def test_edits_reach_the_server(phone, server):
    id = phone.note("a")
    assert phone.sync().uploaded_items == 1
    assert server.live()["note", id]["content"] == "a"
    assert phone.pending() == {}
    assert phone.notes() == {id: "a"}


@pytest.mark.parametrize("fault", ["lose_reply", "lose_request", "delay", "repeat"])
def test_an_edit_is_applied_once_whatever_the_line_does(phone, server, fault):
    id = phone.note("a")
    phone.sync("none", fault)
    phone.sync()
    phone.sync()
    assert phone.pending() == {}
    assert server.live()["note", id]["content"] == "a"
    assert server.state.things["note", id].version & 0xFFFF == 1


def test_a_repeated_push_gets_the_same_result_and_current_rows(phone, server):
    id = phone.note("a")
    phone.sync("none", "lose_reply")
    server.edit("note", id, {"content": "page"})
    assert phone.sync().uploaded_items == 1
    assert phone.text(id) == "page"


def test_a_second_edit_while_the_first_is_on_its_way_follows_it(phone, server):
    id = phone.note("a")
    phone.sync("none", "lose_reply")
    phone.write(id, content="a b")
    result = phone.sync()
    assert (result.uploaded_items, result.conflicts_resolved) == (2, 0)
    assert server.live()["note", id]["content"] == "a b"


def test_what_others_did_while_an_edit_was_on_its_way_is_not_overwritten(phone, tablet, server):
    id = phone.note("a")
    phone.sync()
    tablet.sync()
    phone.write(id, caption="mine")
    phone.sync("none", "lose_request")
    tablet.write(id, content="tablet")
    tablet.sync()
    phone.write(id, content="phone")
    phone.sync()
    assert {"tablet", "phone"} <= set(server.live()["note", id]["content"].split())


def test_500_edits_go_with_one_push_and_501_with_two(phone, server):
    for _ in range(501):
        phone.note()
    phone.sync()
    assert server.calls.count("push") == 2
    assert len(server.live()) == 501


def test_a_push_stays_below_one_megabyte(phone, server):
    for _ in range(5):
        phone.note("é" * 150_000)
    assert phone.sync().uploaded_items == 5
    assert server.calls.count("push") == 2


def test_a_server_with_a_lower_limit_gets_smaller_pushes(phone, server, monkeypatch):
    push = server.push

    def refuse_more_than_two(device, request):
        if len(request.mutations) > 2:
            raise TooLarge("Too much.")
        return push(device, request)

    monkeypatch.setattr(server, "push", refuse_more_than_two)
    for _ in range(7):
        phone.note()
    assert phone.sync().uploaded_items == 7


def test_an_edit_that_no_request_can_carry_does_not_block_the_others(phone, server, monkeypatch):
    push = server.push

    def refuse_long(device, request):
        if "long" in request.to_json():
            raise TooLarge("Too long.")
        return push(device, request)

    monkeypatch.setattr(server, "push", refuse_long)
    phone.note("a")
    phone.note("long")
    phone.note("b")
    result = phone.sync()
    assert (result.uploaded_items, result.refused_items) == (2, 1)
    assert json.loads(phone.client.refused()[0]["fields"])["content"] == "long"
    assert phone.sync().success


def test_parents_are_sent_first_and_deletions_last(phone, server):
    note = phone.note("n")
    album = phone.client.create("album", {"title": "t", "description": ""})
    item = phone.put(album, note)
    phone.sync()
    phone.client.delete("note", note)
    phone.client.delete("albumItem", item)
    other = phone.client.create("album", {"title": "o", "description": ""})
    phone.put(other, phone.note("m"))
    result = phone.sync()
    assert (result.uploaded_items, result.refused_items) == (5, 0)
    order = [(mutation.type, mutation.op) for mutation in server.log[-5:]]
    assert order.index(("note", "create")) < order.index(("albumItem", "create"))
    assert (
        order.index(("album", "create")) < order.index(("albumItem", "create")) < order.index(("albumItem", "delete"))
    )
    assert order[-1] == ("note", "delete")


@pytest.fixture(autouse=True)
def log_mutations(server, monkeypatch):
    """Keep the mutations that the server applies in `server.log`."""
    server.log = []
    apply = server._apply
    monkeypatch.setattr(server, "_apply", lambda device, known, m: (server.log.append(m), apply(device, known, m)))


def test_a_refused_edit_is_kept_with_its_reason_and_leaves_what_the_server_has(phone, server, monkeypatch):
    id = phone.note("a")
    phone.sync()
    refusal = lambda device, m, seen: MutationResult(m.mid, Status.REJECTED, reason="too_long", detail="Too long.")  # noqa: E731
    monkeypatch.setattr(server, "_result", refusal)
    phone.write(id, content="my long text")
    result = phone.sync()
    assert (result.success, result.refused_items) == (True, 1)
    assert phone.text(id) == "a"
    [refused] = phone.client.refused()
    assert (refused["reason"], refused["detail"]) == ("too_long", "Too long.")
    assert "my long text" in refused["fields"]
    assert phone.client.status().refused == 1


def test_an_item_whose_note_is_gone_is_kept_as_refused(phone, server):
    note, album = phone.note(), phone.client.create("album", {"title": "t", "description": ""})
    phone.sync()
    server.trash("note", note)
    server.purge()
    phone.put(album, note)
    result = phone.sync()
    assert result.refused_items == 1
    assert phone.client.refused()[0]["reason"] == "missing_ref"


def test_what_is_put_into_a_note_that_an_edit_brings_back_waits_for_it(phone, server):
    note = phone.note("a")
    phone.sync()
    server.trash("note", note)
    server.purge()
    phone.write(note, content="mine")
    album = phone.client.create("album", {"title": "t", "description": ""})
    item = phone.put(album, note)
    result = phone.sync()
    assert (result.success, result.refused_items) == (True, 0)
    assert phone.text(note) == "mine"
    assert phone.client.get("albumItem", item) is not None
    assert phone.client.status().pending_uploads == {}


def test_a_reply_to_another_push_settles_nothing(phone, server):
    phone.note("a")
    phone.sync()
    phone.note("b")
    result = phone.sync("none", "old_reply")
    assert not result.success
    assert phone.pending() == {"note": 1}
    assert phone.sync().success
    assert len(server.live()) == 2


def test_mids_go_on_where_the_server_is_if_the_store_was_set_back(phone, server, tmp_path):
    phone.note("a")
    phone.sync()
    before = phone.path.read_bytes()
    phone.client.store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = phone.path.read_bytes()
    phone.note("b")
    phone.sync()
    phone.client.close()
    phone.path.write_bytes(before)
    phone.open()
    phone.note("c")
    assert phone.sync().success
    assert sorted(phone.notes().values()) == ["a", "b", "c"]


def test_two_copies_of_one_store_lose_nothing(phone, server, tmp_path):
    phone.note("a")
    phone.sync("none", "lose_request")
    phone.client.store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = phone.path.read_bytes()
    phone.note("first copy")
    phone.sync()
    phone.client.close()
    phone.path.write_bytes(before)
    phone.open()
    phone.note("second copy")
    assert phone.sync().success
    assert sorted(phone.notes().values()) == ["a", "first copy", "second copy"]


def test_a_gap_is_closed(phone, server):
    phone.note("a")
    phone.sync()
    server.state.devices.clear()
    phone.note("b")
    assert phone.sync().success
    assert len(server.live()) == 2


def test_a_server_that_refuses_every_number_is_not_asked_for_ever(phone, server, monkeypatch):
    def refuse(device, request):
        raise OutOfSequence("No.", 0)

    monkeypatch.setattr(server, "push", refuse)
    phone.note("a")
    result = phone.sync()
    assert [error.type for error in result.errors] == ["CONFLICT_ERROR"]
    assert server.calls.count("push") == 4
    assert phone.pending() == {"note": 1}


def test_another_device_of_the_same_person_takes_over_the_outbox(phone, server):
    phone.note("a")
    phone.sync("none", "lose_reply")
    phone.line._inner.device = "00000000-0000-0000-0000-00000000eeee"
    phone.note("b")
    assert phone.sync().success
    assert sorted(phone.notes().values()) == ["a", "b"]


@pytest.mark.promise("S1-X01")
def test_acknowledging_does_not_move_the_pull_cursor(phone, tablet, server):
    other = tablet.note("tablet")
    tablet.sync()
    phone.note("phone")
    phone.sync("none", "none", "none", "lose_request")  # info, push, info; the pull is lost
    assert phone.pending() == {}
    phone.sync()
    assert phone.text(other) == "tablet"


def test_the_server_is_told_how_much_waits(phone, server, monkeypatch):
    told = []
    push = server.push
    monkeypatch.setattr(
        server, "push", lambda device, request: (told.append(dict(request.pending)), push(device, request))[1]
    )
    phone.note()
    phone.client.create("album", {"title": "t", "description": ""})
    phone.sync()
    assert told == [{"album": 1, "note": 1}]


def test_a_device_that_pushed_nothing_is_unknown_to_the_count(server):
    assert server.info("00000000-0000-0000-0000-00000000abcd").acked_through == Device().acked == 0


def test_the_base_of_an_edit_is_the_version_that_was_seen(phone, server):
    id = phone.note("a")
    phone.sync()
    version = server.state.things["note", id].version
    phone.write(id, content="b")
    [edit] = Outbox(phone.client.store).of("note", id)
    assert edit.base_version == version
    assert Outbox(phone.client.store).next_batch(Limits(), phone.client._brake)[0].base.version == version


def test_a_reply_that_acknowledges_less_than_was_sent_settles_nothing(phone, server, monkeypatch):
    phone.note("a")
    monkeypatch.setattr(server, "push", lambda device, request: PushReply(0, 1, (MutationResult(1, Status.APPLIED),)))
    assert not phone.sync().success
    assert phone.pending() == {"note": 1}
