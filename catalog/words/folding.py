"""Texts as words that can be compared: without case, accents and punctuation, the same for what is indexed and what is typed."""

import re
import unicodedata
from collections.abc import Iterable
from itertools import islice

LONGEST_WORD = 64
MOST_WORDS = 2_000
"""Words of one text that are indexed; what comes after them is not found."""
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_RUN = re.compile(r"[a-z]+|[0-9]+")
_PLAIN_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ı": "i", "ŋ": "n"}
)
_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Letters of scripts that put no spaces between words: each is a word of its own."""


def fold(text: str) -> list[str]:
    """Return the words of `text`: small letters and digits, each at most LONGEST_WORD characters, in their order."""
    if text.isascii():
        return [word[:LONGEST_WORD] for word in islice(_ASCII_WORD.findall(text.lower()), MOST_WORDS)]
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold()).translate(_PLAIN_LETTERS)
    letters: list[str] = []
    for character in plain:
        if unicodedata.category(character) == "Mn":
            continue
        if not character.isalnum():
            letters.append(" ")
        elif _WITHOUT_SPACES.match(character):
            letters.append(f" {character} ")
        else:
            letters.append(character)
    return [word[:LONGEST_WORD] for word in islice("".join(letters).split(), MOST_WORDS)]


def runs_within(words: Iterable[str]) -> list[str]:
    """Return what follows the first run of letters or digits in words that mix them: `20150103` of `img20150103`."""
    found = []
    for word in words:
        if not word.isalpha() and not word.isdecimal():
            found += [run for run in _RUN.findall(word)[1:] if len(run) > 1]
    return found
