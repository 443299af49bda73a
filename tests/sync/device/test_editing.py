"""Writing and reading on a device, without a network: the outbox, and what edits of one thing become together."""

import itertools
import uuid

import pytest

from sync.device.collapse import Apart, Pending, collapse
from sync.device.outbox import Outbox
from sync.protocol.messages import Op

C, U, D = Op.CREATE, Op.PATCH, Op.DELETE


@pytest.mark.promise("S1-030")
def test_what_is_written_is_there_at_once_and_after_a_restart(phone):
    id = phone.note("milk")
    phone.write(id, content="milk, bread")
    other, album = phone.note("other"), phone.client.create("album", {"title": "t", "description": ""}, id)
    phone.restart()
    assert phone.notes() == {id: "milk, bread", other: "other"}
    assert phone.pending() == {"album": 1, "note": 2}
    for type, key, texts in (
        ("note", id, {"content": "milk, bread", "caption": ""}),
        ("note", other, {"content": "other", "caption": ""}),
        ("album", album, {"title": "t", "description": ""}),  # of the same id as a note
    ):
        edits = Outbox(phone.client.store).of(type, key)
        assert [(edit.type, edit.id, edit.op, edit.fields) for edit in edits] == [(type, key, C, texts)]


@pytest.mark.promise("S1-008", "S1-021", "S1-032", "S1-074")
def test_every_write_is_in_the_store_and_waits_there_before_a_server_hears_of_it(phone, server):
    kept, changed, gone = (phone.note(text) for text in ("kept", "old", "gone"))
    phone.sync()
    server.calls.clear()
    phone.write(changed, content="new")
    phone.client.delete("note", gone)
    made = phone.note("made")
    phone.restart()
    assert server.calls == []
    assert phone.notes() == {kept: "kept", changed: "new", made: "made"}
    assert (phone.text(changed), phone.client.get("note", gone)) == ("new", None)
    edits = {id: Outbox(phone.client.store).of("note", id) for id in (kept, changed, gone, made)}
    assert {id: [edit.op for edit in waiting] for id, waiting in edits.items()} == {
        kept: [],
        changed: [U],
        gone: [D],
        made: [C],
    }
    assert phone.pending() == {"note": 3}


def test_an_edit_needs_no_server(phones, server):
    phone = phones()
    server.calls.clear()
    phone.write(phone.note(), content="b")
    assert server.calls == []


def test_a_thing_has_the_id_that_it_was_given(phone):
    id = str(uuid.uuid4())
    assert phone.client.create("note", {"content": "a", "caption": ""}, id) == id


def test_a_patch_leaves_other_fields(phone):
    id = phone.note("a", caption="c")
    phone.write(id, content="b")
    assert phone.client.get("note", id) == {"content": "b", "caption": "c"}


def test_what_is_not_there_cannot_be_changed(phone):
    with pytest.raises(KeyError, match="There is no note"):
        phone.write(str(uuid.uuid4()), content="a")
    with pytest.raises(KeyError, match="There is no note"):
        phone.client.delete("note", str(uuid.uuid4()))
    assert phone.pending() == {}


def test_what_was_deleted_cannot_be_changed(phone):
    id = phone.note()
    phone.sync()
    phone.client.delete("note", id)
    with pytest.raises(KeyError, match="There is no note"):
        phone.write(id, content="a")
    assert phone.text(id) is None


@pytest.mark.parametrize(
    ("type", "fields", "sentence"),
    [
        ("song", {}, "The server knows no 'song', only album, albumItem, note."),
        ("note", {"owner": "me"}, "note has no field 'owner' that may be written."),
        ("note", {"content": "a\0b"}, "A text has a NUL character in it. Leave it out."),
        ("note", {"content": ["\ud800"]}, "A text has half of a character in it. Leave it out."),
        ("note", {"content": float("nan")}, "A number is not finite. Leave it out."),
        (
            "note",
            {"content": "x" * 1_100_000},
            "The edit has 1,100,014 bytes, more than a request may have. Make it shorter.",
        ),
    ],
)
def test_what_no_server_could_store_is_refused_at_once(phone, type, fields, sentence):
    with pytest.raises(ValueError, match=r".") as caught:
        phone.client.create(type, fields)
    assert str(caught.value) == sentence
    assert phone.pending() == {}


