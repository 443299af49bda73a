"""Notes of what was deleted for good, so that whoever has a copy is told."""

import uuid
from collections.abc import Iterable

from changes.models.numbered import add_tombstones


def bury(kind: str, scope: str, ids: Iterable[uuid.UUID]) -> None:
    """Note that these things are gone from the scope. Call it in the transaction that deletes them.

    Deleting `Numbered` rows does it by itself; this is for rows that raw SQL deletes.
    """
    add_tombstones((scope, kind, key) for key in sorted(ids))
