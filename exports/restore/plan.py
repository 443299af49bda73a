"""What becomes of a thing of the backup: both sides compared field by field. Pure: the dry run's report is made of this."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from exports.restore.report import Action, Difference

MERGE, REPLACE = "merge", "replace"


class Here(NamedTuple):
    """A thing as it is here: its fields as a backup writes them."""

    fields: Mapping[str, Any]
    changed_at: datetime | None
    is_trashed: bool = False


class There(NamedTuple):
    """A thing as the backup has it."""

    fields: Mapping[str, Any]
    changed_at: datetime | None
    name: str = ""


def compare(kind: str, key: str, there: There, here: Here | None, mode: str) -> Difference:
    """Return what becomes of it: with `merge` the newest wins (the backup if both are of the same time), else the backup.

    What is in the trash here comes back, with what was said of it last.
    """
    if here is None:
        return Difference(kind, key, Action.CREATE, there.name)
    differing = {
        name: (here.fields.get(name), value) for name, value in there.fields.items() if here.fields.get(name) != value
    }
    wins = mode == REPLACE or is_newer(there.changed_at, here.changed_at)
    if here.is_trashed:
        return Difference(kind, key, Action.BRING_BACK, there.name, differing if wins else {})
    if not differing:
        return Difference(kind, key, Action.SAME, there.name)
    return Difference(kind, key, Action.UPDATE if wins else Action.KEEP, there.name, differing)


def is_newer(there: datetime | None, here: datetime | None) -> bool:
    """Return whether the backup's side counts: it is not older, or nobody knows when this side was said."""
    return here is None or (there is not None and there >= here)
