"""A person decides."""

from .conflict import MANUAL, Conflict, Decision


def resolve(conflict: Conflict) -> Decision:
    """Leave the remote value in place and put both before a person."""
    return MANUAL
