"""Reads amounts of storage as people write them: 500 MB, 10 GB, 1.5 TiB."""

import re

_UNITS = {
    "": 1,
    "b": 1,
    **{letter: 1000**power for power, letter in enumerate("kmgt", 1)},
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)},
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.ASCII)


def parse_size(text: str) -> int:
    """Return bytes for a number with a unit (B, kB, MB, GB, TB in thousands; KiB, MiB, GiB, TiB in 1,024s) or none.

    Raises ValueError with a sentence for anything else.
    """
    match = _SIZE.fullmatch(text.strip().lower())
    if match is None or match[2] not in _UNITS:
        raise ValueError(f"{text!r} is no size: write a number with a unit, such as 500 MB or 10 GB.")
    return round(float(match[1]) * _UNITS[match[2]])
