"""Writes rows as one JSON array, batch after batch, with the bytes that `json.dumps(all_rows, indent=2)` would give."""

import json
import math
import secrets
from collections.abc import Callable, Iterable
from json.encoder import encode_basestring
from typing import Any, Protocol

from exports.formats.columns import COLUMNS, Kind, Row, positions, without_infinities


class ByteSink(Protocol):
    """Where a writer puts its bytes."""

    def write(self, data: bytes, /) -> object:
        """Take all of `data`."""


# The C encoder is used for flat objects only: it does not indent, but a separator with the line break does the same.
_SEPARATORS = {level: ",\n" + "  " * level for level in range(64)}
_ENCODERS: dict[int, Any] = {
    level: json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(separator, ": ")).encode
    for level, separator in _SEPARATORS.items()
}


def _encode_number(value: float) -> str:
    return repr(value) if math.isfinite(value) else ""  # a coordinate that is no number is left out


_FORMATTERS: dict[Kind, Callable[[Any], str]] = {
    Kind.WORD: encode_basestring,
    Kind.TEXT: encode_basestring,
    Kind.INTEGER: int.__repr__,
    Kind.NUMBER: _encode_number,
    Kind.BOOLEAN: {True: "true", False: "false"}.__getitem__,
}
_OBJECT = positions(Kind.OBJECT)[0]
_FIRST_NESTED = positions(Kind.LIST, Kind.OBJECT)[0]
_FLAT = tuple((f'"{column.name}": ', _FORMATTERS[column.kind]) for column in COLUMNS[:_FIRST_NESTED])
_TAIL = tuple((index, COLUMNS[index].name) for index in range(_FIRST_NESTED, len(COLUMNS)))
_BETWEEN_FIELDS = _SEPARATORS[2]
_NO_VALUE = ": " + _BETWEEN_FIELDS
_BETWEEN_OBJECTS = "}" + _SEPARATORS[3] + "{"
_BETWEEN_INNER = "}" + _SEPARATORS[4] + "{"


class JsonWriter:
    """Writes one array to a stream of bytes; what is empty in a row is left out; no rows give `[]` and a newline."""

    def __init__(self, stream: ByteSink) -> None:
        """Write to `stream`, which stays open."""
        self._stream = stream
        self.row_count = 0

    def write_batch(self, rows: Iterable[Row]) -> int:
        """Write `rows` and return how many they were. The bytes do not depend on how rows are split into batches."""
        batch = rows if isinstance(rows, list) else list(rows)
        texts = list(map(_encode_row, batch, _encode_objects([row[_OBJECT] for row in batch])))
        if texts:
            opening = ",\n" if self.row_count else "[\n"
            self._stream.write((opening + ",\n".join(texts)).encode())
            self.row_count += len(texts)
        return len(texts)

    def finish(self) -> None:
        """Write the end of the array."""
        self._stream.write(b"\n]\n" if self.row_count else b"[]\n")


def _encode_row(row: Row, encoded_object: str) -> str:
    fields = [
        name + encode(value)
        for (name, encode), value in zip(_FLAT, row, strict=False)
        if value is not None and value != ""
    ]
    for index, name in _TAIL:
        if row[index]:
            text = encoded_object if index == _OBJECT else encode_indented(row[index], 2)
            if text:
                fields.append(f'"{name}": {text}')
    text = _BETWEEN_FIELDS.join(fields)
    if _NO_VALUE in text or text.endswith(": "):  # no string holds a raw line break: a number was infinite or none
        text = _BETWEEN_FIELDS.join(field for field in fields if not field.endswith(": "))
    return f"  {{\n    {text}\n  }}" if text else "  {}"


def _encode_objects(values: list[Any]) -> list[str]:
    """Return the metadata objects of a batch (dicts or their texts) as JSON two levels deep, `""` for the empty ones.

    Most are texts of objects with at most one more in them, which is flat: those go through parser and encoder
    together, as a call for each costs more than the work. They can be parted again since no string in JSON holds a raw
    line break.
    """
    encoded: list[str | None] = [None] * len(values)
    simple = [
        index
        for index, value in enumerate(values)
        if type(value) is str and value[:1] == "{" and value.count("{") <= 2 and "[" not in value and ":" in value
    ]
    if simple:
        try:
            text = _encode_simple(json.loads(f"[{','.join([values[index] for index in simple])}]"))
        except ValueError:  # one is damaged or holds a NaN: each by itself
            text = ""
        parts = text[2:-2].split(_BETWEEN_OBJECTS) if text else []
        if len(parts) == len(simple):
            for index, part in zip(simple, parts, strict=True):
                encoded[index] = f"{{\n      {part}\n    }}" if part else ""
    return [_encode_object(value) if text is None else text for value, text in zip(values, encoded, strict=True)]


def _encode_simple(objects: list[dict[str, Any]]) -> str:
    """Return `objects` as the flat encoder writes them, with the objects in them indented; "" if that cannot be done.

    The inner ones are encoded apart and put where a token holds their place. Changes `objects`.
    """
    token = secrets.token_hex(16)
    inner: list[dict[str, Any]] = []
    for outer in objects:
        for key, value in outer.items():
            if type(value) is dict and value:
                inner.append(value)
                outer[key] = token
    text: str = _ENCODERS[3](objects)
    if not inner:
        return text
    pieces = text.split(f'"{token}"')
    parts = _ENCODERS[4](inner)[2:-2].split(_BETWEEN_INNER)
    if len(pieces) != len(inner) + 1 or len(parts) != len(inner):
        return ""
    joined = [pieces[0]]
    for part, piece in zip(parts, pieces[1:], strict=True):
        joined += (f"{{\n        {part}\n      }}", piece)
    return "".join(joined)


def _encode_object(value: Any) -> str:
    parsed = json.loads(value) if isinstance(value, str) and value else value
    return encode_indented(parsed, 2) if parsed else ""


def encode_indented(value: Any, level: int) -> str:
    """Return `value` as `json.dumps(value, indent=2, ensure_ascii=False)` writes it `level` steps deep, but faster.

    Numbers that JSON cannot hold become null. Works to any depth that `json.loads` reads.
    """
    if not isinstance(value, dict | list | tuple):
        return _encode_scalar(value)
    if not value:
        return "{}" if isinstance(value, dict) else "[]"
    inner = "  " * (level + 1)
    values = value.values() if isinstance(value, dict) else value
    if level < 60 and not any(isinstance(item, dict | list | tuple) for item in values):
        try:
            text = _ENCODERS[level + 1](value)
        except ValueError:
            text = _ENCODERS[level + 1](without_infinities(value))
        return f"{text[0]}\n{inner}{text[1:-1]}\n{'  ' * level}{text[-1]}"
    separator = ",\n" + inner
    if isinstance(value, dict):
        items = [f"{_encode_key(key)}: {encode_indented(item, level + 1)}" for key, item in value.items()]
        return f"{{\n{inner}{separator.join(items)}\n{'  ' * level}}}"
    return f"[\n{inner}{separator.join(encode_indented(item, level + 1) for item in value)}\n{'  ' * level}]"


def _encode_key(key: Any) -> str:
    return encode_basestring(key) if isinstance(key, str) else encode_basestring(_encode_scalar(key))


def _encode_scalar(value: Any) -> str:
    return _ENCODERS[0](without_infinities(value))
