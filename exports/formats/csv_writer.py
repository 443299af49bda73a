"""Writes rows as CSV that spreadsheets open safely, and reads exactly the same rows back from it."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from math import isfinite
from typing import Any, TextIO, cast

from exports.formats.by_column import Encoder, encode_repeated
from exports.formats.columns import COLUMNS, NAMES, Batch, Kind
from exports.formats.json_writer import ByteSink

BOM = b"\xef\xbb\xbf"
# A spreadsheet may split at ";" or a tab instead of "," and then takes no notice of the quotes around the whole cell, nor
# of the line breaks within: a formula may stand wherever it sees the start of a cell. Full-width signs count in some.
_SIGNS = "=+\\-@\t\uff1d\uff0b\uff0d\uff20"
_BREAKS = ";\r\n\t"
_FORMULA = re.compile(rf"\A(?='*[{_SIGNS}])|(?<=[{_BREAKS}])(?=['\"]*[{_SIGNS}])")
_NEUTRALISED = re.compile(rf"\A'(?='*[{_SIGNS}])|(?<=[{_BREAKS}])'(?=['\"]*[{_SIGNS}])")
_SUSPICIOUS = frozenset("'=+-@\t\uff1d\uff0b\uff0d\uff20")
_BREAK_IN_OBJECT = re.compile(rf";(?=['\\\"]*[{_SIGNS}])")
_IN_QUOTES = ',"\r\n'  # what RFC 4180 puts in quotes
_BOOLEAN_TEXT = {True: "true", False: "false", None: ""}
_LIST_ITEM = re.compile(r"(?:[^;\\]|\\.)+", re.DOTALL)


class InvalidCsv(ValueError):
    """The file is not a CSV export of this program; the text says where it differs."""


class CsvWriter:
    """Writes a BOM, a header row, and rows by RFC 4180; the bytes do not depend on how rows are batched."""

    def __init__(self, stream: ByteSink) -> None:
        """Write BOM and header to `stream`, which stays open."""
        self._stream = stream
        self.row_count = 0
        self._stream.write(BOM + f"{','.join(NAMES)}\r\n".encode())

    def write_batch(self, batch: Batch) -> int:
        """Write the rows of `batch` and return how many they were."""
        cells = [_CELLS[column.kind](values) for column, values in zip(COLUMNS, batch.columns, strict=True)]
        lines = map(",".join, zip(*cells, strict=True))
        self._stream.write(b"\r\n".join([*map(str.encode, lines), b""]))
        self.row_count += len(batch)
        return len(batch)

    def finish(self) -> None:
        """Do nothing: a CSV file has no end mark."""


def neutralise(text: str) -> str:
    """`text` so that no spreadsheet runs it: `'` goes before what starts (after any `'`) with `= + - @` or tab.

    So it does after each `;`, tab and line break within, where a spreadsheet of another country begins a new cell.
    """
    return _FORMULA.sub("'", text)


def restore(cell: str) -> str:
    """Return the text that `neutralise` turned into `cell`: its exact inverse."""
    return _NEUTRALISED.sub("", cell)


def join_list(items: Iterable[str]) -> str:
    r"""Return `items` joined by `;`, with `\;` and `\\` for these characters in an item; empty items are left out."""
    return ";".join(item.replace("\\", "\\\\").replace(";", "\\;") for item in items if item)


def split_list(cell: str) -> list[str]:
    """Return the items that `join_list` joined."""
    return [re.sub(r"\\(.)", r"\1", item, flags=re.DOTALL) for item in _LIST_ITEM.findall(cell)]


def _quoted(cell: str) -> str:
    """Return `cell` in quotes if it needs them."""
    if '"' in cell:
        return '"' + cell.replace('"', '""') + '"'
    return f'"{cell}"' if "," in cell or "\n" in cell or "\r" in cell else cell


def _filled(values: Sequence[str | None]) -> Sequence[str]:
    """Return `values` with empty texts for None."""
    return [value or "" for value in values] if None in values else cast("Sequence[str]", values)


def _words(values: Sequence[str | None]) -> Sequence[str]:
    words = _filled(values)
    whole = "".join(words)
    return [_quoted(word) for word in words] if any(sign in whole for sign in _IN_QUOTES) else words


def _texts(values: Sequence[str | None]) -> Sequence[str]:
    texts = _filled(values)
    whole = "".join(texts)
    if any(sign in whole for sign in _BREAKS):
        texts = [neutralise(text) for text in texts]
    elif not _SUSPICIOUS.isdisjoint([text[:1] for text in texts]):
        texts = [neutralise(text) if text[:1] in _SUSPICIOUS else text for text in texts]
    return _words(texts)


def _integers(values: Sequence[int | None]) -> list[str]:
    return ["" if value is None else str(value) for value in values]


def _numbers(values: Sequence[float | None]) -> list[str]:
    return [repr(value) if value is not None and isfinite(value) else "" for value in values]


def _booleans(values: Sequence[bool | None]) -> Iterable[str]:
    return map(_BOOLEAN_TEXT.__getitem__, values)


def _lists(values: Sequence[Sequence[str] | str | None]) -> list[str]:
    return [_list(value) if value and value != "[]" else "" for value in values]


def _list(value: Sequence[str] | str) -> str:
    items = json.loads(value) if isinstance(value, str) else value
    return _quoted(neutralise(join_list(items))) if items else ""


def _objects(values: Sequence[Any]) -> list[str]:
    return [_object(value) if value and value != "{}" else "" for value in values]


def _object(value: Any) -> str:
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _quoted(_without_breaks(value))


def _without_breaks(body: str) -> str:
    """Return the JSON `body` with `;` written as JSON's escape where a formula would follow; it stands in strings only."""
    return _BREAK_IN_OBJECT.sub(r"\\u003b", body) if ";" in body else body


