"""Translates file names, which are bytes, to the text by which database, snapshots, ledgers and exports know them."""

import re

_NEEDS_ESCAPE = re.compile("[\\\\\x00\udc80-\udcff]")
_ESCAPE = re.compile(rb"\\(\\|x[0-9a-f]{2}|)")


def escape_path(path: bytes | str) -> str:
    r"""Return `path` as text that any database can hold and that `unescape_path` turns back into the same bytes.

    Takes what the file system gives: bytes, or a `str` with surrogate escapes (`os.fsdecode`). UTF-8 stays as it is, in
    its own Unicode form (nothing is normalised); a byte that is no UTF-8, and NUL, becomes `\xnn`; a backslash becomes
    `\\`. Raises ValueError for a `str` with surrogates that stand for no byte.
    """
    if isinstance(path, str):
        if path.isascii() and "\\" not in path and "\x00" not in path:
            return path  # nearly every name: worth the short cut
        try:
            path = path.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise ValueError(f"The path {path!r} holds characters that stand for no bytes of a file name.") from None
    return _NEEDS_ESCAPE.sub(_escape_character, path.decode("utf-8", "surrogateescape"))


def unescape_path(text: str) -> bytes:
    r"""Return the bytes of the file name that `escape_path` turned into `text`.

    Raises ValueError for text that `escape_path` never writes (a lone backslash, `\x41` for a letter, surrogates), so
    that each file has exactly one name.
    """
    try:
        raw = text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"The path {text!r} holds characters that are no valid text.") from None
    if b"\\" not in raw:
        if b"\x00" in raw:
            raise ValueError(f"The path {text!r} holds a NUL character, which no file name can.")
        return raw
    unescaped = _ESCAPE.sub(_unescape_match, raw)
    if escape_path(unescaped) != text:
        raise ValueError(rf"The path {text!r} is not written Photolala's way: \\ for a backslash, \xnn for odd bytes.")
    return unescaped


def join_path(directory: str, name: str) -> str:
    """Return the path of `name` in `directory`, both in escaped form; `directory` is "" for the root itself."""
    return f"{directory}/{name}" if directory else name


def _escape_character(match: re.Match[str]) -> str:
    character = match.group()
    return "\\\\" if character == "\\" else f"\\x{ord(character) & 0xFF:02x}"


def _unescape_match(match: re.Match[bytes]) -> bytes:
    code = match.group(1)
    if code.startswith(b"x"):
        return bytes((int(code[1:], 16),))
    return b"\\"
