"""Downloads: pages, cursors, starting over, scopes that come and go, and things whose parents are not there yet."""

import uuid

import pytest

from sync.device import pulled
from sync.protocol.messages import ChangesReply, Row
from tests.sync.faults import Crash
from tests.sync.reference_server import Thing


@pytest.mark.promise("S1-067")
def test_what_another_device_wrote_comes(phone, tablet):
    id = phone.note("a")
    phone.sync()
    result = tablet.sync()
    assert (tablet.notes(), result.downloaded_items) == ({id: "a"}, 1)


def test_nothing_new_costs_one_request(phone, server):
    phone.note()
    phone.sync()
    phone.sync()
    assert server.calls == ["info"]


def test_only_what_changed_comes(phone, tablet):
    for number in range(5):
        phone.note(str(number))
    phone.sync()
    tablet.sync()
    phone.write(next(iter(phone.notes())), content="new")
    phone.sync()
    assert tablet.sync().downloaded_items == 1


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 8])
def test_pages_of_any_size_bring_the_same(phone, tablet, server, rows):
    for number in range(7):
        phone.note(str(number))
    phone.sync()
    server.limits = type(server.limits)(rows=rows)
    assert tablet.sync().downloaded_items == 7
    assert tablet.notes() == phone.notes()
    assert server.calls.count("changes") == -(-7 // rows)


def test_pages_take_effect_together_with_the_last_one(phone, tablet, server):
    for number in range(4):
        phone.note(str(number))
    phone.sync()
    server.limits = type(server.limits)(rows=2)
    tablet.sync("none", "none", "lose_reply")
    assert tablet.notes() == {}
    result = tablet.sync()
    assert (len(tablet.notes()), result.downloaded_items) == (4, 4)
    assert server.calls == ["info", "changes"]  # the first page is not asked for again


@pytest.mark.parametrize("fault", ["crash_before", "crash_after"])
@pytest.mark.parametrize("call", range(5))
def test_a_device_that_dies_at_any_request_goes_on(phone, tablet, server, fault, call):
    for number in range(4):
        phone.note(str(number))
    phone.sync()
    server.limits = type(server.limits)(rows=2)
    tablet.note("own")
    with pytest.raises(Crash):
        tablet.sync(*["none"] * call, fault)
    tablet.restart()
    assert tablet.sync().success
    assert sorted(tablet.notes().values()) == ["0", "1", "2", "3", "own"]
    assert len(server.live()) == 5
    assert tablet.client.verify() == []


def test_a_row_that_changed_between_two_pages_comes_in_its_newer_form(phone, tablet, server):
    ids = [phone.note(str(number)) for number in range(4)]
    phone.sync()
    server.limits = type(server.limits)(rows=2)
    tablet.sync("none", "none", "lose_reply")
    server.edit("note", ids[0], {"content": "new"})
    tablet.sync()
    assert tablet.text(ids[0]) == "new"
    assert len(tablet.notes()) == 4


def test_a_page_that_answers_another_request_is_not_taken(phone, tablet, server):
    tablet.sync()
    for number in range(3):
        phone.note(str(number))
    phone.sync()
    server.limits = type(server.limits)(rows=1)
    assert not tablet.sync("none", "none", "old_reply").success
    assert tablet.sync().success
    assert tablet.notes() == phone.notes()


def test_a_page_without_progress_ends_the_pull(phone, server, monkeypatch):
    server.state.counters[f"user:{server.user}"] += 1
    monkeypatch.setattr(
        server, "changes", lambda device, request: ChangesReply(request.scope, (), request.cursor or "x", True)
    )
    assert not phone.sync().success


@pytest.mark.promise("S1-U11")
def test_the_cursor_does_not_move_if_the_rows_cannot_be_stored(phone, tablet, server, monkeypatch):
    phone.note("a")
    last = phone.note("b")
    phone.sync()
    scope = f"user:{server.user}"
    before = tablet.client._pulled.progress(scope)
    values_of = pulled.values_of
    monkeypatch.setattr(pulled, "values_of", lambda row: (None,) * 7 if row.id == last else values_of(row))
    result = tablet.sync()
    assert [error.type for error in result.errors] == ["STORAGE_ERROR"]
    assert tablet.client._pulled.progress(scope) == before
    assert tablet.notes() == {}
    monkeypatch.undo()
    assert tablet.sync().success
    assert tablet.notes() == phone.notes()
    cursor = tablet.client._pulled.progress(scope).cursor
    phone.note("c")
    phone.sync()
    assert not tablet.sync("none", "old_reply").success  # the page of before comes again
    assert server.calls == ["info", "changes"]
    assert tablet.client._pulled.progress(scope).cursor == cursor
    assert tablet.sync().success
    assert tablet.notes() == phone.notes()


def test_an_old_row_does_not_replace_a_newer_one(phone, server):
    id = phone.note("a")
    phone.sync()
    [(scope, version, _, _)] = phone.client.store.rows_of("note", id)
    phone.client.store.put(Row(scope, "note", id, version - 1, {"content": "old"}))
    assert phone.text(id) == "a"


def collected(server, *ids):
    for id in ids:
        server.trash("note", id)
    server.purge()
    server.collect()


@pytest.mark.promise("S1-X05")
def test_a_cursor_below_the_floor_starts_over_and_finds_what_is_gone(phone, tablet, server):
    kept, gone, trashed = phone.note("kept"), phone.note("gone"), phone.note("trashed")
    phone.sync()
    tablet.sync()
    collected(server, gone)
    server.trash("note", trashed)  # this deletion is among the rows of a pull from zero
    server.edit("note", kept, {"content": "new"})
    assert tablet.sync().success
    assert tablet.notes() == {kept: "new"}


def test_starting_over_keeps_the_outbox_and_what_it_was_made_on(phone, tablet, server):
    id = phone.note("whole", caption="caption")
    phone.sync()
    tablet.sync()
    tablet.write(id, content="whole, edited")
    tablet.sync("none", "lose_request")
    collected(server, id)
    tablet.note("other")
    assert tablet.sync().success
    assert server.live()["note", id] == {"content": "whole, edited", "caption": "caption"}


def test_the_old_rows_stay_until_the_new_ones_are_complete(phone, tablet, server):
    ids = [phone.note(str(number)) for number in range(4)]
    phone.sync()
    tablet.sync()
    collected(server, ids[0])
    server.limits = type(server.limits)(rows=1)
    tablet.sync("none", "none", "none", "lose_reply")
    assert len(tablet.notes()) == 4
    tablet.sync()
    assert len(tablet.notes()) == 3


def test_a_pull_from_zero_that_began_at_the_floor_goes_on_when_the_floor_rises_for_another(phone, tablet, server):
    for number in range(4):
        phone.note(str(number))
    phone.sync()
    server.limits = type(server.limits)(rows=1)
    tablet.sync("none", "none", "none", "lose_reply")
    other = phone.note("other")
    phone.sync()
    collected(server, other)
    assert tablet.sync().success
    assert len(tablet.notes()) == 4


def test_a_cursor_that_is_refused_again_and_again_ends_the_pull(phone, server, monkeypatch):
    from sync.protocol.problems import StartOver

    def refuse(device, request):
        raise StartOver("Again.")

    server.state.counters[f"user:{server.user}"] += 1
    monkeypatch.setattr(server, "changes", refuse)
    assert not phone.sync().success
    assert server.calls.count("changes") == 2


def test_a_new_album_is_a_scope_of_its_own(phone, tablet):
    album = phone.client.create("album", {"title": "Rome", "description": ""})
    phone.sync()
    tablet.sync()
    assert tablet.client.get("album", album)["title"] == "Rome"
    assert f"album:{album}" in tablet.client.store.scopes()


def test_a_scope_that_ended_is_emptied_and_edits_in_it_are_kept_as_refused(phone, tablet, server):
    album = phone.client.create("album", {"title": "Rome", "description": ""})
    phone.sync()
    tablet.sync()
    tablet.client.patch("album", album, {"description": "my words"})
    server.end_scope(f"album:{album}")
    server.state.tombstones.clear()
    phone.sync()
    assert phone.client.get("album", album) is None
    assert phone.client.store.rows_of("album", album) == []
    assert f"album:{album}" not in phone.client.store.scopes()


def test_a_scope_that_is_merely_missing_from_the_list_keeps_its_rows(phone, server):
    album = phone.client.create("album", {"title": "Rome", "description": ""})
    phone.sync()
    counters = dict(server.state.counters)
    del server.state.counters[f"album:{album}"]
    phone.sync()
    assert phone.client.get("album", album)["title"] == "Rome"
    server.state.counters.update(counters)
    assert phone.sync().success


def test_one_scope_that_fails_does_not_keep_the_others_back(phone, tablet, server, monkeypatch):
    album = phone.client.create("album", {"title": "Rome", "description": ""})
    id = phone.note("a")
    phone.sync()
    changes = server.changes

    def fail_for_albums(device, request):
        if request.scope.startswith("album"):
            from sync.device.transport import NotThere

            raise NotThere("Nothing here.")
        return changes(device, request)

    monkeypatch.setattr(server, "changes", fail_for_albums)
    assert [error.message for error in tablet.sync().errors] == [f"album:{album}: Nothing here."]
    assert tablet.notes() == {id: "a"}


def test_an_item_is_shown_when_its_note_has_come(phone, tablet, server):
    note, album = phone.note("n"), phone.client.create("album", {"title": "t", "description": ""})
    item = phone.put(album, note)
    phone.sync()
    tablet.sync("none", "none", "lose_reply")  # the scope of albums comes before the user's
    assert tablet.client.view.dangling("albumItem") == [item]
    assert list(tablet.client.items("albumItem")) == []
    tablet.sync()
    assert [id for id, _ in tablet.client.items("albumItem")] == [item]


def test_kinds_that_are_not_followed_leave_nothing_dangling(phone, phones):
    album = phone.client.create("album", {"title": "t", "description": ""})
    item = phone.put(album, phone.note("n"))
    phone.sync()
    viewer = phones(kinds=frozenset({"album", "albumItem"}))
    assert viewer.notes() == {}
    assert [id for id, _ in viewer.client.items("albumItem")] == [item]


def test_following_more_kinds_brings_what_was_left_out(phone, phones):
    id = phone.note("n")
    phone.sync()
    viewer = phones(kinds=frozenset({"album"}))
    viewer.options = {}
    viewer.restart()
    assert viewer.sync().success
    assert viewer.notes() == {id: "n"}


def test_a_thing_in_two_scopes_is_read_from_its_home(phone, server):
    id = phone.note("home")
    phone.sync()
    phone.client.store.put(Row("album:x", "note", id, 2**50, {"content": "as shown in an album"}))
    assert phone.text(id) == "home"


def test_drift_is_noticed_and_repaired(phone, server):
    id = phone.note("a")
    phone.sync()
    assert phone.client.verify() == []
    server.state.things["note", str(uuid.UUID(int=5))] = Thing(
        f"user:{server.user}", {"content": "unnumbered", "caption": ""}, 1
    )
    assert phone.client.verify() == [f"user:{server.user}"]
    phone.sync()
    assert sorted(phone.notes().values()) == ["a", "unnumbered"]
    assert phone.client.verify() == []
    assert id in phone.notes()


def test_an_incomplete_scope_is_not_compared(phone, tablet):
    phone.note("a")
    phone.sync()
    assert tablet.client.verify() == []


def test_a_restored_server_is_followed_and_what_it_lost_is_kept_aside(phone, tablet, server):
    old = phone.note("old")
    phone.sync()
    backup = server.backup()
    phone.note("after the backup")
    phone.write(old, content="changed after the backup")
    phone.sync()
    tablet.sync()
    tablet.note("waits")
    server.restore(backup)
    assert phone.sync().success
    assert tablet.sync().success
    phone.sync()
    assert sorted(phone.notes().values()) == sorted(tablet.notes().values()) == ["old", "waits"]
    copy = phone.path.with_name(phone.path.name + ".epoch-1")
    assert b"after the backup" in copy.read_bytes()


def test_an_edit_that_was_applied_before_the_backup_is_not_applied_twice(phone, server):
    id = phone.note("a")
    phone.sync()
    phone.write(id, content="b")
    phone.sync("none", "lose_reply")
    backup = server.backup()
    server.edit("note", id, {"content": "page"})
    backup = server.backup()
    server.restore(backup)
    phone.sync()
    assert server.live()["note", id]["content"] == "page"


def test_an_older_epoch_is_an_old_reply(phone, server):
    server.restore(server.backup())
    phone.sync()
    server.state.epoch -= 1
    assert not phone.sync().success
    assert phone.client.store.recall("epoch") == "2"
