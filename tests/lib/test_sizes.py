"""Sizes as people write them."""

import pytest

from photolala.lib.env import BadSetting, Environment
from photolala.lib.sizes import parse_size


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("1000", 1000),
        ("10 GB", 10**10),
        ("1.5TB", 1_500_000_000_000),
        ("2 GiB", 2 << 30),
        (" 7kb ", 7000),
        ("3M", 3_000_000),
    ],
)
def test_sizes_with_and_without_units(text, size_bytes):
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "-1", "GB", "10 apples", "1e9", "1,5 GB", "٣ GB"])
def test_what_is_no_size_is_refused_with_a_sentence(text):
    with pytest.raises(ValueError, match=r"is no size: write a number with a unit"):
        parse_size(text)


def test_a_setting_that_is_no_size_names_its_variable():
    env = Environment({"A": "big", "B": "2 GB"})
    assert (env.size_bytes("B", 1), env.size_bytes("C", 1)) == (2_000_000_000, 1)
    with pytest.raises(BadSetting, match=r"^A='big' is no size"):
        env.size_bytes("A", 1)
