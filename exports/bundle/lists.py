"""Writes and reads the JSON files of a bundle one entry at a time: a million of them need no more memory than one."""

import codecs
import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Protocol

READ_BYTES = 1 << 16
LARGEST_ENTRY = 64 << 20
_WHITE = " \t\n\r"


class ByteSink(Protocol):
    """Where a writer puts its bytes."""

    def write(self, data: bytes, /) -> object:
        """Take all of `data`."""


class InvalidBundle(ValueError):
    """The bundle is damaged, or none that this version can read; the text is a sentence that says where and why."""


class BundleRefused(InvalidBundle):
    """Nothing of the bundle is read any further; `code` says why for programs."""

    def __init__(self, sentence: str, code: str = "bad_backup") -> None:
        super().__init__(sentence)
        self.code = code


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(", ", ": ")).encode


def write_list(sink: ByteSink, key: str, entries: Iterable[Any]) -> int:
    r"""Write `{"<key>": [entries]}`, each entry on a line of its own, and return how many they were.

    The bytes depend on nothing but key and entries: keys stay in their order, text is UTF-8 as it is, no entries give `[]`.
    """
    count = 0
    sink.write(f'{{\n  "{key}": ['.encode())
    for entry in entries:
        sink.write(((",\n    " if count else "\n    ") + _encode(entry)).encode())
        count += 1
    sink.write(b"\n  ]\n}\n" if count else b"]\n}\n")
    return count


def encode_object(value: Any) -> bytes:
    """Return a small JSON file, such as metadata.json: two spaces a level, UTF-8, a newline at its end."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2).encode() + b"\n"


def decode_object(stream: BinaryIO, name: str, *, most_bytes: int = 1 << 20) -> dict[str, Any]:
    """Return the JSON object that is all of `stream`. Raises InvalidBundle if it is none, or larger than `most_bytes`."""
    data = stream.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise InvalidBundle(f"{name} has more than {most_bytes:,} bytes. It is not read.")
    try:
        value = json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidBundle(f"{name} is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise InvalidBundle(f"{name} is no JSON object.")
    return value


def read_list(stream: BinaryIO, key: str, name: str, *, largest: int = LARGEST_ENTRY) -> Iterator[dict[str, Any]]:
    """Yield the objects of `{"<key>": [ … ]}` as they are read; white space may be anywhere, further keys may not.

    Memory: the largest entry, which may have `largest` characters at most. Raises InvalidBundle, also at the very end (what
    came before is then not to be relied on), and what `stream` raises.
    """
    text = _Text(stream, name, largest)
    text.expect("{")
    if text.value() != key:
        raise InvalidBundle(f"{name} does not begin with the list {key!r}.")
    text.expect(":")
    text.expect("[")
    if not text.skips("]"):
        while True:
            entry = text.value()
            if not isinstance(entry, dict):
                raise InvalidBundle(f"{name} has an entry that is no JSON object.")
            yield entry
            if text.skips("]"):
                break
            text.expect(",")
    text.expect("}")
    text.expect_end()


class _Text:
    """The text of a stream, parsed value by value."""

    def __init__(self, stream: BinaryIO, name: str, largest: int) -> None:
        self._stream, self._name, self._largest = stream, name, largest
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._json = json.JSONDecoder(parse_constant=_refuse_constant)
        self._buffer, self._at, self._ended = "", 0, False
        self._fill()
        if self._buffer.startswith("\ufeff"):
            self._at = 1

    def _fill(self, size: int = READ_BYTES) -> None:
        data = self._stream.read(size)
        self._ended = not data
        try:
            more = self._decoder.decode(data, final=self._ended)
        except UnicodeDecodeError as error:
            raise InvalidBundle(f"{self._name} is not UTF-8: {error.reason}.") from None
        self._buffer, self._at = self._buffer[self._at :] + more, 0

    def _next(self) -> str:
        """Return the next character that is not white space, without taking it; "" at the end."""
        while True:
            while self._at < len(self._buffer):
                if self._buffer[self._at] not in _WHITE:
                    return self._buffer[self._at]
                self._at += 1
            if self._ended:
                return ""
            self._fill()

    def skips(self, character: str) -> bool:
        if self._next() != character:
            return False
        self._at += 1
        return True

    def expect(self, character: str) -> None:
        if not self.skips(character):
            found = self._next()
            what = f"has {found!r} where {character!r} must be" if found else "ends too early"
            raise InvalidBundle(f"{self._name} {what}: it is damaged.")

    def expect_end(self) -> None:
        if self._next():
            raise InvalidBundle(f"{self._name} has more after its list: it is damaged.")

    def value(self) -> Any:
        """Return the next value, reading on until all of it is there."""
        self._next()
        wanted = READ_BYTES
        while True:
            try:
                value, end = self._json.raw_decode(self._buffer, self._at)
            except (ValueError, RecursionError) as error:
                if self._ended or isinstance(error, RecursionError):
                    raise InvalidBundle(f"{self._name} is not JSON: {error}.") from None
            else:
                if end < len(self._buffer) or self._ended:  # a number could go on
                    self._at = end
                    return value
            if len(self._buffer) - self._at > self._largest:
                raise InvalidBundle(
                    f"{self._name} has an entry of more than {self._largest:,} characters, or is no JSON."
                )
            self._fill(wanted)
            wanted = min(wanted * 2, 1 << 24)  # parsed anew each time: so it stays linear


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")
