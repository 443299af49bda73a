"""Hybrid logical clock: stamps that follow the wall clock, never run backwards, and order edits of one device.

After Kulkarni and others, "Logical Physical Clocks" (2014). The text form sorts like the stamps themselves.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

SLACK_MS = 5 * 60 * 1000
"""How far ahead of the server's clock a stamp may be. Beyond it, the device's clock is wrong and must not win for hours."""
_MOST_MS = 16**12 - 1
_MOST_COUNT = 16**4 - 1
_TEXT = re.compile(r"([0-9a-f]{12})-([0-9a-f]{4})-([A-Za-z0-9_-]{1,64})")


@dataclass(frozen=True, order=True)
class Stamp:
    """When an edit was made: milliseconds since 1970, a counter within them, and the device."""

    ms: int
    count: int
    node: str

    def __str__(self) -> str:
        return f"{self.ms:012x}-{self.count:04x}-{self.node}"

    @classmethod
    def parse(cls, text: str) -> "Stamp":
        """Return the stamp that `text` says; ValueError if it is none."""
        if not (match := _TEXT.fullmatch(text)):
            raise ValueError(
                f"{text[:100]!r} is not a time stamp: 12 hex digits, 4 hex digits, and the device, with hyphens."
            )
        return cls(int(match[1], 16), int(match[2], 16), match[3])

    def is_later_than(self, other: "Stamp") -> bool:
        """Say whether this edit was made after the other. The device does not count: equal times are a tie."""
        return (self.ms, self.count) > (other.ms, other.count)

    def clamped(self, server_ms: int) -> "Stamp":
        """Return the stamp, or the latest one that the server believes at `server_ms` if this one is further ahead."""
        return self if self.ms <= server_ms + SLACK_MS else replace(self, ms=server_ms + SLACK_MS)


class HybridClock:
    """Gives stamps to one node. Not safe between threads: its owner serialises."""

    def __init__(self, node: str, now_ms: Callable[[], int], last: Stamp | None = None) -> None:
        """`now_ms` is the wall clock; `last` the newest stamp given or seen before, as the node stored it."""
        self._node = node
        self._now_ms = now_ms
        self.last = last or Stamp(0, 0, node)

    def tick(self) -> Stamp:
        """Return the stamp of an edit made now: later than every stamp given or received before."""
        return self._advance(self._now_ms(), -1)

    def receive(self, stamp: Stamp) -> None:
        """Take note of a stamp from elsewhere, so that edits made after it was seen are later than it."""
        if stamp.is_later_than(self.last):
            self.last = Stamp(stamp.ms, stamp.count, self._node)

    def receive_server_time(self, server_ms: int) -> None:
        """Take note of the server's time; a clock that had run ahead of what the server believes comes back to it."""
        if self.last.ms > server_ms + SLACK_MS:
            self.last = Stamp(server_ms + SLACK_MS, _MOST_COUNT, self._node)
        self.receive(Stamp(max(server_ms, 0), 0, self._node))

    def _advance(self, ms: int, count: int) -> Stamp:
        if ms <= self.last.ms:
            ms, count = self.last.ms, self.last.count
        if count == _MOST_COUNT:
            ms, count = ms + 1, -1
        self.last = Stamp(min(ms, _MOST_MS), count + 1, self._node)
        return self.last
