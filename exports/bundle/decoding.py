"""Checks that an entry is what its type says: every key there, of its kind, at any depth.

What the values mean, and their limits, are for others to check.
"""

import types
from collections.abc import Mapping
from functools import cache
from typing import Any, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from .lists import InvalidBundle

LONGEST_SHOWN = 60


def decode(value: Any, entry: type, where: str) -> Any:
    """Return `value` if it is an `entry` (a TypedDict of `entries`), whatever further keys it has.

    Raises InvalidBundle with what is wrong and where: `albums.json, entry 3: title must be a text, not 7`.
    """
    _check(value, entry, where, "")
    return value


@cache
def _fields(entry: type) -> tuple[tuple[str, Any, bool], ...]:
    hints = get_type_hints(entry, include_extras=True)
    return tuple((name, _inner(hint), name in entry.__required_keys__) for name, hint in hints.items())  # type: ignore[attr-defined]


def _inner(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is NotRequired else hint


def _check(value: Any, hint: Any, where: str, path: str) -> None:
    origin = get_origin(hint)
    if hint is Any:
        pass
    elif origin in (Union, types.UnionType):
        if value is not None:
            options = get_args(hint)
            _check(value, next(option for option in options if option is not type(None)), where, path)
    elif is_typeddict(hint):
        _check_object(value, hint, where, path)
    elif origin is list:
        if not isinstance(value, list):
            raise _wrong(value, "a list", where, path)
        for index, one in enumerate(value):
            _check(one, get_args(hint)[0], where, f"{path}[{index}]")
    elif origin is dict:
        if not isinstance(value, dict):
            raise _wrong(value, "an object", where, path)
        for name, one in value.items():
            _check(one, get_args(hint)[1], where, f"{path}.{name}"[:200])
    else:
        _check_plain(value, hint, where, path)


def _check_object(value: Any, entry: type, where: str, path: str) -> None:
    if not isinstance(value, Mapping):
        raise _wrong(value, "an object", where, path)
    for name, hint, is_required in _fields(entry):
        inner = f"{path}.{name}" if path else name
        if name in value:
            _check(value[name], hint, where, inner)
        elif is_required:
            raise InvalidBundle(f"{where}: {inner} is missing.")


def _check_plain(value: Any, hint: Any, where: str, path: str) -> None:
    if hint is bool:
        is_right = isinstance(value, bool)
    elif hint is int:
        is_right = isinstance(value, int) and not isinstance(value, bool)
    elif hint is float:
        is_right = isinstance(value, int | float) and not isinstance(value, bool)
    else:
        is_right = isinstance(value, hint)
    if not is_right:
        raise _wrong(value, _WORDS[hint], where, path)


_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def _wrong(value: Any, wanted: str, where: str, path: str) -> InvalidBundle:
    shown = repr(value)
    shown = shown if len(shown) <= LONGEST_SHOWN else shown[:LONGEST_SHOWN] + "…"
    return InvalidBundle(f"{where}: {path or 'it'} must be {wanted}, not {shown}.")
