"""In whose name, and by which device, something is changed just now: a context variable, so that verbs need no argument."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Lock

_NODE = "server"
_MOST_COUNT = 16**4 - 1


@dataclass(frozen=True)
class Origin:
    """Who changes something: a user (or nobody), a device (None: this server), the reading of its clock, its mutation."""

    user: uuid.UUID | None = None
    device: uuid.UUID | None = None
    hlc: str = ""
    mid: int | None = None


_current: ContextVar[Origin | None] = ContextVar("origin", default=None)
_lock = Lock()
_last = _count = 0


@contextmanager
def acting(
    *, user: uuid.UUID | None = None, device: uuid.UUID | None = None, hlc: str = "", mid: int | None = None
) -> Iterator[Origin]:
    """Let what is changed in this block be that of a user and device; `hlc` is the device's reading, now if not given."""
    origin = Origin(user, device, hlc, mid)
    token = _current.set(origin)
    try:
        yield origin
    finally:
        _current.reset(token)


def current(user: uuid.UUID | None = None) -> Origin:
    """Return who is changing something: what `acting` said, else this server, now; `user` where that named none."""
    said = _current.get() or Origin()
    return Origin(said.user or user, said.device, said.hlc or server_hlc(), said.mid)


def server_hlc() -> str:
    """Return this server's reading of the hybrid clock: milliseconds and a counter in hex, and the node; ordered as text."""
    global _last, _count
    now = time.time_ns() // 1_000_000
    with _lock:
        if now > _last or _count == _MOST_COUNT:
            _last, _count = max(now, _last + 1), -1
        _count += 1
        return f"{_last:012x}-{_count:04x}-{_NODE}"
