"""The time zones that a library may be given."""

from functools import lru_cache
from zoneinfo import available_timezones

REGIONS = {
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
}


@lru_cache(maxsize=1)
def time_zone_names() -> tuple[str, ...]:
    """Return the zones named after places that this server knows, sorted, UTC first."""
    places = sorted(name for name in available_timezones() if name.partition("/")[0] in REGIONS and "/" in name)
    return ("UTC", *places)
