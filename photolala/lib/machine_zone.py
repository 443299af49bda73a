"""The time zone of this machine, by its name in the IANA database."""

import os
from collections.abc import Mapping
from pathlib import Path
from zoneinfo import available_timezones

_MARK = "zoneinfo/"
_VARIANTS = ("posix/", "right/")


def machine_time_zone(values: Mapping[str, str] | None = None, etc: Path = Path("/etc")) -> str:
    """Return the zone that `TZ` in `values` (the process's environment by default), `etc`/localtime or `etc`/timezone name.

    UTC if none of them names a place.
    """
    values = os.environ if values is None else values
    named = values.get("TZ", "").strip().removeprefix(":")
    if named:  # a rule without a name, such as CET-1CEST, is no zone's name: libraries need one
        return _known(named) or "UTC"
    try:
        linked = os.path.realpath(etc / "localtime")
        written = (etc / "timezone").read_text(encoding="utf-8") if (etc / "timezone").is_file() else ""
    except (OSError, ValueError):
        return "UTC"
    return (_known(linked) if _MARK in linked else "") or _known(written) or "UTC"


def _known(text: str) -> str:
    """Return the name of a place's zone, or nothing."""
    name = text.strip().rpartition(_MARK)[2]
    for variant in _VARIANTS:
        name = name.removeprefix(variant)
    return name if "/" in name and not name.startswith("Etc/") and name in available_timezones() else ""
