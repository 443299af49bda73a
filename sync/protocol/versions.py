"""Versions: one number for each change in a scope, with the epoch in its upper bits, sent as decimal text."""

EPOCH_BITS = 40
"""`version = epoch << 40 | n`; decimal text on the wire, because JavaScript's integers end at 2^53."""
_MOST = 2**63 - 1


def version_in(epoch: int, number: int) -> int:
    """Return the version of change `number` of a scope in `epoch`."""
    return epoch << EPOCH_BITS | number


def epoch_of(version: int) -> int:
    """Return the epoch in which `version` was given."""
    return version >> EPOCH_BITS


def version_from(text: str) -> int:
    """Return the version that `text` says; ValueError if it is not a plain decimal number from 0 to 2^63 - 1."""
    if not text.isascii() or not text.isdecimal() or len(text) > 19 or int(text) > _MOST:
        raise ValueError(f"{text[:40]!r} is not a version: send the decimal digits that the server gave.")
    return int(text)
