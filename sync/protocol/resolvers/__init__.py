"""Conflicts: two edits that did not know of each other. Pure functions, chosen for each kind and field; more can be registered.

`local` is the edit that has not reached the server yet, `remote` what the server has: the same on both sides.
"""

from . import keep_both, last_writer, manual, matching_base
from .conflict import Conflict, Decision, Outcome, Resolver, Side
from .deletion import deletion_applies
from .merge import Edit, FieldState, Merged, Seen, merge

__all__ = [
    "Conflict",
    "Decision",
    "Edit",
    "FieldState",
    "Merged",
    "Outcome",
    "Resolver",
    "Seen",
    "Side",
    "deletion_applies",
    "merge",
    "register",
    "resolver_named",
]

_RESOLVERS: dict[str, Resolver] = {
    "last_writer": last_writer.resolve,
    "keep_both": keep_both.resolve,
    "keep_copy": keep_both.resolve_by_copy,
    "matching_base": matching_base.resolve,
    "manual": manual.resolve,
}


def register(name: str, resolver: Resolver) -> None:
    """Add a resolver under a name of its own; ValueError if the name is taken."""
    if name in _RESOLVERS:
        raise ValueError(f"There is a resolver {name!r} already.")
    _RESOLVERS[name] = resolver


def resolver_named(name: str) -> Resolver:
    """Return a resolver; ValueError, with the names there are, if there is none of this name."""
    try:
        return _RESOLVERS[name]
    except KeyError:
        raise ValueError(f"There is no resolver {name!r}. Choose from {', '.join(sorted(_RESOLVERS))}.") from None
