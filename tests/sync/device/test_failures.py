"""What can go wrong: networks, tokens, disks, clocks, two processes at once; and what a client says of it."""

import random
import sqlite3
import subprocess
import sys
import threading

import pytest

from sync.device.client import Client
from sync.device.retry import STEPS_MS, delay_ms
from sync.device.status import ErrorType
from sync.device.store import StoreProblem
from sync.device.transport import NotAllowed, ServerFault, Unavailable
from sync.protocol.messages import MutationResult, Status
from tests.sync.reference_server import Session


def test_offline_edits_wait_and_go_together(phone, server):
    for number in range(3):
        phone.note(str(number))
        assert not phone.sync("lose_request").success
    assert phone.pending() == {"note": 3}
    result = phone.sync()
    assert (result.success, result.uploaded_items, phone.pending()) == (True, 3, {})


@pytest.mark.promise("S1-061", "S1-062", "S1-063", "S1-U09")
def test_a_result_says_what_was_done_and_what_was_not(phone, tablet, server):
    tablet.note("t")
    tablet.sync()
    phone.note("p")
    assert phone.sync().to_wire() == {
        "success": True, "uploadedItems": 1, "downloadedItems": 1, "uploadedMedia": 0, "downloadedMedia": 0,
        "conflictsResolved": 0, "refusedItems": 0,
        "heldDeletions": 0, "errors": [], "lastSyncTime": server.now,
    }  # fmt: skip
    failed = phone.sync("lose_request").to_wire()
    assert (failed["success"], failed["uploadedItems"], failed["downloadedItems"]) == (False, 0, 0)
    assert failed["errors"] == [
        {
            "type": "NETWORK_ERROR",
            "message": "The server cannot be reached. Edits are kept and sent later.",
            "cause": "lost on the way there",
            "retryable": True,
        }
    ]
    assert {kind.value for kind in ErrorType} == {
        f"{name}_ERROR" for name in ("NETWORK", "AUTHENTICATION", "SERVER", "CONFLICT", "STORAGE", "UNKNOWN")
    }
    assert phone.client.status().to_wire() == {
        "isEnabled": True, "lastSyncTime": server.now, "pendingUploads": {}, "refused": 0, "heldDeletions": 0,
        "isSyncing": False, "nextTryTime": server.now + 1000, "hasErrors": True,
        "lastError": {
            "type": "NETWORK_ERROR", "message": "The server cannot be reached. Edits are kept and sent later.",
            "cause": "", "retryable": True,
        },
    }  # fmt: skip


@pytest.mark.promise("S1-064")
def test_the_status_says_what_waits(phone, server):
    phone.note()
    phone.note()
    phone.client.create("album", {"title": "t", "description": ""})
    phone.sync("lose_request")
    status = phone.client.status().to_wire()
    assert status["pendingUploads"] == {"album": 1, "note": 2}
    assert status["lastError"]["type"] == "NETWORK_ERROR"
    assert (status["isEnabled"], status["isSyncing"], status["hasErrors"]) == (True, False, True)
    assert status["nextTryTime"] == server.now + 1000
    phone.sync()
    assert phone.client.status().last_error is None
    assert phone.client.status().next_try_ms is None


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        (NotAllowed("The token was revoked. Sign in anew."), "AUTHENTICATION_ERROR", False),
        (Unavailable("Busy."), "SERVER_ERROR", True),
        (ServerFault("500"), "SERVER_ERROR", True),
    ],
)
@pytest.mark.parametrize("name", ["info", "push", "changes"])
@pytest.mark.promise("S1-068")
def test_a_failure_at_any_step_keeps_what_waits(phone, tablet, server, monkeypatch, error, kind, retryable, name):
    tablet.note("t")
    tablet.sync()
    phone.note("p")

    def fail(*arguments):
        raise error

    monkeypatch.setattr(server, name, fail)
    result = phone.sync()
    assert [(item.type, item.retryable) for item in result.errors] == [(kind, retryable)]
    assert phone.client.status().is_enabled is (kind != "AUTHENTICATION_ERROR")
    monkeypatch.undo()
    assert phone.sync().success
    assert sorted(phone.notes().values()) == ["p", "t"]
    assert phone.client.status().is_enabled


