"""The message file by itself: order, ownership, the cap on deliveries, torn files, threads and forks."""

import multiprocessing
import os
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from kombu import Connection

from photolala.broker import broker_url
from photolala.broker.owners import FOREIGN_SILENCE_SECONDS, current_owner, is_alive
from photolala.broker.store import MessageStore, TakenMessage


@pytest.fixture
def store(tmp_path: Path) -> MessageStore:
    return MessageStore(tmp_path / "broker.sqlite3")


def take(store: MessageStore, queue: str = "scan", *, keep: bool = True) -> TakenMessage:
    taken = store.take(queue, keep=keep)
    assert taken is not None
    return taken


def in_child(target: object, *arguments: object) -> int | None:
    """Run `target` in a forked child; return its exit code."""
    child = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    child.start()
    child.join()
    return child.exitcode


def test_messages_leave_by_priority_then_age(store: MessageStore) -> None:
    for body, priority in (("a", 0), ("b", 0), ("urgent", 9)):
        store.put("scan", body, priority)
    store.put("export", "other")
    assert store.size("scan") == 3
    assert [take(store).body for _ in range(3)] == ["urgent", "a", "b"]
    assert store.take("scan") is None
    assert store.size("export") == 1


def test_a_removed_message_is_gone_and_a_released_one_comes_back_first(store: MessageStore) -> None:
    store.put("scan", "a")
    store.put("scan", "b")
    first = take(store)
    assert store.release(first.tag)
    again = take(store)
    assert (again.body, again.deliveries) == ("a", 2)
    assert not store.remove(first.tag), "the first delivery must no longer count"
    assert store.remove(again.tag)
    assert take(store).body == "b"


def test_an_orderly_return_does_not_count_as_a_delivery(store: MessageStore) -> None:
    store.put("scan", "a")
    for _ in range(20):
        store.release(take(store).tag, count=False)
    assert take(store).deliveries == 1


def test_a_message_that_never_ends_is_buried_with_the_reason(store: MessageStore) -> None:
    store.put("scan", "nasty")
    store.put("scan", "good")
    for _ in range(5):
        deadly = take(store)
        assert deadly.body == "nasty"
        store.release(deadly.tag)
    assert take(store).body == "good"
    (dead,) = store.list_dead()
    assert (dead.queue, dead.body, dead.deliveries) == ("scan", "nasty", 5)
    assert store.count_dead() == 1


def test_purge_deletes_what_waits_and_keeps_what_is_worked_on(store: MessageStore) -> None:
    for body in "abc":
        store.put("scan", body)
    working = take(store)
    assert store.purge("scan") == 2
    assert store.size("scan") == 0
    assert store.release(working.tag)
    assert store.size("scan") == 1


def test_what_a_dead_process_held_comes_back(store: MessageStore) -> None:
    store.put("scan", "a")
    assert in_child(lambda: take(store) and os._exit(7)) == 7
    assert store.size("scan") == 0
    assert store.sweep() == 1
    assert take(store).deliveries == 2


def test_a_child_cannot_finish_what_its_parent_holds(store: MessageStore) -> None:
    store.put("scan", "a")
    tag = take(store).tag
    assert in_child(lambda: os._exit(int(store.remove(tag)))) == 0
    assert store.remove(tag)


def test_who_counts_as_alive() -> None:
    boot, namespace, pid, start = current_owner().split(":")
    assert is_alive(current_owner(), 1e9)
    assert not is_alive(f"{boot}:{namespace}:{pid}:{int(start) - 1}", 0), "a reused PID is another process"
    assert not is_alive(f"other-boot:{namespace}:{pid}:{start}", 0)
    assert is_alive(f"{boot}:1:{pid}:{start}", FOREIGN_SILENCE_SECONDS - 1), "another container that spoke lately"
    assert not is_alive(f"{boot}:1:{pid}:{start}", FOREIGN_SILENCE_SECONDS + 1)


def test_a_zombie_counts_as_dead() -> None:
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    boot, namespace, _, _ = current_owner().split(":")
    assert child.pid
    fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    owner = f"{boot}:{namespace}:{child.pid}:{fields[19]}"
    assert is_alive(owner, 0)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, but not reaped
    assert not is_alive(owner, 0)
    child.join()


def test_bindings_and_queues_of_a_dead_process_go(store: MessageStore) -> None:
    store.bind("tasks", "scan", "", "scan", transient=False)

    def bind_and_die() -> None:
        store.bind("pidbox", "", "", "one.pidbox", transient=True)
        os._exit(0)

    in_child(bind_and_die)
    assert store.put_to_bound("pidbox", "ping") == 1
    store.sweep()
    assert store.bindings("pidbox") == []
    assert store.size("one.pidbox") == 0
    assert store.bindings("tasks") == [("scan", "", "scan")]


def test_expired_remote_control_messages_go_and_tasks_stay(store: MessageStore) -> None:
    store.bind("pidbox", "", "", "one.pidbox", transient=True)
    store.put("scan", "task")
    store.put_to_bound("pidbox", "old", expires_at=time.time() - 1)
    store.put_to_bound("pidbox", "new")
    store.sweep()
    assert store.size("one.pidbox") == 1
    with closing(sqlite3.connect(store.path)) as db:
        expiries = dict(db.execute("SELECT body, expires_at FROM message"))
    assert expiries["task"] is None
    assert expiries["new"] > time.time()


