"""What an edit that waits hides was seen by nobody here: nothing that is done next counts as having seen it."""

import uuid

import pytest

from sync.device.outbox import Outbox


@pytest.fixture
def shared(phone, tablet):
    """A note that both have."""
    id = phone.note("a b", caption="c")
    phone.sync()
    tablet.sync()
    return id


def meets(phone, call, work, *then):
    """Let `work` happen on the phone while a `call` is on its way, with what the tablet wrote in the reply."""
    phone.line.meanwhile = work
    phone.line.faults_of = {call: ["meanwhile", *then]}
    phone.sync()
    phone.line.faults_of = {}


def settle(*phones):
    for phone in (*phones, *phones):
        assert phone.sync().success


def test_a_deletion_has_not_seen_what_an_edit_that_waits_hides(phone, tablet, shared, server):
    tablet.write(shared, content="a b tablet")
    tablet.sync()
    meets(phone, "changes", lambda: phone.write(shared, content="a b phone"))
    assert phone.text(shared) == "a b phone"
    phone.client.delete("note", shared)
    settle(phone, tablet)
    assert (
        server.live()["note", shared] == phone.client.get("note", shared) == {"content": "a b tablet", "caption": "c"}
    )


def test_a_deletion_has_seen_what_others_wrote_into_other_fields(phone, tablet, shared, server):
    tablet.write(shared, caption="tablet")
    tablet.sync()
    meets(phone, "changes", lambda: phone.write(shared, content="a b phone"))
    assert phone.client.get("note", shared) == {"content": "a b phone", "caption": "tablet"}
    phone.client.delete("note", shared)
    settle(phone, tablet)
    assert server.live() == {}


def test_a_deletion_has_not_seen_the_merge_of_an_earlier_edit(phone, tablet, shared, server):
    tablet.write(shared, content="a b tablet")
    tablet.sync()
    phone.write(shared, content="a b phone")
    meets(phone, "push", lambda: phone.write(shared, content="a"), "lose_request")  # part of the merge: changes nothing
    assert phone.text(shared) == "a"
    phone.client.delete("note", shared)
    settle(phone, tablet)
    assert "a b tablet" in server.live()["note", shared]["content"]


def test_a_deletion_has_seen_earlier_edits_of_this_device(phone, shared, server):
    phone.write(shared, content="a b phone")
    meets(phone, "push", lambda: phone.write(shared, content="a b phone 2"), "lose_request")
    phone.client.delete("note", shared)
    settle(phone)
    assert server.live() == {}


def test_what_is_made_again_does_not_replace_what_a_deletion_that_waits_hides(phone, tablet, shared, server):
    tablet.write(shared, content="a b tablet")
    tablet.sync()
    meets(phone, "changes", lambda: phone.client.delete("note", shared))
    phone.client.create("note", {"content": "again", "caption": ""}, shared)
    settle(phone, tablet)
    content = server.live()["note", shared]["content"]
    assert "a b tablet" in content
    assert "again" in content


def test_a_creation_after_an_edit_that_waits_does_not_replace_what_that_hides(phone, tablet, shared, server):
    tablet.write(shared, content="a b tablet")
    tablet.sync()
    meets(phone, "changes", lambda: phone.write(shared, content="a b phone"))
    phone.client.create("note", {"caption": "phone"}, shared)
    settle(phone, tablet)
    content = server.live()["note", shared]["content"]
    assert "a b tablet" in content
    assert "a b phone" in content


def test_what_both_made_is_not_deleted_by_one_who_saw_only_their_own(phone, tablet, server):
    id = str(uuid.UUID(int=7))
    tablet.client.create("note", {"content": "tablet", "caption": ""}, id)
    tablet.sync()
    meets(phone, "changes", lambda: phone.client.create("note", {"content": "phone", "caption": ""}, id))
    assert phone.text(id) == "phone"
    phone.client.delete("note", id)
    settle(phone, tablet)
    assert server.live()["note", id]["content"] == phone.text(id) == "tablet"


def test_a_second_edit_has_not_seen_what_the_first_hides(phone, tablet, shared, server):
    """The first is part of what the tablet wrote, so the server leaves that; the second must not replace it."""
    tablet.write(shared, content="a b tablet")
    tablet.sync()
    meets(phone, "changes", lambda: phone.write(shared, content="a"))
    phone.write(shared, content="a phone")
    settle(phone, tablet)
    content = server.live()["note", shared]["content"]
    assert "a b tablet" in content
    assert "a phone" in content


def test_edits_of_a_hidden_and_of_a_seen_field_become_one_in_the_end(phone, tablet, shared, server):
    """However long one goes on between the two: what waits does not grow."""
    tablet.write(shared, content="a b tablet", caption="tablet")
    tablet.sync()
    meets(phone, "changes", lambda: phone.write(shared, content="a b phone"))
    for number in range(5):
        phone.write(shared, caption=f"phone {number}")
        phone.write(shared, content=f"a b phone {number}")
    assert len(Outbox(phone.client.store).of("note", shared)) == 1
    settle(phone, tablet)
    live = server.live()["note", shared]
    assert live["caption"] == "phone 4"
    assert "a b tablet" in live["content"]
    assert "a b phone 4" in live["content"]


def test_two_edits_of_what_was_deleted_for_good_both_come_back(phone, tablet, shared, server):
    tablet.write(shared, caption="tablet")
    tablet.sync()
    meets(phone, "changes", lambda: phone.write(shared, content="a b one"))
    phone.write(shared, content="a b one two", caption="both")
    server.trash("note", shared)
    server.purge()
    settle(phone, tablet)
    assert server.live()["note", shared] == {"content": "a b one two", "caption": "both"}


def test_a_pull_from_zero_keeps_what_an_edit_that_waits_needs_to_come_back_whole(phone, shared, server):
    server.trash("note", shared)
    server.purge()
    server.collect()
    meets(phone, "changes", lambda: phone.write(shared, content="a b phone"))
    assert phone.client.get("note", shared) == {"content": "a b phone", "caption": "c"}
    settle(phone)
    assert server.live()["note", shared] == {"content": "a b phone", "caption": "c"}
