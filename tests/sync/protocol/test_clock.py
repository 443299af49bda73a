"""Stamps: they never run backwards, sort as text, and are believed no further than five minutes ahead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.protocol.clock import SLACK_MS, HybridClock, Stamp
from tests.sync.examples import quick

times = st.integers(0, 2**44)
stamps = st.builds(Stamp, times, st.integers(0, 0xFFFF), st.sampled_from(["a", "b", "0"]))


@quick
@given(stamps, stamps)
def test_text_sorts_like_the_stamp(one, other):
    assert Stamp.parse(str(one)) == one
    assert (str(one) < str(other)) == (one < other)


@quick
@given(st.lists(st.one_of(times, stamps), min_size=1, max_size=30))
def test_no_stamp_is_given_twice_or_out_of_order_however_the_wall_clock_jumps(events):
    wall = [0]
    clock = HybridClock("me", lambda: wall[0])
    given_out = []
    for event in events:
        if isinstance(event, Stamp):
            clock.receive(event)
            given_out.append(event)
        else:
            wall[0] = event
            given_out.append(clock.tick())
            assert all(given_out[-1].is_later_than(before) for before in given_out[:-1])


def test_a_full_counter_goes_on_to_the_next_millisecond():
    clock = HybridClock("me", lambda: 7, Stamp(7, 0xFFFF, "me"))
    assert clock.tick() == Stamp(8, 0, "me")


@pytest.mark.parametrize(
    ("ahead_ms", "believed_ms"), [(0, 1000), (SLACK_MS, 1000 + SLACK_MS), (SLACK_MS + 1, 1000 + SLACK_MS)]
)
def test_a_stamp_is_believed_five_minutes_ahead_of_the_server(ahead_ms, believed_ms):
    assert Stamp(1000 + ahead_ms, 3, "d").clamped(1000) == Stamp(believed_ms, 3, "d")


def test_a_clock_that_was_a_year_ahead_comes_back_once_it_is_set_right():
    year = 365 * 24 * 3600 * 1000
    wall = [2 * year]
    clock = HybridClock("me", lambda: wall[0])
    clock.tick()
    wall[0] = year
    clock.receive_server_time(year)
    assert clock.tick().ms <= year + SLACK_MS + 1


def test_a_clock_that_is_behind_follows_the_server():
    clock = HybridClock("me", lambda: 5)
    clock.receive_server_time(1_000_000)
    assert clock.tick().ms == 1_000_000


@pytest.mark.parametrize("text", ["", "1-2-3", "00000000000A-0000-d", "000000000000-0000-", "000000000000-0000-a b"])
def test_other_texts_are_no_stamps(text):
    with pytest.raises(ValueError, match="not a time stamp"):
        Stamp.parse(text)


def test_equal_times_of_two_devices_are_a_tie():
    assert not Stamp(5, 1, "b").is_later_than(Stamp(5, 1, "a"))
    assert not Stamp(5, 1, "a").is_later_than(Stamp(5, 1, "b"))
