"""Parents come before what refers to them; digests do not depend on order and see every difference."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.protocol.digest import KindDigest, digest_of, hash_of
from sync.protocol.ordering import depths, parents_first, references
from sync.protocol.versions import epoch_of, version_from, version_in
from tests.sync.examples import quick

PARENTS = {
    "library": (),
    "photo": (),
    "album": (),
    "note": (),
    "albumItem": ("album", "photo", "note"),
    "favourite": ("photo",),
}
things = st.tuples(st.sampled_from(sorted(PARENTS)), st.uuids().map(str), st.integers(0, 2**62))


@quick
@given(st.lists(things))
def test_parents_come_first_and_the_rest_keeps_its_order(items):
    ordered = parents_first(items, lambda item: item[0], PARENTS)
    generations = depths(PARENTS)
    depth = [generations[item[0]] for item in ordered]
    assert depth == sorted(depth)
    for generation in (0, 1):
        assert [item for item in ordered if generations[item[0]] == generation] == [
            item for item in items if generations[item[0]] == generation
        ]


def test_a_circle_of_kinds_is_named():
    with pytest.raises(ValueError, match="a -> b -> a"):
        depths({"a": ["b"], "b": ["a"]})


def test_references_are_read_from_ids_and_targets():
    data = {"albumId": "A", "targetType": "photo", "targetId": "P", "noteId": None}
    assert references("albumItem", data, PARENTS) == [("album", "A"), ("photo", "P")]
    assert references("favourite", {"photoId": "P", "rating": 3}, PARENTS) == [("photo", "P")]
    assert references("album", data, PARENTS) == []


@quick
@given(st.lists(things, max_size=20), st.randoms())
def test_the_digest_is_the_same_in_any_order_and_can_be_kept_up(items, random):
    shuffled = list(items)
    random.shuffle(shuffled)
    assert digest_of(items) == digest_of(shuffled)
    for kind, digest in digest_of(items).items():
        kept = KindDigest()
        for item in [*items, ("x", "y", 1)]:
            kept = kept.added(*item) if item[0] == kind else kept
        for item in items:
            assert digest.removed(*item).added(*item) == digest
        assert kept == digest


@quick
@given(st.lists(things, min_size=1, max_size=10, unique_by=lambda item: item[1]), st.integers(1, 5))
def test_the_digest_sees_one_stale_version(items, more):
    kind, id, version = items[0]
    assert digest_of(items) != digest_of([(kind, id, version + more), *items[1:]])
    assert digest_of(items) != digest_of(items[1:])


def test_the_number_of_a_thing_is_as_documented():
    wanted = int.from_bytes(hashlib.md5(b"album:abc:118").digest()[:8], "big")
    assert hash_of("album", "abc", 118) == wanted


@quick
@given(st.integers(0, 2**22), st.integers(0, 2**40 - 1))
def test_versions_grow_with_the_epoch_and_are_text_on_the_wire(epoch, number):
    version = version_in(epoch, number)
    assert version_from(str(version)) == version
    assert epoch_of(version) == epoch
    assert version_in(epoch + 1, 0) > version


@pytest.mark.parametrize("text", ["", "-1", "1.0", " 1", "1_0", "٣", "9223372036854775808", "9" * 5000])
def test_other_texts_are_no_versions(text):
    with pytest.raises(ValueError, match="not a version"):
        version_from(text)
