"""Rules for the folders and file names of an export: what is refused, what is cleaned, and which name is free next."""

import os
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

from exports.ledger.errors import InvalidRecord
from photolala.lib.paths import escape_path

MAX_REL_PATH_BYTES = 1000
MAX_NAME_BYTES = 255
MAX_ESCAPED_NAME_BYTES = 4 * MAX_NAME_BYTES
MAX_NUMBER = 10_000
MAX_EXTENSION_BYTES = 40
_DEVICES = frozenset(
    {
        *("CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"),
        *(f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³"),
    }
)
_FORBIDDEN_IN_COMPONENTS = frozenset('/\\<>:"|?*')


class NoFreeName(OSError):
    """All numbered forms of a file name are taken in a folder; nothing was written."""


@lru_cache(maxsize=4096)  # the same few folders again and again while half a million records load
def check_rel_path(rel_path: str) -> None:
    """Raise InvalidRecord unless `rel_path` (escaped text) is a safe folder below the destination, like `2025/02/`."""
    reason = _rel_path_problem(rel_path)
    if reason:
        raise InvalidRecord(f"The export folder {rel_path[:200]!r} {reason}; it must be a path like '2025/02/'.")


def _rel_path_problem(rel_path: str) -> str | None:
    if not rel_path:
        return "is empty"
    if "\0" in rel_path:
        return "contains a NUL character"
    try:
        if len(rel_path.encode()) > MAX_REL_PATH_BYTES:
            return f"is longer than {MAX_REL_PATH_BYTES} bytes"
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if rel_path.startswith("/"):
        return "is absolute"
    for segment in rel_path.removesuffix("/").split("/"):
        if segment in ("", ".", ".."):
            return f"has the segment {segment!r}"
    return None


def check_filename(filename: str) -> None:
    """Raise InvalidRecord unless `filename` (escaped text) names one file in a folder."""
    if not filename or filename in (".", "..") or "/" in filename or "\0" in filename:
        raise InvalidRecord(f"{filename[:200]!r} is not the name of a file.")
    try:
        size_bytes = len(filename.encode())
    except UnicodeEncodeError:
        raise InvalidRecord(f"The file name {filename[:200]!r} is not valid Unicode; escape it first.") from None
    if size_bytes > MAX_ESCAPED_NAME_BYTES:
        raise InvalidRecord(f"The file name {filename[:200]!r} is longer than {MAX_ESCAPED_NAME_BYTES:,} bytes.")


def sanitize_component(name: str, *, may_be_device: bool = False) -> str:
    r"""Return `name` fit to be one folder name anywhere: NFC, trimmed, `_` for `/\<>:"|?*` and control characters.

    Trailing dots go, what is then empty becomes `_`, what is too long for a file system is cut, and what Windows takes for
    a device (`CON`, `nul.txt`) gets a `_` at its start, unless it `may_be_device`, as more is to be added to it.
    """
    text = unicodedata.normalize("NFC", name).strip()
    cleaned = "".join("_" if char in _FORBIDDEN_IN_COMPONENTS or _is_control(char) else char for char in text)
    fitting = _cut(cleaned if may_be_device else _off_devices(cleaned), MAX_NAME_BYTES).rstrip(". ")
    return fitting or "_"


def fit_filename(stem: str, extension: str) -> str:
    """Return a name for a file of `stem` and `extension` that any disk takes: the stem is cut if both are too long."""
    ending = "".join("_" if char in _FORBIDDEN_IN_COMPONENTS or _is_control(char) else char for char in extension)
    ending = _cut(ending, MAX_EXTENSION_BYTES)
    return sanitize_component(
        _cut(sanitize_component(stem, may_be_device=True), MAX_NAME_BYTES - _length_bytes(ending)) + ending
    )


def portable_name(filename: str) -> str:
    """Return the name of a file (not escaped) as any disk takes it: see docs/formats.md §4."""
    return fit_filename(*os.path.splitext(filename))


def _off_devices(name: str) -> str:
    return f"_{name}" if name.partition(".")[0].rstrip().upper() in _DEVICES else name


def numbered_names(filename: str) -> Iterator[str]:
    """Yield `stem.ext`, `stem (1).ext`, `stem (2).ext` … up to number 10,000, each at most 255 bytes long."""
    stem, extension = os.path.splitext(filename)
    for number in range(MAX_NUMBER + 1):
        suffix = f" ({number}){extension}" if number else extension
        yield _cut(stem, MAX_NAME_BYTES - _length_bytes(suffix)) + suffix


def collision_key(filename: str) -> str:
    """Return a text that is equal for names which a file system without case or with one Unicode form takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", filename).casefold())


class TakenNames:
    """The names in one folder; gives each new file one that no file there has, compared as careless disks compare."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """Start with the `names` that are there."""
        self._keys = {collision_key(name) for name in names}
        self._next_number: dict[str, int] = {}

    def __contains__(self, filename: str) -> bool:
        """Tell whether `filename` is taken."""
        return collision_key(filename) in self._keys

    def claim(self, filename: str) -> str:
        """Return `filename` or its next free numbered form, and take it; NoFreeName after number 10,000."""
        start_key = collision_key(filename)
        tried_before = self._next_number.get(start_key, 0)
        for number, name in enumerate(numbered_names(filename)):
            if number < tried_before:  # known to be taken: keeps 10,000 equal names from costing 10,000² look-ups
                continue
            if name not in self:
                self._keys.add(collision_key(name))
                self._next_number[start_key] = number + 1
                return name
        raise NoFreeName(
            f"'{escape_path(filename)}' and its {MAX_NUMBER:,} numbered forms all exist in the folder; nothing was written. "
            "Choose another folder template or clear that folder."
        )

    def release(self, filename: str) -> None:
        """Give a claimed name back, as nothing was written under it."""
        self._keys.discard(collision_key(filename))
        self._next_number.clear()


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")


def _cut(text: str, limit_bytes: int) -> str:
    if _length_bytes(text) <= limit_bytes:
        return text
    while text and _length_bytes(text) > limit_bytes:
        text = text[:-1]
    return text.rstrip()


def _length_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))  # an escaped odd byte counts as three: on the safe side
