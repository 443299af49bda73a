"""Ids that two devices make alike, and positions that follow each other."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from sync.protocol.ids import album_item_id, favourite_id
from sync.protocol.positions import position_after
from tests.sync.examples import quick

ALBUM, PHOTO = "0d5c3c5e-3f61-4c1e-9d8b-1d3a3f1b9a10", "7a4a9c53-6a2b-4b67-8d38-1f0e4b9c2f11"


def test_derived_ids_are_as_documented():
    assert album_item_id(ALBUM, "photo", PHOTO) == str(uuid.uuid5(uuid.UUID(ALBUM), f"photo:{PHOTO}"))
    assert favourite_id(ALBUM, PHOTO) == str(uuid.uuid5(uuid.UUID(ALBUM), PHOTO))


@quick
@given(st.from_regex(r"\A[0-9A-Za-z]{0,5}[1-9A-Za-z]\Z") | st.just("") | st.from_regex(r"\Az{1,5}\Z"))
def test_a_position_after_another_sorts_after_it_and_leaves_room(position):
    after = position_after(position)
    assert after.encode() > position.encode()
    assert not after.endswith("0")  # nothing fits before a key that ends with the least digit
    assert len(after) <= len(position) + 1


def test_a_thousand_items_at_the_end_have_short_positions():
    position = ""
    for _ in range(1000):
        position = position_after(position)
    assert len(position) < 40
