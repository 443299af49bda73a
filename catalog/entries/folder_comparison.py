"""Decide what a scan has to do: what was found against what is known, one folder after the other. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

Entry = tuple[int, int, str]
"""(size in bytes, modification time in ns, signature of the sidecars).

A plain tuple, though its places mean something: a walk makes one of every file, and a NamedTuple takes
four times as long to make.
"""
UNREAD = "unread"
"""The signature of an entry that could not be opened: it equals none, so that the next scan tries again."""
RACY_NS = 2_000_000_000
"""A file read so soon after it was written may be written once more without a new time: some count in steps of 2 s."""
FUTURE_NS = 60_000_000_000
"""How far the clock of a file server may be ahead; what is further in the future would be read again for ever."""
LONGEST_PATH_BYTES = 2000
"""Of the text form; a longer one fits no database index."""


@dataclass(slots=True)
class FolderPlan:
    """What is to do in one folder, by file name."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    doubted: set[str] = field(default_factory=set)
    """Those of `changed` that look as before, but were read too soon after they had been written."""
    unchanged: int = 0


def compare(found: Mapping[str, Entry], known: Mapping[str, Entry], *, is_complete: bool) -> FolderPlan | None:
    """Return what differs in a folder, or None if nothing does.

    In a folder that could not be read completely nothing counts as gone.
    """
    if found == known:
        return None
    plan = FolderPlan()
    for name, entry in found.items():
        before = known.get(name)
        if before is None:
            plan.added.append(name)
        elif before != entry:
            plan.changed.append(name)
            if before == (*entry[:2], doubted(entry[2])):
                plan.doubted.add(name)
        else:
            plan.unchanged += 1
    if is_complete:
        plan.gone = [name for name in known if name not in found]
    else:
        plan.unchanged += sum(name not in found for name in known)
    return plan


def is_racy(mtime_ns: int, read_ns: int) -> bool:
    """True if a file written at `mtime_ns` and read at `read_ns` may have changed since without a new time."""
    return read_ns - RACY_NS < mtime_ns < read_ns + FUTURE_NS


def will_settle(mtime_ns: int, now_ns: int) -> bool:
    """True if a file written at `mtime_ns` is racy now, but soon no more; one with a time further in the future would stay so."""
    return is_racy(mtime_ns, now_ns) and mtime_ns < now_ns + RACY_NS


def doubted(signature: str) -> str:
    """Return the signature to store for an entry that the next scan has to read again; it equals no true one."""
    return "?" + signature[:31]


def is_doubted(signature: str) -> bool:
    """True for the signature of an entry that the next scan has to read again: what is known of it may not be so."""
    return signature == UNREAD or signature.startswith("?")


def sidecar_signature(sidecars: Mapping[str, str], facts: Mapping[str, tuple[int, int]]) -> str:
    """Return a text that changes when one of a photo's sidecars comes, goes or is written; "" without any.

    `sidecars` maps kind to file name, `facts` file name to (size in bytes, mtime in ns).
    """
    if not sidecars:
        return ""
    text = "\n".join(f"{kind}:{name}:{facts[name][0]}:{facts[name][1]}" for kind, name in sorted(sidecars.items()))
    return hashlib.md5(text.encode("utf-8", "surrogateescape")).hexdigest()