def test_texts_are_composed(phone):
    id = phone.note("Cafe\u0301")
    assert phone.text(id) == "Caf\u00e9"


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [(C, U, C), (C, D, None), (U, D, D), (U, C, C), (D, C, C), (D, U, C), (C, C, C), (U, U, U), (D, D, D)],
)
def test_two_edits_become_one(first, second, outcome):
    one = Pending(first, {} if first is D else {"a": 1, "b": 1}, None if first is C else 5)
    two = Pending(second, {} if second is D else {"b": 2}, None if first is C else 5)
    both = collapse(one, two, {"a": 0, "c": 0})
    assert (both.op if both else None) is outcome
    if both and outcome is not D:
        assert both.fields["b"] == 2
        assert both.fields["a"] == (0 if first is D else 1)
        assert ("c" in both.fields) == (first is D)
        assert both.base_version == (None if first is C else 5)


def test_made_again_and_deleted_is_a_deletion_of_what_the_server_has():
    again = collapse(Pending(D, {}, 5), Pending(C, {"a": 1}, 5), {})
    assert collapse(again, Pending(D, {}, 5), {}) == Pending(D, {}, 5)


def test_a_deletion_after_a_newer_version_was_seen_says_so():
    assert collapse(Pending(U, {"a": 1}, 5), Pending(D, {}, 7), {}) == Pending(D, {}, 7)


def test_patches_on_different_versions_stay_two():
    with pytest.raises(Apart):
        collapse(Pending(U, {"a": 1}, 5), Pending(U, {"a": 2}, 7), {})


def test_an_edit_that_was_sent_is_never_changed(phone):
    id = phone.note("a")
    phone.sync("none", "lose_reply")
    phone.write(id, content="b")
    first, second = Outbox(phone.client.store).of("note", id)
    assert (first.mid, first.op, first.fields["content"]) == (1, C, "a")
    assert (second.mid, second.op, second.fields, second.base_seq) == (None, U, {"content": "b"}, first.seq)


def test_deleted_after_it_was_sent_is_not_nothing(phone, server):
    id = phone.note()
    phone.sync("none", "lose_reply")
    phone.client.delete("note", id)
    phone.note()
    phone.client.create("note", {"content": "again", "caption": ""}, id)
    phone.client.delete("note", id)
    phone.sync()
    assert ("note", id) not in server.live()
    assert len(server.live()) == 1


def test_an_album_that_never_left_takes_its_items_along(phone, server):
    note, album = phone.note(), phone.client.create("album", {"title": "t", "description": ""})
    phone.put(album, note)
    phone.client.delete("album", album)
    assert phone.pending() == {"note": 1}
    assert phone.sync().success
    assert phone.client.refused() == []


def test_any_history_of_one_thing_ends_as_the_person_saw_it(phones, server):
    """All sequences of four edits, with a reply lost at each place."""
    phone = phones()
    for number, (ops, lost) in enumerate(
        itertools.product(itertools.product([C, U, D, "sync"], repeat=3), [None, 0, 1])
    ):
        id = str(uuid.UUID(int=number + 10))
        for place, op in enumerate([C, *ops]):
            there = phone.client.get("note", id) is not None
            if op == "sync":
                phone.sync("none", "lose_reply" if place == lost else "none")
            elif op is C:
                phone.client.create("note", {"content": str(place), "caption": ""}, id)
            elif op is U and there:
                phone.write(id, content=str(place))
            elif op is D and there:
                phone.client.delete("note", id)
        seen = phone.client.get("note", id)
        assert phone.sync().success
        assert server.live().get(("note", id)) == phone.client.get("note", id) == seen, (ops, lost)
