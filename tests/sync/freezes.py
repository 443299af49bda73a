"""Freeze a process (SIGSTOP) in the middle of a push, let others push meanwhile, and wake it: nothing stale is written.

    python -m tests.sync.freezes [--runs 200]

On SQLite, or on PostgreSQL with `python -m tests.servers run --` before it; the database is a new one. In each run a device's
push is frozen before a statement chosen by chance. The device, which takes it for lost, sends it again, and then its next edit;
another device changes the same note. Then the frozen process goes on. Prints one JSON object.
"""

import argparse
import json
import os
import random
import signal
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

FROZEN_SECONDS = 0.3
"""Long enough for those who do not have to wait for the frozen one; those who do wait longer."""
STATEMENTS = 45
"""One more than a push of one edit has, about: a few runs freeze nothing."""


@dataclass
class Pair:
    """Two devices of a person, and how far each has counted."""

    user: Any
    devices: list[Any]
    mids: list[int]


def pushed(pair: Pair, place: int, mid: int, op: str, id: uuid.UUID, base: dict[str, Any] | None, **fields: str) -> Any:
    """Push one mutation of a device, and return its result."""
    from changes.scopes import current_epoch
    from operations.database_conflicts import retried_on_conflict
    from sync.protocol.messages import PushRequest
    from sync.protocol.values import dump
    from sync.server.orm import OrmRepository
    from sync.server.push import push

    device = pair.devices[place]
    hlc = f"{time.time_ns() // 1_000_000:012x}-0000-{device.pk}"
    said: dict[str, Any] = {"mid": mid, "type": "note", "id": str(id), "op": op, "hlc": hlc, "fields": fields}
    if base is not None:
        said["base"] = base
    if place == 0:  # what is sent again is the same to the last byte
        said["hlc"] = f"{1_700_000_000_000 + mid:012x}-0000-{device.pk}"
    body = {"deviceId": str(device.pk), "epoch": current_epoch(), "mutations": [said]}
    request = PushRequest.from_json(dump(body))
    (result,) = retried_on_conflict(push)(OrmRepository(pair.user), device, request).results
    return result


def forked(work: Callable[[], None], *, freezes_before: int = 0) -> int:
    """Do this in a process of its own, frozen before that statement if it comes so far; return its number."""
    from django.db import connection, connections

    connections.close_all()
    pid = os.fork()
    if pid:
        return pid
    left, code = freezes_before, 1

    def counted(execute: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
        return execute(*arguments)

    try:
        with connection.execute_wrapper(counted):
            work()
        code = 0
    finally:
        os._exit(code)


def ended(pid: int, seconds: float) -> bool:
    """Whether a process ends well within that time. AssertionError if it ends otherwise."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            assert os.waitstatus_to_exitcode(status) == 0, "a push failed: see the traceback above"
            return True
        time.sleep(0.01)
    return False


def one_run(pair: Pair, statement: int) -> bool:
    """Freeze one push, unless it has fewer statements; return whether it was frozen."""
    id = uuid.uuid4()
    first = pair.mids[0]
    made = pushed(pair, 0, first + 1, "create", id, None, content="made", caption="")
    pair.mids[0] += 3
    pair.mids[1] += 1
    other_mid = pair.mids[1]

    def old() -> None:
        result = pushed(pair, 0, first + 2, "patch", id, {"version": str(made.version)}, content="old")
        assert result.status in {"applied", "merged"}, result

    def again_and_new() -> None:
        old()
        base = {"version": str(made.version), "mid": first + 2}
        result = pushed(pair, 0, first + 3, "patch", id, base, content="new")
        assert result.status == "applied", result

    def other() -> None:
        result = pushed(pair, 1, other_mid, "patch", id, {"version": str(made.version)}, caption="other")
        assert result.status == "applied", result

    frozen = forked(old, freezes_before=statement)
    _, status = os.waitpid(frozen, os.WUNTRACED)
    was_frozen = os.WIFSTOPPED(status)
    assert was_frozen or os.waitstatus_to_exitcode(status) == 0
    others = [forked(again_and_new), forked(other)]
    waiting = [pid for pid in others if not ended(pid, FROZEN_SECONDS)]
    if was_frozen:
        os.kill(frozen, signal.SIGCONT)
        assert ended(frozen, 60), "the frozen push did not end"
    for pid in waiting:
        assert ended(pid, 60), "a push did not end"
    return was_frozen


def stale(pair: Pair) -> int:
    """Count notes that do not hold what was written last, edits that count twice or never, and rows that a reader lacks."""
    from catalog.models import Note
    from changes import reading
    from sync.models import DeviceState, PushedMutation

    wrong = sum((note.content, note.caption) != ("new", "other") for note in Note.objects.all())
    for device, mid in zip(pair.devices, pair.mids, strict=True):
        wrong += PushedMutation.objects.filter(device=device).count() != mid
        wrong += DeviceState.objects.get(device=device).acked_through != mid
    cursor, seen, more = "", {}, True
    while more:
        page = reading.changes_since(f"user:{pair.user.pk}", cursor, {"note"}, 1000)
        seen |= {str(one.id): (one.data or {}).get("content") for one in page.changes}
        cursor, more = page.cursor, page.has_more
    return wrong + sum(seen.get(str(note.pk)) != "new" for note in Note.objects.all())


def run(runs: int, chance: random.Random) -> dict[str, Any]:
    """Freeze so many pushes, and count."""
    from knox.models import AuthToken

    from accounts.models import Device, User
    from catalog.models import Note

    alice = User.objects.create_user(f"alice-{User.objects.count()}")
    tokens = [AuthToken.objects.create(alice)[0] for _ in range(2)]
    pair = Pair(alice, [Device.objects.create(user=alice, name="pair", token=token) for token in tokens], [0, 0])
    frozen = sum(one_run(pair, chance.randint(1, STATEMENTS)) for _ in range(runs))
    assert Note.objects.count() == runs
    return {"runs": runs, "frozen": frozen, "stale": stale(pair)}


def main() -> None:
    """Give the process a database of its own, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    from tests.sync.histories import own_database

    with own_database() as vendor:
        said = run(options.runs, random.Random(options.seed))
        print(json.dumps({"database": vendor, "seed": options.seed, **said}), flush=True)


if __name__ == "__main__":
    main()
