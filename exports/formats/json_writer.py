"""Writes rows as one JSON array, batch after batch, with the bytes that `json.dumps(all_rows, indent=2)` would give."""

import json
from collections.abc import Iterable
from json.encoder import encode_basestring
from typing import Any, Protocol

from exports.formats.columns import COLUMNS, NAMES, Kind, Row, positions, without_infinities


class ByteSink(Protocol):
    """Where a writer puts its bytes."""

    def write(self, data: bytes, /) -> object:
        """Take all of `data`."""


_NESTED = tuple((index, COLUMNS[index].name) for index in positions(Kind.LIST, Kind.OBJECT))
_FIRST_NESTED = _NESTED[0][0]
_FLAT_NAMES = NAMES[:_FIRST_NESTED]
_TAIL = tuple((index, COLUMNS[index].name, COLUMNS[index].kind) for index in range(_FIRST_NESTED, len(COLUMNS)))
# The C encoder is used for flat objects only: it does not indent, but a separator with the line break does the same.
_SEPARATORS = {level: ",\n" + "  " * level for level in range(64)}
_ENCODERS: dict[int, Any] = {
    level: json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(separator, ": ")).encode
    for level, separator in _SEPARATORS.items()
}
_encode_fields = _ENCODERS[2]


class JsonWriter:
    """Writes one array to a stream of bytes; what is empty in a row is left out; no rows give `[]` and a newline."""

    def __init__(self, stream: ByteSink) -> None:
        """Write to `stream`, which stays open."""
        self._stream = stream
        self.row_count = 0

    def write_batch(self, rows: Iterable[Row]) -> int:
        """Write `rows` and return how many they were. The bytes do not depend on how rows are split into batches."""
        texts = [_encode_row(row) for row in rows]
        if texts:
            opening = ",\n" if self.row_count else "[\n"
            self._stream.write((opening + ",\n".join(texts)).encode())
            self.row_count += len(texts)
        return len(texts)

    def finish(self) -> None:
        """Write the end of the array."""
        self._stream.write(b"\n]\n" if self.row_count else b"[]\n")


def _encode_row(row: Row) -> str:
    fields = {name: value for name, value in zip(_FLAT_NAMES, row, strict=False) if value is not None and value != ""}
    try:
        body = _encode_fields(fields)[1:-1]
    except ValueError:  # a coordinate that is no number: left out
        cleaned = without_infinities(fields)
        body = _encode_fields({name: value for name, value in cleaned.items() if value is not None})[1:-1]
    for index, name, kind in _TAIL:
        value = row[index]
        if not value:
            continue
        if kind is Kind.OBJECT and isinstance(value, str):
            value = json.loads(value)
        if text := encode_indented(value, 2) if value else "":
            body = f'{body},\n    "{name}": {text}' if body else f'"{name}": {text}'
    return f"  {{\n    {body}\n  }}" if body else "  {}"


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
