"""Deletions: never over edits that wait, never of what was merely not listed, and never many at once without a confirmation."""

import pytest

from sync.device.brake import Brake
from sync.device.exchange import Exchange


@pytest.fixture
def shared(phone, tablet):
    id = phone.note("a", caption="c")
    phone.sync()
    tablet.sync()
    return id


def test_a_deletion_reaches_the_other_device(phone, tablet, shared):
    phone.client.delete("note", shared)
    phone.sync()
    tablet.sync()
    assert tablet.notes() == {}


def test_what_is_restored_from_the_trash_comes_back(phone, tablet, shared, server):
    phone.client.delete("note", shared)
    phone.sync()
    tablet.sync()
    thing = server.state.things["note", shared]
    thing.trashed = False
    server._bump(thing)
    tablet.sync()
    assert tablet.text(shared) == "a"


@pytest.mark.promise("S1-X04")
@pytest.mark.parametrize("how", ["trash", "purge", "collect"])
def test_an_edit_that_waits_beats_a_deletion_and_brings_the_thing_back_whole(phone, tablet, shared, server, how):
    tablet.write(shared, caption="edited")
    server.trash("note", shared)
    if how != "trash":
        server.purge()
    if how == "collect":
        server.collect()
    tablet.sync("none", "lose_request")  # the push fails, so the deletion is pulled next time, or this time
    tablet.client._transport.faults = []
    assert tablet.text(shared) == "a"
    for device in (tablet, phone, tablet):
        assert device.sync().success
    assert server.live()["note", shared] == {"content": "a", "caption": "edited"}
    assert (
        phone.client.get("note", shared) == tablet.client.get("note", shared) == {"content": "a", "caption": "edited"}
    )
    assert tablet.pending() == {}


