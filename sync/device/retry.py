"""When to try again after a failure."""

from collections.abc import Callable

STEPS_MS = tuple(seconds * 1000 for seconds in (1, 2, 4, 8, 16, 30, 300, 1800, 3600))
JITTER = 0.2
MOST_MS = 3 * 3_600_000
"""No wait is longer, whatever a server asks for: a time that is further ahead was noted by a clock that was wrong."""


def delay_ms(failures: int, random: Callable[[], float], asked_ms: int | None = None) -> int:
    """Return how long to wait after `failures` failures in a row: 1 s to 1 h, give or take 20 %, and no less than asked for.

    `random` returns numbers from 0 to 1. The jitter keeps many devices from returning together after an outage.
    """
    step = STEPS_MS[min(max(failures, 1), len(STEPS_MS)) - 1]
    return max(round(step * (1 + JITTER * (2 * random() - 1))), min(asked_ms or 0, MOST_MS))
