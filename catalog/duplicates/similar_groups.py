"""Groups of similar pictures, from their looks alone: arrays in, groups out. It knows no photos."""

import math
from array import array
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog.media.look import MOST_BITS

Looks = NDArray[np.uint64]
Numbers = NDArray[np.int64]

BANDS: Final = 8
"""Of 8 bands of 8 bits two at least are equal where no more than 6 bits differ: only such looks are compared."""
COMPARISONS: Final = math.comb(BANDS, 2)
"""Each two bands are compared, one after another."""
MOST_PAIRS: Final = 8_000_000
"""So many pairs are kept at once; where more pictures are that similar, the rest is left out."""
MOST_STEPS: Final = 150
"""With so many others of equal bands a look is compared, which bounds the time. Similar looks have further equal bands."""
ENOUGH: Final = 16
"""A look with so many similar ones is compared no more once half of the pairs are kept: so a mass of screenshots, scans or
dark frames leaves room for the others, and costs little more time than they."""


def groups_of(given: "Looks | array[int]", *, tick: Callable[[], None] = lambda: None) -> Iterator[tuple[int, Numbers]]:
    """Yield the groups of similar looks: the look in its middle, and the positions in `given` of those that are in it.

    Each position is in one group at most, each look of a group is similar to the one in the middle: no chain of pictures, each
    a little like the next, joins what is not alike. Those with most similar ones come first. Takes a few seconds for a million
    looks, in which `tick` is called some thirty times, and may raise.
    """
    looks = np.array(given, np.uint64)
    order = np.argsort(looks, kind="stable")
    distinct, first, counts = np.unique(looks[order], return_index=True, return_counts=True)
    ones, others = _similar_pairs(distinct, tick)
    start, neighbours = _neighbours(len(distinct), ones, others)
    photos = counts + sum(np.bincount(a, counts[b], len(distinct)) for a, b in ((ones, others), (others, ones)))
    is_taken = np.zeros(len(distinct), bool)
    for middle in np.argsort(-photos, kind="stable"):
        if photos[middle] < 2:
            return
        if is_taken[middle]:
            continue
        near = neighbours[start[middle] : start[middle + 1]]
        members = np.concatenate(([middle], near[~is_taken[near]]))
        is_taken[members] = True
        if counts[members].sum() > 1:
            positions = [order[first[one] : first[one] + counts[one]] for one in members]
            yield int(distinct[middle]), np.concatenate(positions)


def _similar_pairs(looks: Looks, tick: Callable[[], None]) -> tuple[Numbers, Numbers]:
    """Return the pairs of positions of similar looks, which are all different; at most MOST_PAIRS."""
    bands = [_bits(looks, range(start, 64, BANDS)) for start in range(BANDS)]  # neighbouring bits go together
    found = np.empty(0, np.int64)
    places = np.arange(len(looks))
    for one, other in combinations(bands, 2):
        tick()
        if len(found) > MOST_PAIRS // 2:
            similar = np.bincount(found // len(looks), minlength=len(looks))
            similar += np.bincount(found % len(looks), minlength=len(looks))
            places = np.flatnonzero(similar < ENOUGH)
        key = (one << np.uint16(8) | other)[places]
        pairs = _pairs_within(looks[places], key, (MOST_PAIRS - len(found)) // 2)
        pairs = places[pairs // len(places)] * len(looks) + places[pairs % len(places)] if len(pairs) else pairs
        found = np.concatenate((found, pairs))
        found.sort()  # np.unique takes ten times as long for millions
        found = found[np.diff(found, prepend=-1) > 0][:MOST_PAIRS]
        if len(found) == MOST_PAIRS:
            break
    return found // len(looks), found % len(looks)


def _bits(looks: Looks, places: range) -> NDArray[np.uint16]:
    """Return these bits of each look as a small number."""
    number = np.zeros(len(looks), np.uint16)
    for place in places:
        number = number << np.uint16(1) | ((looks >> np.uint64(place)) & np.uint64(1)).astype(np.uint16)
    return number


def _pairs_within(looks: Looks, key: NDArray[np.uint16], most: int) -> Numbers:
    """Return the similar ones of those with equal keys, each pair as one number: the smaller position times their count, and
    the other."""
    order = np.argsort(key, kind="stable")
    keys, sorted_looks, count = key[order], looks[order], len(looks)
    found, total, step = [np.empty(0, np.int64)], 0, 1
    place = np.flatnonzero(keys[:-1] == keys[1:])
    while len(place) and total < most and step <= MOST_STEPS:
        apart = np.bitwise_count(sorted_looks[place] ^ sorted_looks[place + step])
        near = place[apart <= MOST_BITS]
        one, other = order[near], order[near + step]
        found.append(np.minimum(one, other) * count + np.maximum(one, other))
        total += len(near)
        step += 1
        place = place[place < count - step]
        place = place[keys[place] == keys[place + step]]
    return np.concatenate(found)


def _neighbours(count: int, ones: Numbers, others: Numbers) -> tuple[Numbers, Numbers]:
    """Return where the neighbours of each begin in the array of all neighbours, and that array."""
    source, target = np.concatenate((ones, others)), np.concatenate((others, ones))
    start = np.concatenate(([0], np.cumsum(np.bincount(source, minlength=count))))
    return start, target[np.argsort(source, kind="stable")]
