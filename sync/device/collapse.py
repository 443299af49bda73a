"""What two edits of one thing become, while neither of them has been sent."""

from dataclasses import dataclass

from sync.protocol.messages import Op
from sync.protocol.values import JsonObject


@dataclass(frozen=True)
class Pending:
    """An edit that waits: what it does, and the version of the thing that its author had seen (None: nothing)."""

    op: Op
    fields: JsonObject
    base_version: int | None


class Apart(Exception):
    """The two must stay two."""


def collapse(first: Pending, second: Pending, whole: JsonObject) -> Pending | None:
    """Return the one edit that does what `first` and then `second` do; None if nothing is left to do.

    `whole` has all fields of the thing as it was before it was deleted. Raises Apart for two patches of which the second was made
    on a newer version: what its author had seen, the author of the first had not.

    C+U=C, C+D=nothing, U+D=D, U+C=C, D+C=C, D+U=C, and same with same is the same. A creation of something that the server has
    shown before (it was deleted and made again) is not undone by nothing, but by a deletion.
    """
    newest = first.base_version if second.base_version is None else second.base_version
    if second.op is Op.DELETE:
        if first.op is Op.CREATE and first.base_version is None and newest is None:
            return None
        return Pending(Op.DELETE, {}, newest)
    if first.op is Op.DELETE:
        return Pending(Op.CREATE, {**whole, **second.fields}, newest)
    fields = {**first.fields, **second.fields}
    if first.op is Op.PATCH and second.op is Op.PATCH:
        if (second.base_version or 0) > (first.base_version or 0):
            raise Apart
        older = min(first.base_version, second.base_version, key=lambda version: version or 0)
        return Pending(Op.PATCH, fields, older)
    return Pending(Op.CREATE, fields, first.base_version if first.op is Op.CREATE else newest)
