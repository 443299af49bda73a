"""What goes when the cache is over its quota: the pure decision."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.cache.objects import CacheObject
from catalog.cache.quota import choose


def one(kind: str, number: int, size_bytes: int = 100, used_at: float | None = None) -> CacheObject:
    used_at = float(number) if used_at is None else used_at
    return CacheObject(f"local/{kind}/ab/{number:032x}.jpg", size_bytes, 0.0, used_at)


def names(objects):
    return [item.name for item in objects]


def test_nothing_goes_within_the_quota():
    objects = [one("previews", number) for number in range(10)]
    choice = choose(objects, limit_bytes=1000, keep_bytes=800)
    assert (choice.count, choice.size_bytes, choice.chosen, choice.is_complete) == (10, 1000, [], True)


@pytest.mark.promise("S4-076", "S4-U09")
def test_over_the_quota_the_least_recently_used_go_until_80_percent_stay():
    objects = [one("thumbnails", number) for number in range(11)]
    random.Random(1).shuffle(objects)
    choice = choose(objects, limit_bytes=1000, keep_bytes=800)
    assert choice.is_complete
    assert names(choice.chosen) == names(one("thumbnails", number) for number in range(3))


def test_previews_go_before_older_thumbnails_and_metadata():
    objects = [one("thumbnails", 1), one("previews", 9), one("metadata", 2), one("previews", 8)]
    choice = choose(objects, limit_bytes=300, keep_bytes=150)
    assert names(choice.chosen) == names([one("previews", 8), one("previews", 9), one("thumbnails", 1)])


def test_a_quota_of_nothing_empties():
    objects = [one("metadata", number) for number in range(5)]
    choice = choose(objects, limit_bytes=0, keep_bytes=0)
    assert len(choice.chosen) == 5 and choice.is_complete


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 500), st.integers(0, 5)), max_size=60),
    st.integers(0, 8000),
    st.integers(1, 10),
)
def test_bounded_passes_choose_what_one_pass_would(facts, limit_bytes, most):
    objects = [
        one("previews" if is_preview else "thumbnails", number, size_bytes, float(used_at))
        for number, (is_preview, size_bytes, used_at) in enumerate(facts)
    ]
    keep_bytes = limit_bytes * 8 // 10
    at_once = choose(objects, limit_bytes=limit_bytes, keep_bytes=keep_bytes)
    assert at_once.is_complete
    left, gone, limit = list(objects), [], limit_bytes
    while True:
        choice = choose(left, limit_bytes=limit, keep_bytes=keep_bytes, most=most)
        assert len(choice.chosen) <= most
        gone += choice.chosen
        left = [item for item in left if item not in choice.chosen]
        limit = keep_bytes
        if choice.is_complete:
            break
    assert names(gone) == names(at_once.chosen)
    kept_bytes = sum(item.size_bytes for item in left)
    assert kept_bytes <= (keep_bytes if gone else limit_bytes)
    if gone:  # and nothing went needlessly
        assert kept_bytes + gone[-1].size_bytes > keep_bytes
