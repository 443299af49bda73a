"""The columns of a catalog export: their names, order and kinds, and what a row may hold."""

import math
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple


class Kind(Enum):
    """What a column holds: a WORD is text that this program makes (ids, times), TEXT comes from people or files."""

    WORD = "word"
    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    LIST = "list"
    OBJECT = "object"


class Column(NamedTuple):
    """One column of an export."""

    name: str
    kind: Kind


def _columns(kind: Kind, names: str) -> tuple[Column, ...]:
    return tuple(Column(name, kind) for name in names.split())


COLUMNS: tuple[Column, ...] = (
    *_columns(Kind.WORD, "id photo_md5 owner_id library_id"),
    *_columns(Kind.TEXT, "path filename caption"),
    *_columns(Kind.WORD, "taken_at taken_at_source added_at"),
    *_columns(Kind.INTEGER, "size_bytes"),
    *_columns(Kind.WORD, "media_type"),
    *_columns(Kind.INTEGER, "width height duration_ms"),
    *_columns(Kind.TEXT, "camera_make camera_model lens_model"),
    *_columns(Kind.INTEGER, "iso"),
    *_columns(Kind.NUMBER, "aperture"),
    *_columns(Kind.TEXT, "shutter_speed"),
    *_columns(Kind.NUMBER, "focal_length latitude longitude"),
    *_columns(Kind.INTEGER, "rating favorite_count share_count note_count album_count"),
    *_columns(Kind.BOOLEAN, "has_media is_edited"),
    *_columns(Kind.WORD, "original_id"),
    *_columns(Kind.LIST, "keywords"),
    *_columns(Kind.OBJECT, "metadata"),
    *_columns(Kind.WORD, "archived_at"),
    *_columns(Kind.LIST, "media_files"),
)
NAMES: tuple[str, ...] = tuple(column.name for column in COLUMNS)


class Batch:
    """Rows to write: the values of each column, in the order of COLUMNS.

    None is empty, but each row has an id. Times are RFC 3339 text, lists are lists of text or their JSON, `metadata` is the
    JSON object as a dict or as its text, and booleans may be 1 and 0.
    """

    def __init__(self, columns: Sequence[Sequence[Any]]) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns[0])


def format_time(moment: datetime) -> str:
    """Return `moment` as RFC 3339 text in whole seconds, with its offset (`Z` for UTC) if it knows one."""
    text = moment.isoformat(timespec="seconds")
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def positions(*kinds: Kind) -> tuple[int, ...]:
    """Return where in a row the columns of these kinds are."""
    return tuple(index for index, column in enumerate(COLUMNS) if column.kind in kinds)


def without_infinities(value: Any) -> Any:
    """Return `value` with every number that JSON cannot hold (infinite, not a number) as None, at any depth."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: without_infinities(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_infinities(item) for item in value]
    return value
