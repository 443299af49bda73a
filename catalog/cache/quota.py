"""Which objects of the cache go when it is over its quota: a pure decision."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from catalog.cache.objects import CacheObject

KEEP_FRACTION = 0.8
"""Down to this part of the quota, so that not every new picture costs another round (formats.md §2)."""

MOST_AT_ONCE = 100_000
"""How many objects are chosen in one pass: this bounds memory, whatever the cache holds."""


@dataclass(slots=True)
class Choice:
    """What there is (`count`, `size_bytes`), and what of it is `chosen` to go, first to go first.

    `is_complete` is False if more has to go than one pass chooses: remove these, and choose again.
    """

    count: int = 0
    size_bytes: int = 0
    chosen: list[CacheObject] = field(default_factory=list)
    is_complete: bool = True


def choose(objects: Iterable[CacheObject], *, limit_bytes: int, keep_bytes: int, most: int = MOST_AT_ONCE) -> Choice:
    """Choose what goes so that at most `keep_bytes` stay; nothing goes if all objects are within `limit_bytes`.

    Previews go before thumbnails and metadata, in each the least recently used first; equals by name. `objects` is read
    once; memory is bounded by `most` objects.
    """
    choice = Choice()
    first_to_go = heapq.nsmallest(most, _counted(objects, choice), key=_order)
    if choice.size_bytes <= limit_bytes:
        return choice
    left_bytes = choice.size_bytes
    for one in first_to_go:
        if left_bytes <= keep_bytes:
            return choice
        choice.chosen.append(one)
        left_bytes -= one.size_bytes
    choice.is_complete = left_bytes <= keep_bytes or len(choice.chosen) == choice.count
    return choice


def _counted(objects: Iterable[CacheObject], choice: Choice) -> Iterator[CacheObject]:
    for one in objects:
        choice.count += 1
        choice.size_bytes += one.size_bytes
        yield one


def _order(one: CacheObject) -> tuple[bool, float, str]:
    return (not one.is_preview, one.used_at, one.name)