def test_a_part_that_was_done_before_a_failure_counts(phone, server):
    server.limits = type(server.limits)(mutations=1)
    phone.note("a")
    phone.note("b")
    result = phone.sync("none", "none", "lose_request")
    assert (result.success, result.uploaded_items) == (False, 1)
    assert phone.pending() == {"note": 1}


@pytest.mark.promise("S1-U19")
def test_waits_grow_to_an_hour_with_jitter_and_what_is_refused_for_good_is_kept(phone, server, monkeypatch):
    assert [delay_ms(failures, lambda: 0.5) // 1000 for failures in range(1, 12)] == [
        1, 2, 4, 8, 16, 30, 300, 1800, 3600, 3600, 3600,
    ]  # fmt: skip
    for failures, step in enumerate(STEPS_MS, 1):
        assert (delay_ms(failures, lambda: 0), delay_ms(failures, lambda: 1)) == (round(step * 0.8), round(step * 1.2))
    dice = random.Random(1).random
    assert len({delay_ms(1, dice) for _ in range(20)}) > 10
    refusal = lambda device, m, seen: MutationResult(m.mid, Status.REJECTED, reason="no", detail="No.")  # noqa: E731
    monkeypatch.setattr(server, "_result", refusal)
    id = phone.note("my words")
    phone.sync()
    phone.restart()
    [kept] = phone.client.refused()
    assert (kept["id"], kept["reason"], "my words" in kept["fields"]) == (id, "no", True)
    assert phone.client.status().next_try_ms is None


def test_a_server_may_ask_for_a_longer_wait():
    assert delay_ms(1, lambda: 0.5, asked_ms=60_000) == 60_000
    assert delay_ms(9, lambda: 0.5, asked_ms=60_000) == 3_600_000
    assert delay_ms(1, lambda: 0.5, asked_ms=10**12) == 3 * 3_600_000


def test_the_wait_is_kept_and_grows_and_ends(phone, server, monkeypatch):
    for step in (1, 2, 4):
        phone.restart()
        phone.sync("lose_request")
        assert phone.client.status().next_try_ms == server.now + step * 1000
        server.calls.clear()
        assert not phone.client.sync(now=False).success
        assert server.calls == []
        server.now += step * 1000
    assert phone.client.sync(now=False).success
    phone.sync("lose_request")
    assert phone.client.status().next_try_ms == server.now + 1000


def test_a_clock_that_was_set_back_by_years_does_not_make_it_wait_for_years(phone, server):
    phone.skew_ms = 10**11
    phone.sync("lose_request")
    phone.skew_ms = 0
    assert phone.client.sync(now=False).success


def test_retry_after_is_heard(phone, server, monkeypatch):
    def busy(device):
        raise Unavailable("Busy.", 90_000)

    monkeypatch.setattr(server, "info", busy)
    phone.sync()
    assert phone.client.status().next_try_ms == server.now + 90_000


def test_two_processes_do_not_synchronise_one_store_at_once(phone, server, monkeypatch):
    other = Client(phone.path, Session(server, phone.line._inner.device), is_durable=False)
    results = []
    info = server.info

    def meanwhile(device):
        monkeypatch.setattr(server, "info", info)
        results.append(other.sync())
        assert other.status().is_syncing
        return info(device)

    monkeypatch.setattr(server, "info", meanwhile)
    assert phone.sync().success
    assert [error.type for error in results[0].errors] == ["CONFLICT_ERROR"]
    assert results[0].errors[0].retryable
    assert not other.status().is_syncing
    other.close()


def test_one_edits_while_another_synchronises(phone, server, monkeypatch):
    other = Client(phone.path, Session(server, phone.line._inner.device), is_durable=False)
    push = server.push
    made = []

    def edit_meanwhile(device, request):
        if not made:
            made.append(other.create("note", {"content": "meanwhile", "caption": ""}))
            other.patch("note", first, {"content": "a b"})
        return push(device, request)

    monkeypatch.setattr(server, "push", edit_meanwhile)
    first = phone.note("a")
    assert phone.sync().success
    phone.sync()
    assert server.live()["note", made[0]]["content"] == "meanwhile"
    assert server.live()["note", first]["content"] == "a b"
    other.close()


