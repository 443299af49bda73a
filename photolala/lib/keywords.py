"""What keywords may be, so that the catalog, IPTC, XMP and snapshots can all hold them as they are."""

import unicodedata
from collections.abc import Iterable
from typing import Any

MOST_KEYWORDS = 500
"""Of one photo."""
LONGEST_KEYWORD = 200
"""Characters."""
_MOST_BYTES = 45_000
_BYTES_AROUND = 30
"""All together, as XMP writes them: a JPEG has 64 kB for its XMP, in which there is more."""


class BadKeyword(ValueError):
    """A text that cannot be a keyword, or too many of them; the message is a sentence for people."""


def tidy_keywords(words: Iterable[str]) -> list[str]:
    """Return the keywords in Unicode's form NFC, each once, in their order, with single spaces; empty ones are left out.

    Raises BadKeyword: nothing is ever cut.
    """
    tidy = [word for word in dict.fromkeys(_tidy(word) for word in words) if word]
    if len(tidy) > MOST_KEYWORDS:
        raise BadKeyword(f"A photo has at most {MOST_KEYWORDS} keywords; these are {len(tidy):,}. Take some out.")
    if sum(len(word.encode()) + _BYTES_AROUND for word in tidy) > _MOST_BYTES:
        raise BadKeyword("These keywords are longer than a photo's file has room for. Take some out, or shorten them.")
    return tidy


def _tidy(word: str) -> str:
    tidy = unicodedata.normalize("NFC", " ".join(word.split()))
    if bad := next((one for one in tidy if _is_impossible(one)), ""):
        raise BadKeyword(f"A keyword cannot hold control characters, and “{_shown(tidy)}” has U+{ord(bad):04X}.")
    if len(tidy) > LONGEST_KEYWORD:
        raise BadKeyword(
            f"A keyword has at most {LONGEST_KEYWORD} characters; “{tidy[:40]} …” has {len(tidy):,}. Shorten it."
        )
    return tidy


def is_keyword(word: str) -> bool:
    """Return whether people can give `word`, which a file may say, to a photo."""
    try:
        return bool(_tidy(word))
    except BadKeyword:
        return False


def are_keywords(value: Any) -> bool:
    """Return whether a file or a row could hold `value` as its keywords."""
    if not isinstance(value, list) or len(value) > MOST_KEYWORDS:
        return False
    return all(
        isinstance(word, str) and word and len(word) <= LONGEST_KEYWORD and not any(map(_is_impossible, word))
        for word in (one.replace("\n", " ").replace("\t", " ") if isinstance(one, str) else one for one in value)
    )


def _is_impossible(one: str) -> bool:
    """True for what XML, or our readers of files, would drop: control characters, half characters, and what is none."""
    return one < " " or "\x7f" <= one <= "\x9f" or "\ud800" <= one <= "\udfff" or one in "\ufffe\uffff"


def _shown(word: str) -> str:
    return "".join(" " if _is_impossible(one) else one for one in word[:40])
