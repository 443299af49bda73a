"""Who is in a photo, and how it was kept, as Google Takeout's JSON says it: as keywords. A stranger's text, and bounded."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from photolala.lib.keywords import BadKeyword, tidy_keywords

_MOST_PEOPLE = 100
"""Of one photo; further names are not read."""
_MARKS = {"archived": "archived", "inLockedFolder": "locked"}


def keywords_told(document: dict[str, Any]) -> list[str]:
    """Return the names of the people in a photo, then `archived` and `locked`, each once.

    Names that cannot be keywords (too long, control characters) are left out.
    """
    people = document.get("people")
    some = people[:_MOST_PEOPLE] if isinstance(people, list) else []
    names = [one.get("name") for one in some if isinstance(one, dict)]
    words: list[str] = []
    for name in [*names, *(word for key, word in _MARKS.items() if document.get(key) is True)]:
        if isinstance(name, str):
            with suppress(BadKeyword):
                words += tidy_keywords([name])
    return list(dict.fromkeys(words))
