"""The later edit wins, by hybrid clock; a tie keeps the local one."""

from .conflict import KEEP_LOCAL, KEEP_REMOTE, Conflict, Decision


def resolve(conflict: Conflict) -> Decision:
    """Keep the value that was written later. One that only a file gave loses to what a person wrote."""
    local, remote = conflict.local.stamp, conflict.remote.stamp
    if remote is None or local is None:
        return KEEP_LOCAL if remote is None else KEEP_REMOTE
    return KEEP_REMOTE if remote.is_later_than(local) else KEEP_LOCAL
