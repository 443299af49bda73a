"""Examine the clock: whether it was set by much lately."""

from collections.abc import Iterator
from datetime import timedelta

from operations import clock
from operations.templatetags.figures import duration_words

from .findings import Finding, note, warning

LATELY = timedelta(days=7)
ADVICE = (
    "Have the time set by a time server (NTP), and look at the machine's battery if the clock is wrong after a start."
)


def examine_clock() -> Iterator[Finding]:
    """Yield the jumps of the wall clock in the last seven days of being there."""
    jumps = clock.jumps(LATELY)
    if not jumps:
        return
    latest = jumps[0]
    way = "ahead" if latest.seconds > 0 else "back"
    text = (
        f"The clock was set {way} by {duration_words(abs(latest.seconds))}; it said {latest.at:%Y-%m-%d %H:%M} UTC then"
    )
    if len(jumps) > 1:
        text += f" ({len(jumps)} such jumps in seven days)"
    if clock.is_suspect():
        yield warning(
            "clock.jumped",
            f"{text}. For a day after that the schedule deletes nothing for good: no trash, no uploads.",
            ADVICE,
        )
    else:
        yield note("clock.jumped", f"{text}.", ADVICE)
