"""Groups of similar looks: what is near is found, what is far is not, and no chain joins what is not alike."""

import numpy as np

from catalog.duplicates.similar_groups import Looks, groups_of
from catalog.media.look import MOST_BITS


def random_looks(count: int, seed: int) -> Looks:
    return np.random.default_rng(seed).integers(1, 2**63, count, dtype=np.uint64)


def with_bits(look: int, *bits: int) -> int:
    for bit in bits:
        look ^= 1 << bit
    return look


def found(looks: list[int] | Looks) -> list[set[int]]:
    return [set(positions.tolist()) for _, positions in groups_of(np.array(looks, np.uint64))]


def test_each_planted_group_is_found_and_nothing_else() -> None:
    looks = random_looks(20_000, 1)
    chance = np.random.default_rng(2)
    planted = chance.choice(20_000, (300, 3), replace=False)
    for first, *others in planted.tolist():
        for place, count in zip(others, (MOST_BITS, 3), strict=True):
            bits = chance.choice(63, count, replace=False).tolist()
            looks[place] = with_bits(int(looks[first]), *bits)
    groups = {frozenset(group) for group in found(looks)}
    assert {frozenset(group) for group in planted.tolist()} == groups


def test_one_bit_more_than_similar_is_not_found() -> None:
    one = int(random_looks(1, 3)[0])
    assert found([one, with_bits(one, *range(0, 2 * MOST_BITS, 2))]) == [{0, 1}]
    assert found([one, with_bits(one, *range(0, 2 * MOST_BITS + 2, 2))]) == []


def test_a_chain_does_not_join_its_ends() -> None:
    """Each picture is like the next, as frames of a film are: the groups are those around one of them."""
    one = int(random_looks(1, 4)[0])
    chain = [with_bits(one, *range(3 * step)) for step in range(12)]
    groups = list(groups_of(np.array(chain, np.uint64)))
    assert sorted(len(positions) for _, positions in groups) == [5, 5]
    for middle, positions in groups:
        assert all((middle ^ chain[position]).bit_count() <= MOST_BITS for position in positions.tolist())


def test_equal_looks_are_a_group_and_none_is_no_work() -> None:
    one, other = (int(look) for look in random_looks(2, 5))
    assert found([one, other, one, one]) == [{0, 2, 3}]
    assert found([]) == [] and found([one]) == []


def test_a_mass_of_nearly_equal_pictures_does_not_hide_the_others(monkeypatch) -> None:
    """Of dark frames there are more pairs than are kept; those of other pictures are found all the same."""
    monkeypatch.setattr("catalog.duplicates.similar_groups.MOST_PAIRS", 20_000)
    mass = 0x2B5C_93A1_7F0E_64D2 ^ (
        np.uint64(1) << np.random.default_rng(6).integers(0, 63, (2_000, 3), np.uint64)
    ).sum(1)
    others = random_looks(300, 7)
    pairs = [
        with_bits(int(look), *np.random.default_rng(at).choice(63, 6, replace=False).tolist())
        for at, look in enumerate(others)
    ]
    looks = np.array([*mass.tolist(), *others.tolist(), *pairs], np.uint64)
    groups = {frozenset(group) for group in found(looks)}
    assert {frozenset((2_000 + at, 2_300 + at)) for at in range(300)} <= groups
