"""Times of a clock on the wall as text."""

from datetime import UTC, datetime

import pytest

from photolala.lib.wall_clock import offset_text, wall_clock_text


@pytest.mark.parametrize(
    ("minutes", "text"),
    [(None, ""), (0, "+00:00"), (120, "+02:00"), (345, "+05:45"), (-210, "-03:30"), (-30, "-00:30")],
)
def test_an_offset_is_written_with_its_sign_and_two_digits(minutes, text):
    assert offset_text(minutes) == text
    local = datetime(2024, 5, 17, 12, 30, 0, 250_000, tzinfo=UTC)
    assert wall_clock_text(local, minutes) == f"2024-05-17T12:30:00{text}"
