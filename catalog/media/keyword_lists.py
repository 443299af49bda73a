"""The keywords of one file, which may be kept in several fields: XMP's lists, IPTC's records, Windows' text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from catalog.media.iptc import keywords_for_iptc
from catalog.media.words import keywords_for_windows, semicolons

MOST = 500
_PARTS = ("|", "/")
"""Between the levels of Lightroom's and digiKam's paths."""


def united(
    in_xmp: list[str], in_iptc: list[str], in_windows: list[str], *, is_legacy: bool = False, are_paths: bool = False
) -> list[str]:
    """Return the keywords of all fields, each once, at most 501: XMP's, and what only IPTC's records or Windows' text have.

    Short fields, letters that they cannot hold, and capitals make no other keyword; where XMP's are paths, their parts are
    none either. `is_legacy`: IPTC's are in an encoding of which nothing tells, so that letters beyond ASCII count for nothing.
    """
    words = list(in_xmp)
    known = _known(words)
    if are_paths:
        known |= {_key(part) for word in words for mark in _PARTS if mark in word for part in word.split(mark)}
    masked = {_masked(word) for word in known}
    for word in in_iptc:
        if _key(word) in known or ((is_legacy or "?" in word) and _masked(_key(word)) in masked):
            continue
        words.append(word)
    known |= _known(words)
    words += [word for word in in_windows if _key(word) not in known]
    return list(dict.fromkeys(words))[: MOST + 1]


def differ(words: list[str], in_xmp: list[str], in_iptc: list[str], in_windows: list[str]) -> bool:
    """Return whether one of the fields that have any does not have `words`; IPTC's and Windows' may be cut."""
    if in_xmp and in_xmp != words:
        return True
    if in_iptc and in_iptc not in (words, keywords_for_iptc(words)):
        return True
    return bool(in_windows) and in_windows not in (words, semicolons(keywords_for_windows(words)))


def without(paths: Iterable[str], gone: Iterable[str], kept: Iterable[str] = ()) -> dict[str, str]:
    """Return which of these paths of keywords (`People|Anna`) name one that is gone, and what of each remains.

    That is the part behind it: what is below a keyword was given for itself. "" for none. Capitals make no other keyword,
    so that what is also `kept` stays.
    """
    keys = {_key(word) for word in gone} - {_key(word) for word in kept}
    changed = {}
    for path in paths:
        mark = next((one for one in _PARTS if one in path), "")
        levels = path.split(mark) if mark else [path]
        last = max((at for at, level in enumerate(levels) if _key(level) in keys), default=-1)
        if last >= 0 or _key(path) in keys:
            changed[path] = mark.join(levels[last + 1 :]) if last >= 0 else ""
    return changed


def _known(words: list[str]) -> set[str]:
    """Return how these words, and what short or plain fields can hold of them, are compared."""
    windows = semicolons(keywords_for_windows(words))
    return {_key(word) for word in (*words, *keywords_for_iptc(words), *windows)}


def _key(word: str) -> str:
    return unicodedata.normalize("NFC", " ".join(word.split())).casefold()


def _masked(word: str) -> str:
    return "".join(letter if letter.isascii() else "?" for letter in word)