@pytest.mark.parametrize("damage", ["garbage", "torn header", "torn page", "cut", "emptied", "deleted"])
@pytest.mark.parametrize("is_open", [True, False], ids=["open", "closed"])
def test_a_torn_file_is_set_aside_and_a_new_one_started(
    store: MessageStore, damage: str, is_open: bool, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(200):
        store.put("scan", f"{number}" * 50)
    held = take(store)
    with closing(sqlite3.connect(store.path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if not is_open:
        store.close()
    _damage(store.path, damage)

    other = MessageStore(store.path)
    for user in (store, other, store):
        user.put("scan", "after")
        while user.take("scan"):
            pass
    store.put("scan", "last")
    assert take(other).body == "last"
    assert not store.remove(held.tag), "an old tag must not fit a new message"
    assert _integrity(store.path) == "ok"
    aside = sorted(path.name for path in store.path.parent.glob("broker.sqlite3.broken-*"))
    if damage in ("garbage", "torn header", "torn page", "cut", "emptied"):
        assert aside
        assert "was damaged" in caplog.text


def _damage(path: Path, damage: str) -> None:
    size = path.stat().st_size
    if damage == "deleted":
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        return
    with path.open("r+b") as file:
        if damage == "garbage":
            file.write(os.urandom(size))
        elif damage == "torn header":
            file.write(bytes(100))
        elif damage == "torn page":
            file.seek(4096)
            file.write(os.urandom(size - 4096))
        elif damage == "cut":
            file.truncate(size // 2 + 100)
        elif damage == "emptied":
            file.truncate(0)
    Path(f"{path}-shm").unlink(missing_ok=True)


def _integrity(path: Path) -> str:
    with closing(sqlite3.connect(path)) as db:
        (verdict,) = db.execute("PRAGMA integrity_check").fetchone()
    return str(verdict)


def test_threads_and_forks_share_the_work_without_loss_or_doubles(store: MessageStore, tmp_path: Path) -> None:
    names = [str(number) for number in range(200)]
    done = tmp_path / "done"
    done.touch()

    def work() -> None:
        with done.open("ab", buffering=0) as file:
            while taken := store.take("scan"):
                file.write(f"{taken.body}\n".encode())
                store.remove(taken.tag)

    def send(part: list[str]) -> None:
        for name in part:
            store.put("scan", name)

    senders = [threading.Thread(target=send, args=(names[offset::4],)) for offset in range(4)]
    for thread in senders:
        thread.start()
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=work) for _ in range(3)]  # forked while the threads write
    for child in children:
        child.start()
    for thread in senders:
        thread.join()
    workers = [threading.Thread(target=work) for _ in range(3)]
    for thread in workers:
        thread.start()
    for worker in [*workers, *children]:
        worker.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert Counter(done.read_text().split()) == Counter(names)


def test_a_busy_file_is_waited_for(store: MessageStore) -> None:
    store.put("scan", "a")
    blocker = sqlite3.connect(store.path, isolation_level=None, check_same_thread=False)
    blocker.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.5, blocker.execute, args=("COMMIT",))
    release.start()
    store.put("scan", "b")
    release.join()
    blocker.close()
    assert store.size("scan") == 2


def test_an_unreadable_message_is_set_aside_and_the_next_one_comes(tmp_path: Path) -> None:
    path = tmp_path / "a folder; with #odd %41 name" / "broker.sqlite3"
    with Connection(broker_url(str(path))) as connection:
        queue = connection.SimpleQueue("scan")
        MessageStore(path).put("scan", "{not json")
        queue.put({"photo": 1})
        message = queue.get(block=False)
        assert message.payload == {"photo": 1}
        message.ack()
        assert queue.qsize() == 0
        queue.close()
    (dead,) = MessageStore(path).list_dead()
    assert "cannot be read" in dead.reason


def test_purge_and_size_through_kombu(tmp_path: Path) -> None:
    with Connection(broker_url(str(tmp_path / "broker.sqlite3"))) as connection:
        queue = connection.SimpleQueue("scan")
        for number in range(3):
            queue.put(number)
        assert queue.qsize() == 3
        assert queue.clear() == 3
        assert queue.qsize() == 0
        queue.close()


def test_a_relative_path_is_refused() -> None:
    with pytest.raises(ValueError, match="must be absolute"):
        broker_url("data/broker.sqlite3")


def test_an_acknowledgement_that_the_disk_refuses_is_made_up_for(store: MessageStore, monkeypatch) -> None:
    store.put("scan", "a")
    store.put("scan", "b")
    first, second = take(store), take(store)
    refused = []

    def refuse(*_: object) -> bool:
        refused.append(1)
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as disk:
        disk.setattr(MessageStore, "_change_taken", refuse)
        store.settle(first.tag)
        store.settle(second.tag, release=True, count=False)
    assert len(refused) == 2 and store.size("scan") == 0
    store._swept_at = 0.0
    again = take(store)  # the first is gone, the second is back
    assert (again.body, again.deliveries) == ("b", 1)
    assert store.take("scan") is None


def test_a_disk_that_refuses_leaves_the_consumer_where_it_is(tmp_path: Path, monkeypatch) -> None:
    with Connection(broker_url(str(tmp_path / "broker.sqlite3"))) as connection:
        queue = connection.SimpleQueue("scan")
        queue.put("a")

        def refuse(*_: object, **__: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        with monkeypatch.context() as disk:
            disk.setattr(MessageStore, "take", refuse)
            with pytest.raises(queue.Empty):
                queue.get(timeout=0.1)
        assert queue.get(timeout=20).payload == "a"
        queue.close()
