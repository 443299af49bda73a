"""Fractional keys: the place of an item in its album, as a text that leaves room for others before, between and after.

A key is 1 to 200 characters of base 62 (`0-9A-Za-z`, in the order of their bytes) that does not end with `0`, compared byte
by byte. Read it as the digits after the point of a fraction: between any two different keys there is another one. Pure.
"""

import re

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LONGEST = 200
TOO_LONG = 100
"""A key longer than this is a reason to give all items of the album new ones (`spread`)."""
_BASE = len(DIGITS)
_VALUES = {digit: number for number, digit in enumerate(DIGITS)}
_KEY = re.compile(r"[0-9A-Za-z]{0,199}[1-9A-Za-z]")


def is_key(text: str) -> bool:
    """Return whether `text` can be the place of an item."""
    return _KEY.fullmatch(text) is not None


def between(before: str, after: str) -> str:
    """Return a key greater than `before` and less than `after`; an empty text means that there is no such neighbour.

    Many in a row at either end grow by a character only after 62, 3,844 and 14 million. ValueError if `before` is not less
    than `after`.
    """
    if before and after:
        if before >= after:
            raise ValueError(f"There is no key between {before!r} and {after!r}.")
        return _middle(before, after)
    if before:
        return _next(before)
    return _previous(after) if after else DIGITS[_BASE // 2]


def many_between(before: str, after: str, count: int) -> list[str]:
    """Return `count` keys in order, all between `before` and `after`. ValueError as in `between`."""
    if not after:
        keys = [before]
        while len(keys) <= count:
            keys.append(between(keys[-1], ""))
        return keys[1:]
    if count <= 0:
        return []
    # Halving keeps the keys short: their length grows with the logarithm of the count.
    middle = between(before, after)
    left = (count - 1) // 2
    return [*many_between(before, middle, left), middle, *many_between(middle, after, count - 1 - left)]


def spread(count: int) -> list[str]:
    """Return `count` short keys in order, with equal room between them."""
    length = 1
    while _BASE**length < 4 * (count + 1):
        length += 1
    step = _BASE**length // (count + 1)
    return [_digits(step * number, length).rstrip(DIGITS[0]) for number in range(1, count + 1)]


def _middle(before: str, after: str) -> str:
    """Return a short key between two: common digits, then the middle of the first that differ."""
    prefix = ""
    for place in range(max(len(before), len(after)) + 1):
        low = _VALUES[before[place]] if place < len(before) else 0
        high = _VALUES[after[place]] if place < len(after) else 0
        if low == high:
            prefix += DIGITS[low]
            continue
        if high - low > 1:
            return prefix + DIGITS[(low + high) // 2]
        # Neighbouring digits: shorter than `after` if that has more digits, else longer than `before`.
        if len(after) > place + 1:
            return prefix + DIGITS[high]
        return prefix + DIGITS[low] + _next(before[place + 1 :])
    raise ValueError(f"There is no key between {before!r} and {after!r}.")


def _next(key: str) -> str:
    """Return a key after `key`: its digits after all leading `z` counted up, as many as there are `z`, and one."""
    nines = len(key) - len(key.lstrip(DIGITS[-1]))
    width = nines + 1
    number = _number(key[nines : nines + width].ljust(width, DIGITS[0])) + 1
    if number % _BASE == 0:
        number += 1  # a key does not end with 0
    if number >= _BASE**width:
        return DIGITS[-1] * (nines + width) + DIGITS[_BASE // 2]
    return DIGITS[-1] * nines + _digits(number, width)


def _previous(key: str) -> str:
    """Return a key before `key`: its digits after all leading `0` counted down, as many as there are `0`, and one."""
    zeros = len(key) - len(key.lstrip(DIGITS[0]))
    width = zeros + 1
    number = _number(key[zeros : zeros + width].ljust(width, DIGITS[0]))
    if len(key) <= zeros + width:  # else the digits without what follows them are less already
        number -= 1
    if number % _BASE == 0:
        number -= 1
    if number <= 0:
        return DIGITS[0] * (zeros + width) + DIGITS[_BASE // 2]
    return DIGITS[0] * zeros + _digits(number, width)


def _number(digits: str) -> int:
    number = 0
    for digit in digits:
        number = number * _BASE + _VALUES[digit]
    return number


def _digits(number: int, length: int) -> str:
    text = ""
    for _ in range(length):
        number, digit = divmod(number, _BASE)
        text = DIGITS[digit] + text
    return text