def only_pull(phone):
    """Synchronise without sending what waits, as if it had been written while the pull was under way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Exchange, "_push", lambda self, info, result: False)
        assert phone.sync().success


@pytest.mark.promise("S1-041", "S1-070")
def test_a_deletion_that_was_pulled_does_not_hide_what_is_edited(phone, tablet, shared, server):
    tablet.write(shared, caption="edited")
    server.trash("note", shared)
    only_pull(tablet)
    assert [is_deleted for _, _, is_deleted, _ in tablet.client.store.rows_of("note", shared)] == [True]
    assert tablet.client.get("note", shared) == {"content": "a", "caption": "edited"}
    tablet.restart()
    assert tablet.client.get("note", shared) == {"content": "a", "caption": "edited"}
    assert tablet.sync().success
    assert server.live()["note", shared]["caption"] == "edited"


@pytest.mark.promise("S1-042")
def test_a_deletion_loses_to_an_edit_that_it_has_not_seen(phone, tablet, shared, server):
    scope = f"user:{server.user}"
    cursor = tablet.client._pulled.progress(scope).cursor
    tablet.write(shared, content="edited")
    tablet.sync("none", "none", "none", "lose_request")  # pushed, and newer than the cursor, which stays
    assert (tablet.pending(), tablet.client._pulled.progress(scope).cursor) == ({}, cursor)
    phone.client.delete("note", shared)
    result = phone.sync()
    assert result.conflicts_resolved == 1
    assert phone.text(shared) == "edited"
    tablet.sync()
    assert tablet.notes() == phone.notes() == {shared: "edited"}


def test_a_deletion_wins_over_an_edit_that_it_has_seen(phone, tablet, shared):
    tablet.write(shared, content="edited")
    tablet.sync()
    phone.sync()
    phone.client.delete("note", shared)
    phone.sync()
    tablet.sync()
    assert phone.notes() == tablet.notes() == {}


def test_both_delete_and_nothing_comes_back(phone, tablet, shared, server):
    phone.client.delete("note", shared)
    tablet.client.delete("note", shared)
    assert phone.sync().conflicts_resolved == tablet.sync().conflicts_resolved == 0
    assert server.live() == {}


def test_the_first_sync_takes_deletions_of_things_it_never_saw(phone, phones, shared, server):
    server.trash("note", shared)
    newcomer = phones()
    assert newcomer.notes() == {}


@pytest.mark.parametrize("mine", ["add", "remove"])
def test_what_waits_for_an_item_is_shown_over_what_came_and_an_addition_stays(phone, tablet, shared, mine):
    album = phone.client.create("album", {"title": "t", "description": ""})
    phone.sync()
    tablet.sync()
    item = phone.put(album, shared)
    phone.sync()
    tablet.sync()
    if mine == "remove":
        tablet.client.delete("albumItem", item)
        phone.client.patch("albumItem", item, {"position": "b"})
        phone.sync()
        only_pull(tablet)
        [(_, _, is_deleted, fields)] = tablet.client.store.rows_of("albumItem", item)
        assert (is_deleted, fields["position"]) == (False, "b")
        assert tablet.client.get("albumItem", item) is None
        assert tablet.sync().conflicts_resolved == 1  # it had not seen the change, so nothing is removed
        assert tablet.client.get("albumItem", item)["position"] == "b"
        return
    phone.client.delete("albumItem", item)
    tablet.client.delete("albumItem", item)
    tablet.put(album, shared)
    phone.sync()
    only_pull(tablet)
    assert [is_deleted for _, _, is_deleted, _ in tablet.client.store.rows_of("albumItem", item)] == [True]
    assert tablet.client.get("albumItem", item) is not None
    tablet.sync()
    phone.sync()
    assert phone.client.get("albumItem", item) is not None


def test_an_item_that_a_machine_moved_is_not_removed_unseen(phone, tablet, shared, server):
    album = phone.client.create("album", {"title": "t", "description": ""})
    item = phone.put(album, shared)
    phone.sync()
    server.machine_edit("albumItem", item, {"position": "b"})
    phone.client.delete("albumItem", item)
    assert phone.sync().conflicts_resolved == 1
    assert phone.client.get("albumItem", item)["position"] == "b"


def test_nothing_is_kept_of_what_was_deleted_once_nothing_waits(phone, tablet, shared, server):
    tablet.client.delete("note", shared)
    server.trash("note", shared)
    tablet.sync()
    rows = tablet.client.store.db.execute("SELECT count(*) FROM row WHERE data IS NOT NULL").fetchone()[0]
    assert rows == 0


@pytest.mark.parametrize(
    ("deletions", "there", "holds"),
    [
        (4, 4, False),
        (5, 24, True),
        (5, 25, False),
        (20, 100, False),
        (21, 100, True),
        (99, 1000, False),
        (100, 1000, True),
    ],
)
def test_the_brake(deletions, there, holds):
    assert Brake().holds(deletions, there) is holds


def many(phone, count):
    ids = [phone.note(str(number)) for number in range(count)]
    phone.sync()
    return ids


def test_many_deletions_from_the_server_wait_for_a_confirmation(phone, tablet, server):
    ids = many(phone, 20)
    tablet.sync()
    for id in ids[:10]:
        server.trash("note", id)
    result = tablet.sync()
    assert (result.success, result.held_deletions, len(tablet.notes())) == (True, 10, 20)
    assert tablet.client.status().held_deletions == 10
    tablet.client.confirm_deletions()
    assert tablet.sync().held_deletions == 0
    assert len(tablet.notes()) == 10


def test_a_confirmation_is_for_as_many_as_were_shown(phone, tablet, server):
    ids = many(phone, 20)
    tablet.sync()
    for id in ids[:10]:
        server.trash("note", id)
    tablet.sync()
    tablet.client.confirm_deletions()
    server.trash("note", ids[10])
    assert tablet.sync().held_deletions == 11
    assert len(tablet.notes()) == 20


def test_deletions_that_were_taken_back_are_not_held(phone, tablet, server):
    ids = many(phone, 20)
    tablet.sync()
    for id in ids[:10]:
        server.trash("note", id)
    tablet.sync()
    for id in ids[:10]:
        server.state.things["note", id].trashed = False
        server._bump(server.state.things["note", id])
    assert tablet.sync().held_deletions == 0
    assert len(tablet.notes()) == 20


def test_a_pull_from_zero_that_lacks_many_waits_too(phone, tablet, server):
    ids = many(phone, 20)
    tablet.sync()
    for id in ids[:10]:
        server.trash("note", id)
    server.purge()
    server.collect()
    assert tablet.sync().held_deletions == 10
    assert len(tablet.notes()) == 20
    tablet.client.confirm_deletions()
    tablet.sync()
    assert len(tablet.notes()) == 10


def test_many_deletions_here_wait_while_other_edits_go(phone, server):
    ids = many(phone, 20)
    for id in ids[:10]:
        phone.client.delete("note", id)
    phone.note("new")
    result = phone.sync()
    assert (result.success, result.uploaded_items, result.held_deletions) == (True, 1, 10)
    assert len(server.live()) == 21
    phone.client.confirm_deletions()
    assert phone.sync().uploaded_items == 10
    assert len(server.live()) == 11


def test_a_few_deletions_need_no_confirmation(phone, server):
    ids = many(phone, 20)
    for id in ids[:4]:
        phone.client.delete("note", id)
    assert phone.sync().held_deletions == 0
    assert len(server.live()) == 16
