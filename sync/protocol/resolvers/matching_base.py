"""The local edit counts only if it was made on what the server has."""

from .conflict import KEEP_REMOTE, Conflict, Decision


def resolve(conflict: Conflict) -> Decision:
    """Keep the remote value: that there is a conflict means that the base no longer matched."""
    return KEEP_REMOTE
