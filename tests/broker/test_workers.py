"""What real Celery workers on the SQLite broker do when they are killed, stopped, doubled and asked."""

import os
import signal
from collections import Counter
from functools import partial

import pytest

from tests.broker.conftest import Tiny, wait_until


@pytest.fixture
def names() -> list[str]:
    return [f"n{number}" for number in range(20)]


def test_a_killed_child_loses_nothing(tiny: Tiny) -> None:
    tiny.send("wait", "photo")
    tiny.start_worker()
    os.kill(tiny.pid_of("photo"), signal.SIGKILL)
    tiny.pid_of("photo", nth=1)
    tiny.go()
    wait_until(lambda: "end photo" in tiny.log(), "the task ends after its process was killed")
    tiny.send("note", "after")
    wait_until(lambda: "note after" in tiny.log(), "the worker goes on")
    assert tiny.log().count("end photo") == 1
    assert tiny.store.count_dead() == 0


def test_killed_idle_children_leave_a_worker_that_works(tiny: Tiny, names: list[str]) -> None:
    worker = tiny.start_worker(concurrency=2)
    for _ in range(2):
        idle = set(tiny.children(worker))
        assert len(idle) == 2
        for child in idle:
            os.kill(child, signal.SIGKILL)
        two_new = partial(lambda killed: len(set(tiny.children(worker)) - killed) == 2, idle)
        wait_until(two_new, "new processes replace the killed ones")
    for name in names:
        tiny.send("note", name)
    wait_until(lambda: sorted(tiny.log()) == sorted(f"note {name}" for name in names), "all tasks run")


def test_a_killed_worker_loses_nothing(tiny: Tiny, names: list[str]) -> None:
    tiny.send("wait", "photo")
    for name in names:
        tiny.send("note", name)
    worker = tiny.start_worker(prefetch=4)
    child = tiny.pid_of("photo")
    worker.kill()
    worker.wait()
    os.kill(child, signal.SIGKILL)
    tiny.go()
    tiny.start_worker(prefetch=4)
    wait_until(lambda: "end photo" in tiny.log(), "the task that ran is run again")
    wait_until(lambda: {f"note {name}" for name in names} <= set(tiny.log()), "all waiting tasks run")
    assert tiny.log().count("end photo") == 1


def test_a_stopped_worker_gives_back_what_it_had_not_begun(tiny: Tiny, names: list[str]) -> None:
    tiny.send("wait", "photo")
    for name in names:
        tiny.send("note", name)
    worker = tiny.start_worker(prefetch=4)
    tiny.pid_of("photo")
    wait_until(lambda: tiny.store.size("celery") < len(names), "the worker takes a task in advance")
    worker.terminate()
    tiny.go()
    worker.wait(timeout=30)
    done = Counter(tiny.log())
    assert done["end photo"] == 1
    assert tiny.store.size("celery") == len(names) - sum(count for line, count in done.items() if "note" in line)
    tiny.start_worker(prefetch=4)
    wait_until(lambda: {f"note {name}" for name in names} <= set(tiny.log()), "the rest runs after the restart")
    assert [Counter(tiny.log())[f"note {name}"] for name in names] == [1] * len(names)


def test_two_workers_share_the_work_and_answer(tiny: Tiny) -> None:
    killed = tiny.start_worker(concurrency=2, name="one")
    tiny.start_worker(concurrency=2, name="two")
    names = [f"n{number}" for number in range(150)]
    for name in names:
        tiny.send("note", name)
    wait_until(lambda: len(tiny.log()) >= len(names), "all tasks run")
    assert sorted(tiny.log()) == sorted(f"note {name}" for name in names)

    answers = tiny.app.control.inspect(timeout=10, limit=2).ping()
    assert answers == {"one@here": {"ok": "pong"}, "two@here": {"ok": "pong"}}
    assert len(tiny.store.bindings("celery.pidbox")) == 2
    assert tiny.store.bindings("reply.celery.pidbox") == []

    killed.kill()
    killed.wait()
    wait_until(lambda: len(tiny.store.bindings("celery.pidbox")) == 1, "the dead worker's mailbox goes")
    assert tiny.app.control.inspect(timeout=10, limit=1).ping() == {"two@here": {"ok": "pong"}}


def test_a_task_that_kills_its_process_is_set_aside_and_later_tasks_run(tiny: Tiny) -> None:
    tiny.send("die", "nasty.heic")
    tiny.send("note", "after", countdown=1)
    tiny.start_worker()
    wait_until(lambda: tiny.store.count_dead() == 1, "the deadly message is set aside")
    wait_until(lambda: "note after" in tiny.log(), "a task with a countdown runs")
    assert tiny.log().count("die nasty.heic") == tiny.store.max_deliveries == 5
    (dead,) = tiny.store.list_dead()
    assert dead.queue == "celery"
    assert "delivered 5 times" in dead.reason


def test_a_worker_outlives_a_torn_broker_file(tiny: Tiny) -> None:
    tiny.start_worker()
    tiny.send("note", "before")
    wait_until(lambda: "note before" in tiny.log(), "the worker works")
    for suffix in ("", "-wal"):
        with open(f"{tiny.path}{suffix}", "r+b") as file:
            file.write(os.urandom(max(8192, os.fstat(file.fileno()).st_size)))
    with open(f"{tiny.path}-shm", "r+b") as file:
        file.write(b"\xff" * 136)

    def announced_again() -> bool:
        tiny.send("note", "after")  # as the periodic sweep does
        return "note after" in tiny.log()

    wait_until(announced_again, "the worker takes tasks from the new file")
    assert list(tiny.folder.glob("broker.sqlite3.broken-*"))
    assert tiny.app.control.inspect(timeout=10, limit=1).ping() == {"one@here": {"ok": "pong"}}
