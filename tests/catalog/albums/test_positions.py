"""Fractional keys: any number of them between any two, in the order of their bytes, and short."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.albums.positions import DIGITS, between, is_key, many_between, spread

KEYS = st.from_regex(r"\A[0-9A-Za-z]{0,12}[1-9A-Za-z]\Z")
busy = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""How long a machine takes that does other things, too, says nothing."""


@busy
@given(st.one_of(st.just(""), KEYS), st.one_of(st.just(""), KEYS))
def test_there_is_always_one_between(first, second):
    before, after = (first, second) if not first or not second or first < second else (second, first)
    if before == after and before:
        return
    key = between(before, after)
    assert is_key(key)
    assert before.encode() < key.encode() and (not after or key.encode() < after.encode())


@busy
@given(st.one_of(st.just(""), KEYS), st.one_of(st.just(""), KEYS), st.integers(0, 40))
def test_many_are_in_order_and_all_between(first, second, count):
    before, after = (first, second) if not first or not second or first < second else (second, first)
    if before == after and before:
        return
    keys = many_between(before, after, count)
    assert len(keys) == count and all(map(is_key, keys))
    whole = [*([before] if before else []), *keys, *([after] if after else [])]
    assert whole == sorted(set(whole), key=str.encode)


@busy
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=150))
def test_a_list_keeps_its_order_whatever_is_inserted_where(places):
    keys: list[str] = []
    for place in places:
        at = place % (len(keys) + 1)
        keys.insert(at, between(keys[at - 1] if at else "", keys[at] if at < len(keys) else ""))
    assert keys == sorted(set(keys), key=str.encode)
    assert all(map(is_key, keys))


def test_ends_grow_slowly():
    last = first = between("", "")
    for _ in range(5_000):
        last, first = between(last, ""), between("", first)
    assert len(last) <= 7 and len(first) <= 7


def test_spread_keys_are_even_and_short():
    keys = spread(100_000)
    assert keys == sorted(set(keys)) and len(keys) == 100_000 and all(map(is_key, keys))
    assert max(map(len, keys)) <= 4
    assert spread(0) == [] and is_key(spread(1)[0])


def test_what_is_no_key():
    assert not any(is_key(text) for text in ("", "0", "a0", "a b", "ä", "a" * 201, "a\n", "-"))
    assert is_key("a" * 200) and sorted(DIGITS, key=str.encode) == list(DIGITS)