def test_the_store_of_one_person_is_not_sent_with_the_token_of_another(phone, server):
    phone.note("alice's")
    server.user = "11111111-1111-1111-1111-111111111111"
    server.calls.clear()
    result = phone.sync()
    assert [(error.type, error.retryable) for error in result.errors] == [("AUTHENTICATION_ERROR", False)]
    assert server.calls == ["info"]
    assert phone.pending() == {"note": 1}


def test_a_store_of_a_newer_program_is_left_alone(phone):
    phone.client.store.db.execute("PRAGMA user_version = 99")
    before = phone.client.store.db.execute("SELECT count(*) FROM meta").fetchone()
    with pytest.raises(StoreProblem, match="newer version"):
        Client(phone.path, phone.line)
    assert phone.client.store.db.execute("SELECT count(*) FROM meta").fetchone() == before


def test_a_full_disk_is_said_and_nothing_is_half_done(phone, tablet, server):
    for number in range(50):
        tablet.note("x" * 10_000 + str(number))
    tablet.sync()
    phone.note("mine")
    pages = phone.client.store.db.execute("PRAGMA page_count").fetchone()[0]
    phone.client.store.db.execute(f"PRAGMA max_page_count = {pages + 5}")
    result = phone.sync()
    assert [error.type for error in result.errors] == ["STORAGE_ERROR"]
    assert list(phone.notes().values()) == ["mine"]
    phone.client.store.db.execute("PRAGMA max_page_count = 1000000")
    assert phone.sync().success
    assert phone.notes() == {**tablet.notes(), **phone.notes()}
    assert len(phone.notes()) == 51


def test_only_the_owner_may_read_the_files(phone, server):
    phone.note("private")
    phone.sync()
    server.restore(server.backup())
    phone.sync()
    files = [path for path in phone.path.parent.iterdir() if path.name.startswith(phone.path.name)]
    assert {path.name.removeprefix(phone.path.name) for path in files} >= {"", "-wal", ".lock", ".epoch-1"}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_broken_store_is_said(phone, server):
    phone.client.store.db.execute("DROP TABLE staged")
    server.state.counters[f"user:{server.user}"] += 1
    assert [error.type for error in phone.sync().errors] == ["STORAGE_ERROR"]


@pytest.mark.promise("S1-056")
def test_an_edit_is_in_the_file_before_anything_is_sent(phone, server, monkeypatch):
    found = []
    push = server.push

    def look(device, request):
        with sqlite3.connect(phone.path) as other:
            found.extend(other.execute("SELECT id, mid FROM outbox").fetchall())
        return push(device, request)

    monkeypatch.setattr(server, "push", look)
    id = phone.note("a")
    with sqlite3.connect(phone.path) as other:  # before a synchronisation runs
        assert other.execute("SELECT id, json_extract(fields, '$.content') FROM outbox").fetchall() == [(id, "a")]
    phone.sync()
    assert found == [(id, 1)]


KILLED = """
import sys, os, uuid
from pathlib import Path
from sync.device.client import Client
class Offline: pass
client = Client(Path(sys.argv[1]), Offline())
for number in range(10_000):
    id = client.create("note", {"content": str(number), "caption": ""})
    print(id, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(tmp_path):
    path = tmp_path / "killed.sqlite"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True) as child:
        said = [child.stdout.readline().strip() for _ in range(20)]
        child.kill()
        said += child.stdout.read().split()
    client = Client(path, None)
    there = set(client.view.ids("note"))
    assert set(said) <= there
    assert len(there) <= len(said) + 1
    client.close()


def test_a_thread_that_waits_for_the_store_is_not_refused(phone, server):
    other_done = threading.Event()

    def edit():
        other = Client(phone.path, Session(server, phone.line._inner.device), is_durable=False)
        other.create("note", {"content": "other", "caption": ""})
        other.close()
        other_done.set()

    thread = threading.Thread(target=edit)
    with phone.client.store.writing():
        thread.start()
        phone.note("mine")
    thread.join()
    assert other_done.is_set()
    assert sorted(phone.notes().values()) == ["mine", "other"]