_CELLS: dict[Kind, Encoder] = {
    Kind.WORD: lambda values: encode_repeated(values, _words),
    Kind.TEXT: lambda values: encode_repeated(values, _texts),
    Kind.INTEGER: lambda values: encode_repeated(values, _integers),
    Kind.NUMBER: _numbers,
    Kind.BOOLEAN: _booleans,
    Kind.LIST: _lists,
    Kind.OBJECT: _objects,
}


def parse_csv(stream: TextIO) -> Iterator[dict[str, Any]]:
    """Yield the rows of a CSV export by column name, empty cells left out, as the JSON export would give them.

    `stream` must be opened with `newline=""` and `utf-8-sig`. Columns may come in any order; unknown ones are kept as
    text. Raises InvalidCsv with the line where the file cannot be understood.
    """
    csv.field_size_limit(1 << 30)
    reader = csv.reader(stream, strict=True)
    kinds = {column.name: column.kind for column in COLUMNS}
    try:
        header = next(reader, None)
        if not header or "id" not in header:
            raise InvalidCsv("The file has no header row with a column 'id': it is not an export of this program.")
        for cells in reader:
            if len(cells) != len(header):
                raise InvalidCsv(f"Line {reader.line_num} has {len(cells)} cells instead of {len(header)}.")
            yield {
                name: _value(kinds.get(name, Kind.WORD), cell, name, reader.line_num)
                for name, cell in zip(header, cells, strict=True)
                if cell
            }
    except csv.Error as error:
        raise InvalidCsv(f"Line {reader.line_num} is not CSV: {error}.") from error


def _value(kind: Kind, cell: str, name: str, line: int) -> Any:
    try:
        match kind:
            case Kind.TEXT:
                return restore(cell)
            case Kind.LIST:
                return split_list(restore(cell))
            case Kind.INTEGER:
                return int(cell)
            case Kind.NUMBER:
                return float(cell) if any(sign in cell for sign in ".en") else int(cell)
            case Kind.BOOLEAN:
                return {"true": True, "false": False}[cell.lower()]  # spreadsheets save them in capitals
            case Kind.OBJECT:
                return json.loads(cell)
            case _:
                return cell
    except (ValueError, KeyError, RecursionError) as error:
        raise InvalidCsv(f"Line {line}: {cell[:80]!r} is no value for the column '{name}'.") from error
