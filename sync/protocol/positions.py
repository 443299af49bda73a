"""Positions of items in an album: texts of base-62 digits that sort as bytes, so that one can be put between any two others."""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LAST = _DIGITS[-1]


def position_after(position: str) -> str:
    """Return a position after `position` ("" stands before all)."""
    head = position.rstrip(_LAST)
    if not head:
        return position + _DIGITS[31]
    return head[:-1] + _DIGITS[_DIGITS.index(head[-1]) + 1]
