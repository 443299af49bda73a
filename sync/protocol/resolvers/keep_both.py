"""Bodies of notes and drafts: nothing that a person wrote is lost.

A text that contains the other one wins. Otherwise both are joined by a "Merged conflict" line, or, where that would exceed the
limit of a text, the local one becomes a copy. Drafts are lists of blocks with ids: they are joined block by block.
"""

import uuid

from ..values import JsonValue, dump
from .conflict import COPY, KEEP_LOCAL, KEEP_REMOTE, Conflict, Decision, Outcome

MARK = "--- Merged conflict ---"
_BLOCKS = uuid.UUID("6d1c0d5e-6b0f-5b0e-9a2e-3f1f0c0a7e11")
"""Namespace of the ids of blocks that a merge makes: the same merge, made again, makes the same block."""


def resolve(conflict: Conflict) -> Decision:
    """Keep the one that contains the other; else join both; else make a copy."""
    local, remote = conflict.local.value, conflict.remote.value
    if isinstance(local, str) and isinstance(remote, str):
        return _texts(local, remote, conflict.most_text)
    if isinstance(local, list) and isinstance(remote, list) and _are_blocks(local) and _are_blocks(remote):
        return _decision(join_blocks(local, remote), local, remote)
    if not local or not remote:  # nothing written on one side
        return KEEP_REMOTE if not local else KEEP_LOCAL
    return COPY


def resolve_by_copy(conflict: Conflict) -> Decision:
    """Keep the one that contains the other; else make a copy of the thing with the local value."""
    decision = resolve(conflict)
    return COPY if decision.outcome is Outcome.MERGE else decision


def _texts(local: str, remote: str, most: int) -> Decision:
    if local in remote:
        return KEEP_REMOTE
    if remote in local:
        return KEEP_LOCAL
    joined = f"{remote}\n\n{MARK}\n\n{local}"
    return Decision(Outcome.MERGE, joined) if len(joined) <= most else COPY


def _decision(value: JsonValue, local: JsonValue, remote: JsonValue) -> Decision:
    if value == remote:
        return KEEP_REMOTE
    return KEEP_LOCAL if value == local else Decision(Outcome.MERGE, value)


def _are_blocks(value: list[JsonValue]) -> bool:
    return all(isinstance(block, dict) and isinstance(block.get("id"), str) for block in value)


def join_blocks(local: list[JsonValue], remote: list[JsonValue]) -> list[JsonValue]:
    """Return the remote blocks, with every local block that is not among them after the one that it follows locally.

    A block that both sides changed is there twice: the remote one under its id, the local one under an id made of its content.
    """
    joined = list(remote)
    place = 0
    for block in local:
        here = _place_of(block, joined)
        if here is None:
            joined.insert(place, _under_free_id(block, joined))
            place += 1
        else:
            place = here + 1
    return joined


def _place_of(block: JsonValue, among: list[JsonValue]) -> int | None:
    """Where a block is that says at least as much as `block`."""
    for place, other in enumerate(among):
        if other == block or (_id(other) in {_id(block), _id(_renamed(block))} and _contains(other, block)):
            return place
    return None


def _contains(other: JsonValue, block: JsonValue) -> bool:
    if not isinstance(other, dict) or not isinstance(block, dict):
        return False
    rest = {name: value for name, value in other.items() if name not in {"id", "text"}}
    mine = {name: value for name, value in block.items() if name not in {"id", "text"}}
    text, part = other.get("text"), block.get("text")
    return rest == mine and (text == part or (isinstance(text, str) and isinstance(part, str) and part in text))


def _under_free_id(block: JsonValue, among: list[JsonValue]) -> JsonValue:
    return _renamed(block) if _id(block) in {_id(other) for other in among} else block


def _renamed(block: JsonValue) -> JsonValue:
    if not isinstance(block, dict):
        return block
    return {**block, "id": str(uuid.uuid5(_BLOCKS, dump(block)))}


def _id(block: JsonValue) -> JsonValue:
    return block.get("id") if isinstance(block, dict) else None
