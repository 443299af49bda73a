"""Rows and batches for the writers of catalog exports, and what a plain writer makes of them."""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from exports.formats.columns import COLUMNS, NAMES, Batch, Kind
from exports.formats.csv_writer import BOM, join_list, neutralise


def row_from_mapping(values: Mapping[str, Any]) -> list[Any]:
    """Return the row with these values by column name; what is missing is empty."""
    assert set(values) <= set(NAMES)
    return [values.get(name) for name in NAMES]


def batch_of(rows: Sequence[Sequence[object]]) -> Batch:
    """Return these rows, of which there may be none."""
    return Batch(list(zip(*rows, strict=True)) if rows else [()] * len(COLUMNS))


def plain_csv(items: Sequence[Sequence[Any]]) -> bytes:
    """Return the rows as Python's own writer gives them, cell by cell as the format says."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(NAMES)
    for item in items:
        cells = []
        for column, value in zip(COLUMNS, item, strict=True):
            match column.kind:
                case Kind.TEXT:
                    value = neutralise(value or "")
                case Kind.LIST:
                    value = neutralise(join_list(value or []))
                case Kind.BOOLEAN:
                    value = {True: "true", False: "false", None: ""}[value]
                case Kind.OBJECT:
                    text = value or ""
                    if not isinstance(text, str):
                        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
                    value = re.sub(r";(?=['\\\"]*[=+\-@\t\uff1d\uff0b\uff0d\uff20])", r"\\u003b", text)
            cells.append(value)
        writer.writerow(cells)
    return BOM + stream.getvalue().encode()
