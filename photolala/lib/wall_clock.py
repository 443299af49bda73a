"""The time of a clock on the wall as text: with the offset from UTC where that is known, else without."""

from datetime import datetime


def wall_clock_text(local: datetime, offset_minutes: int | None = None) -> str:
    """Return RFC 3339 in whole seconds; the zone of `local` itself is left out, for such times are stored as if they were UTC."""
    return local.replace(tzinfo=None).isoformat(timespec="seconds") + offset_text(offset_minutes)


def offset_text(minutes: int | None) -> str:
    """Return an offset from UTC as RFC 3339 writes it, such as `+02:00`; "" for None."""
    if minutes is None:
        return ""
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"
