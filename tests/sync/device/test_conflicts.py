"""Two devices that did not know of each other: what is kept, and that both come to the same."""

import pytest

from sync.protocol.resolvers.keep_both import MARK


@pytest.fixture
def shared(phone, tablet):
    """A note that both have."""
    id = phone.note("a", caption="c")
    phone.sync()
    tablet.sync()
    return id


def settle(*phones):
    for phone in (*phones, *phones):
        assert phone.sync().success


def test_different_fields_are_both_kept(phone, tablet, shared, server):
    phone.write(shared, content="b")
    tablet.write(shared, caption="d")
    settle(phone, tablet)
    assert phone.client.get("note", shared) == tablet.client.get("note", shared) == {"content": "b", "caption": "d"}


@pytest.mark.parametrize(("first", "second"), [(0, 1000), (1000, 0)])
@pytest.mark.promise("S1-075")
def test_the_later_caption_wins_whoever_comes_first(phone, tablet, shared, first, second):
    phone.skew_ms, tablet.skew_ms = first, second
    phone.write(shared, caption="phone")
    tablet.write(shared, caption="tablet")
    settle(phone, tablet)
    winner = "phone" if first > second else "tablet"
    assert phone.client.get("note", shared)["caption"] == tablet.client.get("note", shared)["caption"] == winner


def test_a_clock_that_is_a_year_ahead_wins_for_five_minutes_only(phone, tablet, shared, server):
    phone.skew_ms = 365 * 24 * 3_600_000
    phone.write(shared, caption="phone")
    phone.sync()
    server.now += 10 * 60_000
    tablet.write(shared, caption="tablet")
    settle(tablet, phone)
    assert phone.client.get("note", shared)["caption"] == "tablet"


def test_a_device_whose_clock_is_behind_is_not_overruled_by_what_it_has_seen(phone, tablet, shared):
    phone.write(shared, caption="phone")
    settle(phone, tablet)
    tablet.skew_ms = -(10**8)
    tablet.write(shared, caption="tablet")
    settle(tablet, phone)
    assert phone.client.get("note", shared)["caption"] == "tablet"


@pytest.mark.promise("S1-069", "S1-077")
def test_both_bodies_are_kept(phone, tablet, shared):
    phone.write(shared, content="from the phone")
    tablet.write(shared, content="from the tablet")
    settle(phone, tablet)
    assert phone.text(shared) == tablet.text(shared) == f"from the phone\n\n{MARK}\n\nfrom the tablet"


def test_the_body_that_contains_the_other_wins(phone, tablet, shared):
    phone.write(shared, content="a b")
    tablet.write(shared, content="a b c")
    settle(phone, tablet)
    assert phone.text(shared) == tablet.text(shared) == "a b c"


def test_bodies_that_are_too_long_together_become_two_notes(phone, tablet, shared):
    phone.write(shared, content="p" * 3000)
    tablet.write(shared, content="t" * 3000)
    phone.sync()
    assert tablet.sync().conflicts_resolved == 1
    settle(phone)
    assert sorted(phone.notes().values()) == sorted(tablet.notes().values()) == ["p" * 3000, "t" * 3000]


@pytest.mark.promise("S1-X03")
def test_after_the_local_edit_was_kept_the_next_one_is_no_conflict(phone, tablet, shared, server):
    tablet.skew_ms = 1000
    phone.write(shared, caption="phone")
    tablet.write(shared, caption="tablet")
    phone.sync()
    assert tablet.sync().conflicts_resolved == 0
    assert server.live()["note", shared]["caption"] == "tablet"
    for turn in range(3):
        tablet.write(shared, caption=f"tablet {turn}")
        result = tablet.sync()
        assert (result.success, result.uploaded_items, result.conflicts_resolved) == (True, 1, 0)
    settle(phone)
    assert phone.client.get("note", shared)["caption"] == "tablet 2"


def test_a_merge_is_edited_on_without_another_conflict(phone, tablet, shared):
    phone.write(shared, content="p")
    tablet.write(shared, content="t")
    settle(phone, tablet)
    tablet.write(shared, content=tablet.text(shared).replace(MARK, "and"))
    result = tablet.sync()
    assert (result.uploaded_items, result.conflicts_resolved) == (1, 0)


def test_an_edit_made_before_the_merge_was_seen_does_not_undo_it(phone, tablet, shared):
    phone.write(shared, content="p")
    phone.sync()
    tablet.write(shared, content="t1")
    tablet.sync("none", "lose_reply")
    tablet.write(shared, content="t2")
    settle(tablet, phone)
    assert "p" in phone.text(shared)
    assert "t2" in phone.text(shared)


def test_the_same_edit_on_both_is_no_conflict(phone, tablet, shared):
    phone.write(shared, content="same")
    tablet.write(shared, content="same")
    phone.sync()
    assert tablet.sync().conflicts_resolved == 0


def test_two_devices_that_add_the_same_note_to_an_album_add_one_item(phone, tablet, shared):
    album = phone.client.create("album", {"title": "t", "description": ""})
    settle(phone, tablet)
    assert phone.put(album, shared) == tablet.put(album, shared)
    settle(phone, tablet)
    assert len(list(phone.client.items("albumItem"))) == len(list(tablet.client.items("albumItem"))) == 1


def test_a_conflict_counts(phone, tablet, shared):
    phone.write(shared, content="p")
    tablet.write(shared, content="t")
    phone.sync()
    result = tablet.sync()
    assert (result.uploaded_items, result.conflicts_resolved) == (1, 1)


def test_three_devices_come_to_the_same_in_any_order(phone, tablet, phones, shared):
    third = phones()
    for number, device in enumerate([phone, tablet, third]):
        device.write(shared, content=f"text {number}", caption=str(number))
    settle(third, phone, tablet)
    texts = {device.text(shared) for device in (phone, tablet, third)}
    assert len(texts) == 1
    assert all(
        f"text {number}" in texts.pop() if number == 2 else f"text {number}" in min(texts) for number in range(3)
    )


def test_seven_days_apart_both_keep_every_text(phone, tablet, server):
    ids = [phone.note(f"note {number}") for number in range(20)]
    settle(phone, tablet)
    for turn in range(5):
        for number, id in enumerate(ids):
            phone.write(id, content=f"{phone.text(id)} p{number}.{turn}")
            tablet.write(id, content=f"{tablet.text(id)} t{number}.{turn}")
        server.now += 86_400_000
    settle(phone, tablet)
    assert phone.notes() == tablet.notes()
    for number, id in enumerate(ids):
        assert all(f"{side}{number}.{turn}" in phone.text(id) for side in "pt" for turn in range(5))
