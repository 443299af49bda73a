"""Reads the rows of an export's data file again, whichever of the two formats it has."""

from collections.abc import Iterator
from typing import Any, TextIO

from exports.formats.csv_writer import InvalidCsv, parse_csv
from exports.formats.json_reader import InvalidJson, parse_json


class InvalidExport(ValueError):
    """The file is not a data file of this program's exports; the text is a sentence that says where it differs."""


def read_rows(stream: TextIO, *, is_csv: bool) -> Iterator[dict[str, Any]]:
    """Yield the rows by column name, what is empty left out. `stream` must be opened with `newline=""` and `utf-8-sig`.

    Raises InvalidExport, also at the very end: what came before is then not the whole.
    """
    try:
        yield from parse_csv(stream) if is_csv else parse_json(stream)
    except (InvalidCsv, InvalidJson) as error:
        raise InvalidExport(str(error)) from None
    except UnicodeDecodeError:
        raise InvalidExport("The file is not in UTF-8.") from None
