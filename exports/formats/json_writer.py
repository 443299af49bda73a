"""Writes rows as one JSON array, batch after batch, with the bytes that `json.dumps(all_rows, indent=2)` would give."""

import json
from collections.abc import Iterable, Sequence
from itertools import repeat
from json.encoder import encode_basestring
from math import isfinite
from typing import Any, Protocol

from exports.formats.by_column import encode_repeated
from exports.formats.columns import COLUMNS, Batch, Column, Kind, without_infinities


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


_BETWEEN_OBJECTS = "}" + _SEPARATORS[3] + "{"
_INNER = '": {'
_INNER_END = "},\n"


class JsonWriter:
    """Writes one array to a stream of bytes; what is empty in a row is left out; no rows give `[]` and a newline."""

    def __init__(self, stream: ByteSink) -> None:
        """Write to `stream`, which stays open."""
        self._stream = stream
        self.row_count = 0

    def write_batch(self, batch: Batch) -> int:
        """Write the rows of `batch` and return how many they were. The bytes do not depend on how rows are split into batches."""
        if batch:
            fields = [_encode_fields(column, values) for column, values in zip(COLUMNS, batch.columns, strict=True)]
            texts = map("".join, zip(*fields, repeat("\n  }", len(batch)), strict=True))
            self._stream.write((b",\n" if self.row_count else b"[\n") + b",\n".join(map(str.encode, texts)))
            self.row_count += len(batch)
        return len(batch)

    def finish(self) -> None:
        """Write the end of the array."""
        self._stream.write(b"\n]\n" if self.row_count else b"[]\n")


def _encode_fields(column: Column, values: Sequence[Any]) -> Iterable[str]:
    """Return what each row has of a column: comma, name and value, or nothing if it is empty. The first one opens the row."""
    opening = f',\n    "{column.name}": ' if column is not COLUMNS[0] else f'  {{\n    "{column.name}": '
    match column.kind:
        case Kind.WORD | Kind.TEXT:
            return encode_repeated(
                values, lambda texts: [opening + encode_basestring(text) if text else "" for text in texts]
            )
        case Kind.INTEGER:
            return encode_repeated(values, lambda ones: [f"{opening}{one}" if one is not None else "" for one in ones])
        case Kind.BOOLEAN:
            texts = {True: f"{opening}true", False: f"{opening}false", None: ""}
            return map(texts.__getitem__, values)
        case Kind.NUMBER:  # a coordinate that is no number is left out
            return [f"{opening}{one!r}" if one is not None and isfinite(one) else "" for one in values]
        case Kind.LIST:
            return [
                opening + text if value and value != "[]" and (text := _encode_object(value)) else ""
                for value in values
            ]
        case Kind.OBJECT:
            return [opening + text if text else "" for text in _encode_objects(values)]


def _encode_objects(values: Sequence[Any]) -> list[str]:
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
            objects = json.loads(f"[{','.join([values[index] for index in simple])}]")
            parts = _encode_simple(objects)
        except ValueError:  # one is damaged or holds a NaN: each by itself
            parts = []
        if len(parts) == len(simple):
            for index, part in zip(simple, parts, strict=True):
                encoded[index] = part
    return [_encode_object(value) if text is None else text for value, text in zip(values, encoded, strict=True)]


def _encode_simple(objects: list[dict[str, Any]]) -> list[str]:
    """Return the texts of objects that hold one other at most; nothing if they cannot be told apart.

    All are encoded as if they were flat. A raw line break is always one between values, and `": {` begins an object, unless
    there are more of them than objects: then a string holds such signs.
    """
    text: str = _ENCODERS[3](objects)
    inner_count = sum([type(value) is dict for outer in objects for value in outer.values()])
    rows = text[2:-2].split(_BETWEEN_OBJECTS)
    if text.count(_INNER) != inner_count or len(rows) != len(objects):
        return []
    return [_indent_inner(row) if _INNER in row else f"{{\n      {row}\n    }}" if row else "" for row in rows]


def _indent_inner(row: str) -> str:
    """Return the object of the values `row`, one of which is an object: it ends with a line, or with the row."""
    before, _, rest = row.partition(_INNER)
    inner, end, after = rest.partition(_INNER_END)
    if not end:
        inner = rest[:-1]
    if inner:
        inner = "\n        " + inner.replace("\n", "\n  ") + "\n      "
    return f"{{\n      {before}{_INNER}{inner}}}{end[1:]}{after}\n    }}"


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
