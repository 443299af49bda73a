"""Reads the rows of a JSON export one after another, whatever white space is between them."""

import json
from collections.abc import Iterator
from typing import Any, NoReturn, TextIO

READ_CHARACTERS = 1 << 16
LARGEST_ROW = 16 << 20
"""Characters: no photo's row comes near, and one that never ends must not take the memory."""
_WHITE = " \t\r\n"


class InvalidJson(ValueError):
    """The file is not a JSON export of this program; the text says where it differs."""


def parse_json(stream: TextIO) -> Iterator[dict[str, Any]]:
    """Yield the rows of a JSON export. Raises InvalidJson, also at the very end; what came before is then not the whole."""
    text = _Text(stream)
    if text.next() != "[":
        raise InvalidJson("The file is no JSON array: it is not an export of this program.")
    count = 0
    sign = text.peek()
    while sign != "]":
        row = text.value(count + 1)
        if not isinstance(row, dict) or not isinstance(row.get("id"), str):
            raise InvalidJson(f"Row {count + 1:,} is no object with an 'id': this is not an export of this program.")
        count += 1
        yield row
        sign = text.peek()
        if sign == ",":
            text.next()
        elif sign != "]":
            raise InvalidJson(f"The file does not go on, or does not end, as an array does after row {count:,}.")


class _Text:
    """The part of the file that is at work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text = ""
        self._at = 0

    def peek(self) -> str:
        """Return the next character that is no white space; the empty text at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _WHITE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more(READ_CHARACTERS):
                return ""

    def next(self) -> str:
        """Return it, and go on behind it."""
        sign = self.peek()
        self._at += len(sign)
        return sign

    def value(self, number: int) -> Any:
        """Return the value that begins there, and go on behind it. It is read in ever larger pieces until it is whole."""
        self.peek()
        wanted = READ_CHARACTERS
        while True:
            try:
                value, self._at = _DECODER.raw_decode(self._text, self._at)
                return value
            except (ValueError, RecursionError) as error:
                if len(self._text) - self._at > LARGEST_ROW:
                    raise InvalidJson(f"Row {number:,} has more than {LARGEST_ROW:,} characters.") from None
                if not self._more(wanted):
                    reason = getattr(
                        error, "msg", "it is nested too deep"
                    )  # not where: it knows only a part of the file
                    raise InvalidJson(f"Row {number:,} is not JSON: {reason}.") from None
                wanted *= 2

    def _more(self, characters: int) -> bool:
        piece = self._stream.read(characters)
        self._text, self._at = self._text[self._at :] + piece, 0
        return bool(piece)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)
