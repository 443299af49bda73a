"""Deletions: an edit beats a deletion that has not seen it."""

from collections.abc import Iterable

from .merge import FieldState, Seen


def deletion_applies(seen: Seen, states: Iterable[FieldState], *, strict_version: int | None = None) -> bool:
    """Say whether a thing may go: whoever deleted it had seen every edit that people made of its fields.

    Kinds with a matching base (album items) give `strict_version`, the thing's own version: then any change that was not seen,
    even one that no person made, keeps it.
    """
    if strict_version is not None and strict_version > max(seen.version, seen.own_version):
        return False
    return all(seen.covers(state) for state in states)
