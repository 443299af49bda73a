"""Take the path of a folder out of texts for people who may not know where it is."""

from __future__ import annotations

import os
import re
from typing import Any

from photolala.lib.paths import unescape_path


def hide_folder(value: Any, folder: str, words: str) -> Any:
    """Return `value` (text, or lists and dictionaries of texts) with `words` in the place of the path `folder`.

    `folder` is in escaped form, or the address of a bucket's prefix. The path of something below it becomes relative to it.
    """
    if isinstance(value, str):
        return _hidden(value, folder, words) if value else value
    if isinstance(value, dict):
        return {hide_folder(name, folder, words): hide_folder(inner, folder, words) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [hide_folder(inner, folder, words) for inner in value]
    return value


def _hidden(text: str, folder: str, words: str) -> str:
    for form in _forms(folder):
        if form not in text:
            continue
        path = rf"(?:file://)?(?<!\w){re.escape(form)}"
        text = re.sub(rf"{path}/(?=[^\s/'\"”’),;:])", "", text)
        text = re.sub(rf"(?:\b[Tt]he (?:folder|path) )?{path}/?(?![\w-])", _Words(words), text)
        text = text.replace(form, words)  # whatever comes before or after it
    return text


def _forms(folder: str) -> list[str]:
    """Return how a path may be written: in escaped form, as it is, as Python's errors quote it."""
    plain = folder.rstrip("/")
    if len(plain) < 2:
        return []  # the root of all files is no secret
    forms = {plain}
    try:
        raw = os.fsdecode(unescape_path(plain))
        forms |= {raw, repr(raw)[1:-1], repr(os.fsencode(raw))[2:-1]}
    except ValueError:
        pass  # in no such form: as it is
    return sorted(forms, key=len, reverse=True)


class _Words:
    """Writes the words with a capital where a sentence begins."""

    def __init__(self, words: str) -> None:
        self._words = words

    def __call__(self, match: re.Match[str]) -> str:
        before = match.string[: match.start()].rstrip()
        is_first = (not before or before[-1] in ".!?") and match.start() == len(before) + (1 if before else 0)
        return self._words[:1].upper() + self._words[1:] if is_first else self._words
