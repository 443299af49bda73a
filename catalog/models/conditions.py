"""Conditions written out in the SQL, as those of partial indexes are.

SQLite takes a partial index only if the query's text implies the index's condition, and a parameter's value is no part of
the text: `asset_id = %s` is looked for in the whole library, `asset_id = %s AND NOT (asset_id = '')` in the index.
(https://www.sqlite.org/partialindex.html) PostgreSQL gets the values in the text either way.
"""

import re

from django.db.models import Q
from django.db.models.expressions import RawSQL

_PLAIN = re.compile(r"[a-z_]*")
MOTION_MAKES = [
    "Google", "samsung", "Samsung", "SAMSUNG", "Xiaomi", "OnePlus", "OPPO", "realme", "vivo", "HONOR", "HUAWEI", "motorola",
    "Redmi", "POCO", "iQOO", "Realme", "Vivo", "Honor", "Huawei", "Motorola", "Nothing", "HMD Global", "Fairphone", "LENOVO",
    "Lenovo", "LGE", "LG Electronics", "SHARP", "TECNO", "INFINIX", "Infinix", "itel", "TCL", "asus", "ASUS", "nubia", "ZTE",
    "Meizu",
]  # fmt: skip
"""Whose phones take motion photos: only such pictures of an earlier version are read once more for the video in them. Pictures
of other makers are read for it when their file changes, or by a rebuild: most of a library may be of a camera that takes none."""


def written_out(text: str) -> RawSQL:
    """Return a text that stands in the SQL itself. ValueError for anything but small letters and underscores."""
    if not _PLAIN.fullmatch(text):
        raise ValueError(f"{text!r} is no plain word.")
    return RawSQL(f"'{text}'", [])  # noqa: S611


def is_given(field: str) -> Q:
    """Return the condition that a text column is not empty, for indexes with `condition=~Q(field="")`."""
    return ~Q(**{field: written_out("")})


def state_in(*states: str) -> Q:
    """Return the condition that `state` is one of these, for indexes with `condition=Q(state__in=[...])` in this very order."""
    return Q(state__in=[written_out(state) for state in states])
