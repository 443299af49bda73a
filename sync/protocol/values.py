"""JSON values, and a reader that says in a sentence what is wrong with them."""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeAlias, TypeVar

from .clock import Stamp
from .problems import Malformed
from .versions import version_from

JsonValue: TypeAlias = bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"] | None
JsonObject: TypeAlias = Mapping[str, JsonValue]
T = TypeVar("T")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z")
_NAME = re.compile(r"[a-z][A-Za-z0-9]{0,63}")
_MOST_INTEGER = 2**53 - 1


def dump(value: JsonValue | JsonObject) -> str:
    """Return `value` as JSON in its one canonical form: no blanks, sorted names, all characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)


def load(text: str | bytes, what: str) -> "Reader":
    """Return a reader of the JSON object `text`; Malformed if it is none. `what` names it in sentences."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{what} is not JSON: {error}.") from None
    return Reader.of(value, what)


def time_text(ms: int) -> str:
    """Return milliseconds since 1970 as UTC with a `Z`."""
    seconds, rest = divmod(ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def time_ms(text: str) -> int:
    """Return the milliseconds since 1970 of UTC with a `Z`; ValueError if it is no such time."""
    if not _TIME.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a time: send UTC with a Z, such as 2026-11-28T09:30:00Z.")
    moment = datetime.fromisoformat(text.removesuffix("Z") + "+00:00")
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


class Reader:
    """The members of one JSON object, each taken once and checked. Sentences name the object and the member."""

    def __init__(self, members: dict[str, JsonValue], what: str) -> None:
        """`what` names the object in sentences, such as "mutation 3"."""
        self._members = members
        self._what = what

    @classmethod
    def of(cls, value: JsonValue, what: str) -> "Reader":
        """Return a reader of `value`; Malformed if it is not an object."""
        if not isinstance(value, dict):
            raise Malformed(f"{what} is not an object.")
        return cls(dict(value), what)

    def refuse_unknown(self) -> None:
        """Raise Malformed if members are left that nobody took."""
        if self._members:
            names = ", ".join(repr(name[:40]) for name in sorted(self._members)[:5])
            raise Malformed(f"{self._what} has members that are not known: {names}.")

    def has(self, name: str) -> bool:
        """Say whether the member is there and not null."""
        return self._members.get(name) is not None

    def skip(self, name: str) -> None:
        """Leave the member out of account."""
        self._members.pop(name, None)

    def text(self, name: str, most: int = 200, least: int = 1) -> str:
        """Return a text of `least` to `most` characters."""
        value = self._take(name)
        if not isinstance(value, str) or not least <= len(value) <= most:
            raise self._wrong(name, f"a text of {least} to {most:,} characters")
        return value

    def texts(self, name: str, most: int) -> tuple[str, ...]:
        """Return a list of up to `most` texts."""
        values = self.items(name, most)
        if not all(isinstance(value, str) and len(value) <= 200 for value in values):
            raise self._wrong(name, "a list of texts of up to 200 characters")
        return tuple(str(value) for value in values)

    def name(self, name: str) -> str:
        """Return the name of a kind or field: letters and digits, the first a small letter."""
        value = self._take(name)
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise self._wrong(name, "a name of letters and digits that begins with a small letter")
        return value

    def integer(self, name: str, least: int = 0, most: int = _MOST_INTEGER) -> int:
        """Return a whole number from `least` to `most`."""
        value = self._take(name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self._wrong(name, f"a whole number from {least:,} to {most:,}")
        return value

    def flag(self, name: str) -> bool:
        """Return true or false."""
        value = self._take(name)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def items(self, name: str, most: int) -> list[JsonValue]:
        """Return a list of up to `most` values."""
        value = self._take(name)
        if not isinstance(value, list) or len(value) > most:
            raise self._wrong(name, f"a list of up to {most:,} values")
        return value

    def members(self, name: str) -> dict[str, JsonValue]:
        """Return an object as it is."""
        value = self._take(name)
        if not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return value

    def version(self, name: str) -> int:
        """Return a version."""
        return self._converted(name, version_from, "a version: decimal digits in quotes, as the server gave them")

    def uuid(self, name: str) -> str:
        """Return a UUID in its one form: small letters, with hyphens."""
        return self._converted(name, _uuid, "a UUID in small letters, with hyphens")

    def time_ms(self, name: str) -> int:
        """Return a time as milliseconds since 1970."""
        return self._converted(name, time_ms, "a time in UTC with a Z")

    def stamp(self, name: str) -> Stamp:
        """Return a time stamp of the hybrid clock."""
        return self._converted(
            name, Stamp.parse, "a time stamp: 12 hex digits, 4 hex digits and the device, with hyphens"
        )

    def _converted(self, name: str, convert: Callable[[str], T], wanted: str) -> T:
        value = self._take(name)
        try:
            if isinstance(value, str):
                return convert(value)
        except ValueError:
            pass
        raise self._wrong(name, wanted)

    def _take(self, name: str) -> JsonValue:
        return self._members.pop(name, None)

    def _wrong(self, name: str, wanted: str) -> Malformed:
        return Malformed(f"{self._what}: `{name}` must be {wanted}.")


def _uuid(text: str) -> str:
    if str(uuid.UUID(text)) != text:
        raise ValueError(text)
    return text


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")
