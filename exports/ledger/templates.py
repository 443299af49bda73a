"""Templates of destinations: which folder, and which name, a photo gets by what is known of it."""

import os
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from exports.ledger.errors import InvalidRecord
from exports.ledger.names import fit_filename, sanitize_component

DATE_FIELDS = {"year": 4, "month": 2, "day": 2}
"""The numbers, each with the digits that it has at least if the template says nothing."""
NAME_FIELD = "original_name"
"""The name of the file without its extension. The last part of a template with it in it names the files."""
_WIDTH = re.compile("0[1-9]")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of text, and the field that follows it (None at the end)."""

    text: str
    field: str | None
    width: int


class Template:
    """A path of text and fields, such as `{year}/{month}/` or `{album}/{day:02}_{original_name}`."""

    def __init__(self, text: str, fields: frozenset[str]) -> None:
        """Read `text`; besides `{year}`, `{month}` and `{day}` it may name `fields`. Raises InvalidRecord."""
        known = fields | DATE_FIELDS.keys()
        folder, slash, last = text.rpartition("/")
        try:
            has_name = any(field == NAME_FIELD for _, field, _, _ in string.Formatter().parse(last))
            self._folder = _pieces(folder + slash if has_name else text, known)
            self._name = _pieces(last, known) if has_name else []
        except ValueError as error:
            raise InvalidRecord(
                f"The folder template {text[:200]!r} cannot be used ({error}); it may contain "
                f"{', '.join(f'{{{name}}}' for name in sorted(known))}, and numbers with a width such as {{month:02}}."
            ) from error
        if has_name and not folder:
            raise InvalidRecord(
                f"The folder template {text[:200]!r} has no folder before the name of the files, such as {{year}}/."
            )
        self.fields = frozenset(piece.field for piece in (*self._folder, *self._name) if piece.field is not None)

    @property
    def names_files(self) -> bool:
        """True if the files get names by the template, too; else they keep theirs."""
        return bool(self._name)

    def folder(self, taken_local: datetime, values: Mapping[str, str]) -> str:
        """Return the folder of a photo taken at `taken_local` (wall clock), with a "/" at its end; not checked yet."""
        path = _filled(self._folder, taken_local, values, are_parts=False)
        return path if path.endswith("/") else f"{path}/"

    def filename(self, taken_local: datetime, values: Mapping[str, str], original: str) -> str:
        """Return the name for the file that was called `original`: with its extension, and at most 255 bytes."""
        if not self._name:
            return original
        stem, extension = os.path.splitext(original)
        name = _filled(self._name, taken_local, {**values, NAME_FIELD: stem}, are_parts=True)
        return fit_filename(name, extension)


def _pieces(text: str, known: frozenset[str] | set[str]) -> list[_Piece]:
    pieces = []
    for literal, field, style, conversion in string.Formatter().parse(text):
        if field is not None and field not in known:
            raise ValueError(f"{{{field}}} is not known")
        if conversion or (style and not (field in DATE_FIELDS and _WIDTH.fullmatch(style))):
            raise ValueError(f"{{{field}}} has a form that it cannot have")
        pieces.append(_Piece(literal, field, int(style) if style else DATE_FIELDS.get(field or "", 0)))
    return pieces


def _filled(pieces: list[_Piece], taken_local: datetime, values: Mapping[str, str], *, are_parts: bool) -> str:
    numbers = {"year": taken_local.year, "month": taken_local.month, "day": taken_local.day}
    filled = []
    for piece in pieces:
        filled.append(piece.text)
        if piece.field in numbers:
            filled.append(f"{numbers[piece.field]:0{piece.width}}")
        elif piece.field is not None:
            filled.append(sanitize_component(values[piece.field], may_be_device=are_parts))
    return "".join(filled)
