"""Backups of other versions: which can be read, and how older ones become what this version writes, step by step. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from exports.bundle.layout import VERSION
from exports.restore.refusals import RestoreRefused

Lists = dict[str, Callable[[], Any]]


class Step(NamedTuple):
    """How an entry of a kind of the version before becomes one of `to`; kinds that are not named stay as they are."""

    to: str
    entries: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]


STEPS: dict[str, Step] = {}
"""By the version that they begin from. Each leads to a later one, the last to VERSION."""


def version_of(metadata: Mapping[str, Any]) -> tuple[int, int]:
    """Return major and minor of the version that wrote a backup. Raises RestoreRefused."""
    text = metadata.get("version")
    parts = text.split(".") if isinstance(text, str) else []
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 5 for part in parts):
        raise RestoreRefused("metadata.json of the backup does not say which version it has.", "bad_version")
    return int(parts[0]), int(parts[1])


def steps_from(metadata: Mapping[str, Any], steps: Mapping[str, Step] = STEPS, ours: str = VERSION) -> list[Step]:
    """Return the steps that a backup of this version takes, in order. Later minor versions are read as they are.

    Raises RestoreRefused for a later major version, and for an older one from which nothing leads here.
    """
    major, minor = version_of(metadata)
    own_major = int(ours.partition(".")[0])
    if major > own_major:
        raise RestoreRefused(
            f"The backup is of version {major}.{minor}, and this server reads {own_major}: update it first.",
            "bad_version",
        )
    way: list[Step] = []
    at = f"{major}.{minor}"
    while at in steps:
        way.append(steps[at])
        at = steps[at].to
    if int(at.partition(".")[0]) != own_major:
        raise RestoreRefused(f"Backups of version {major}.{minor} cannot be read any more.", "bad_version")
    return way


def upgraded(kind: str, entry: dict[str, Any], way: list[Step]) -> dict[str, Any]:
    """Return an entry as this version writes it."""
    for step in way:
        change = step.entries.get(kind)
        if change is not None:
            entry = change(entry)
    return entry
