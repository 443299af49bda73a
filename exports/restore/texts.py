"""Texts that no database takes: with half a character (a lone surrogate), or with the character NUL. Pure."""

import json
import re
from typing import Any

_encode = json.JSONEncoder(ensure_ascii=False).encode
_IMPOSSIBLE = re.compile("[\x00\ud800-\udfff]")


def what_is_impossible(value: Any) -> str | None:
    """Return what of a JSON value cannot be kept, as a sentence; None if all of it can."""
    try:
        text = _encode(value)
        text.encode()
        has_nul = "\\u0000" in text and possible(value) != value  # else somebody wrote a backslash
    except UnicodeEncodeError:
        return "It has half a character (a lone surrogate)."
    except RecursionError:
        return "It is nested too deep."
    return "It has the character NUL, which no text may have." if has_nul else None


def possible(value: Any) -> Any:
    """Return a JSON value whose texts can be kept: what cannot is replaced by U+FFFD."""
    if isinstance(value, str):
        return _IMPOSSIBLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [possible(one) for one in value]
    if isinstance(value, dict):
        return {possible(name): possible(one) for name, one in value.items()}
    return value
