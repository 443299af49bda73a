"""Writes rows as CSV that spreadsheets open safely, and reads exactly the same rows back from it."""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from exports.formats.columns import COLUMNS, NAMES, Kind, Row, positions
from exports.formats.json_writer import ByteSink

BOM = b"\xef\xbb\xbf"
_TEXTS = positions(Kind.TEXT)
_LISTS = positions(Kind.LIST)
_BOOLEANS = positions(Kind.BOOLEAN)
_NUMBERS = positions(Kind.NUMBER)
_OBJECTS = positions(Kind.OBJECT)
# A spreadsheet may split at ";" or a tab instead of "," and then takes no notice of the quotes around the whole cell, nor
# of the line breaks within: a formula may stand wherever it sees the start of a cell. Full-width signs count in some.
_SIGNS = "=+\\-@\t\uff1d\uff0b\uff0d\uff20"
_BREAKS = ";\r\n\t"
_FORMULA = re.compile(rf"\A(?='*[{_SIGNS}])|(?<=[{_BREAKS}])(?=['\"]*[{_SIGNS}])")
_NEUTRALISED = re.compile(rf"\A'(?='*[{_SIGNS}])|(?<=[{_BREAKS}])'(?=['\"]*[{_SIGNS}])")
_SUSPICIOUS = frozenset("'=+-@\t\uff1d\uff0b\uff0d\uff20")
_BREAK_IN_OBJECT = re.compile(rf";(?=['\\\"]*[{_SIGNS}])")
_BOOLEAN_TEXT = {True: "true", False: "false"}
_LIST_ITEM = re.compile(r"(?:[^;\\]|\\.)+", re.DOTALL)


class InvalidCsv(ValueError):
    """The file is not a CSV export of this program; the text says where it differs."""


class CsvWriter:
    """Writes a BOM, a header row, and rows by RFC 4180; the bytes do not depend on how rows are batched."""

    def __init__(self, stream: ByteSink) -> None:
        """Write BOM and header to `stream`, which stays open."""
        self._stream = stream
        self._buffer = io.StringIO(newline="")
        self._writer = csv.writer(self._buffer, lineterminator="\r\n")
        self.row_count = 0
        self._writer.writerow(NAMES)
        self._stream.write(BOM + self._taken())

    def write_batch(self, rows: Iterable[Row]) -> int:
        """Write `rows` and return how many they were."""
        batch = rows if isinstance(rows, list) else list(rows)
        texts = "".join([row[index] for row in batch for index in _TEXTS if row[index]])
        has_breaks = any(sign in texts for sign in _BREAKS)
        cells = [_cells(row, has_breaks=has_breaks) for row in batch]
        if cells:
            self._writer.writerows(cells)
            self._stream.write(self._taken())
            self.row_count += len(cells)
        return len(cells)

    def finish(self) -> None:
        """Do nothing: a CSV file has no end mark."""

    def _taken(self) -> bytes:
        data = self._buffer.getvalue().encode()
        self._buffer.seek(0)
        self._buffer.truncate()
        return data


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


def _cells(row: Row, *, has_breaks: bool) -> list[Any]:
    """Return the cells of a row; without `has_breaks` only the first character of its texts is looked at."""
    cells = list(row)
    for index in _BOOLEANS:
        cells[index] = _BOOLEAN_TEXT.get(cells[index], "")
    for index in _LISTS:
        if cells[index]:
            cells[index] = neutralise(join_list(cells[index]))
        else:
            cells[index] = None
    for index in _TEXTS:
        text = cells[index]
        if text and (has_breaks or text[0] in _SUSPICIOUS):
            cells[index] = neutralise(text)
    for index in _NUMBERS:
        number = cells[index]
        if isinstance(number, float) and not math.isfinite(number):
            cells[index] = None
    for index in _OBJECTS:
        value = cells[index]
        if value and not isinstance(value, str):
            value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        cells[index] = None if not value or value == "{}" else _without_breaks(value)
    return cells


def _without_breaks(body: str) -> str:
    """Return the JSON `body` with `;` written as JSON's escape where a formula would follow; it stands in strings only."""
    return _BREAK_IN_OBJECT.sub(r"\\u003b", body) if ";" in body else body


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
