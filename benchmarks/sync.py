"""What devices wait for: a push of 500 mutations, a poll without news, a new device's first sync over HTTP, stars beside a scan.

    python benchmarks/sync.py [--changes 100000] [--people 8] [--stars 40]

On the database that PHOTOLALA_DATABASE names, else on SQLite in a folder of its own. The server and the device of the first sync
are processes of their own, which talk over HTTP on this machine. Prints one JSON object; `load` is how many processes wanted a
core meanwhile, so that a figure from a busy machine can be told from one of a quiet machine.
"""

import argparse
import json
import math
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))
EPOCH_MS = 1_795_862_400_000
DEVICE = """
import json, sys, time
from pathlib import Path
from sync.device.client import Client
from sync.device.http import HttpTransport
begun, cpu = time.monotonic(), time.process_time()
client = Client(Path(sys.argv[1]), HttpTransport(sys.argv[2], sys.argv[3]))
result = client.sync()
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({
    "success": result.success, "rows": result.downloaded_items, "errors": [error.message for error in result.errors],
    "clock_seconds": round(time.monotonic() - begun, 1), "device_cpu_seconds": round(time.process_time() - cpu, 1),
    "device_mib": round(peak / 1024, 1), "drifted": client.verify(),
}))
"""


def seconds_of(work: Any) -> tuple[float, float]:
    """Return the clock and CPU seconds of a call."""
    clock, cpu = time.monotonic(), time.process_time()
    work()
    return round(time.monotonic() - clock, 3), round(time.process_time() - cpu, 3)


def cpu_seconds_of(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Phone:
    """A device that speaks to the site within this process."""

    def __init__(self, user: Any) -> None:
        from knox.models import AuthToken
        from rest_framework.test import APIClient

        from accounts.models import Device

        token, self.secret = AuthToken.objects.create(user)
        self.device = Device.objects.create(user=user, name="bench", token=token)
        self.client = APIClient(SERVER_NAME="localhost")
        self.client.credentials(HTTP_AUTHORIZATION=f"Token {self.secret}")
        self.epoch = self.get("info/")["epoch"]
        self.mid = 0

    def get(self, path: str, **params: str) -> Any:
        """Ask; fails unless the answer is 200."""
        answer = self.client.get(f"/api/v1/sync/{path}", params)
        assert answer.status_code == 200, answer.content
        return answer.json()

    def push(self, op: str, type: str, things: list[tuple[str, str | None, dict[str, Any]]]) -> tuple[float, float]:
        """Push one batch of (id, base, fields); return its clock and CPU seconds."""
        mutations = []
        for id, base, fields in things:
            self.mid += 1
            made = {"mid": self.mid, "type": type, "id": id, "op": op, "fields": fields}
            made["hlc"] = f"{EPOCH_MS + self.mid:012x}-0000-p"
            mutations.append(made if base is None else {**made, "base": {"version": base}})
        body = json.dumps({"deviceId": str(self.device.pk), "epoch": self.epoch, "mutations": mutations})
        replies: list[Any] = []

        def send() -> None:
            replies.append(self.client.post("/api/v1/sync/push/", body, content_type="application/json"))

        took = seconds_of(send)
        assert replies[0].status_code == 200, replies[0].content
        statuses = {result["status"] for result in replies[0].json()["results"]}
        assert statuses == {"applied"}, statuses
        return took


def pushes(user: Any, photos: list[Any], count: int = 500) -> dict[str, Any]:
    """Push `count` mutations at once: notes that are made, notes that are changed, photos that get a star."""
    from catalog.models import favourite_id

    phone, scope = Phone(user), f"user:{user.pk}"
    ids = [str(uuid.UUID(int=number + 1)) for number in range(count)]
    made = phone.push("create", "note", [(id, None, {"content": "Down by the river", "caption": "c"}) for id in ids])
    rows = {row["id"]: row["version"] for row in phone.get("changes/", scope=scope, types="note")["changes"]}
    changed = phone.push("patch", "note", [(id, rows[id], {"content": "Up the hill"}) for id in ids])
    stars = [
        (str(favourite_id(user.pk, photo)), None, {"photoId": str(photo), "rating": 4}) for photo in photos[:count]
    ]
    starred = phone.push("create", "favourite", stars)
    names = ("clock_seconds", "cpu_seconds")
    told = {"notes_made": made, "notes_changed": changed, "stars": starred}
    return {what: dict(zip(names, took, strict=True)) for what, took in told.items()}


def poll(user: Any, scope: str) -> dict[str, Any]:
    """Ask for changes where there are none: what the server does behind the sign-in, and the whole request."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from sync.server.orm import OrmRepository
    from sync.server.pull import pull

    phone = Phone(user)
    cursor, more = "", True
    while more:
        page = phone.get("changes/", scope=scope, cursor=cursor) if cursor else phone.get("changes/", scope=scope)
        cursor, more = page["cursor"], page["hasMore"]
    phone.get("changes/", scope=scope, cursor=cursor)
    repository, token = OrmRepository(user), phone.device.token

    def ask() -> None:
        pull(repository, user, token, scope, cursor, (), 1000)

    inside = [seconds_of(ask) for _ in range(300)]
    whole = [seconds_of(lambda: phone.get("changes/", scope=scope, cursor=cursor)) for _ in range(100)]
    with CaptureQueriesContext(connection) as queries:
        ask()
    return {
        "queries": len(queries),
        "median_ms": round(1000 * statistics.median(clock for clock, _ in inside), 2),
        "median_cpu_ms": round(1000 * statistics.fmean(cpu for _, cpu in inside), 2),
        "whole_request_median_ms": round(1000 * statistics.median(clock for clock, _ in whole), 2),
    }


@contextmanager
def server(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the web process on a port of this machine while the block runs."""
    options = ["--interface", "asgi", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command = [sys.executable, "-m", "granian", *options, "photolala.server:application"]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/sync/info/", timeout=5)
            except urllib.error.HTTPError:
                break  # it answers: 401
            except OSError:
                time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait()


def first_sync(user: Any, folder: Path) -> dict[str, Any]:
    """Let a new device pull everything over HTTP; memory of both processes, the server's with its workers."""
    from benchmarks.run import descendants, memory_of

    phone = Phone(user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with server(port) as process:
        before, largest, done = memory_of(process.pid), 0.0, threading.Event()

        def watch() -> None:
            nonlocal largest
            while not done.wait(0.25):
                largest = max(largest, memory_of(process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        command = [
            sys.executable,
            "-c",
            DEVICE,
            str(folder / "device.sqlite"),
            f"http://127.0.0.1:{port}",
            phone.secret,
        ]
        device = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
        done.set()
        watcher.join()
        cpu = sum(cpu_seconds_of(pid) for pid in (process.pid, *descendants(process.pid)))
    said = json.loads(device.stdout)
    return {
        **said,
        "server_cpu_seconds": round(cpu, 1),
        "server_mib_before": round(before, 1),
        "server_mib_largest": round(largest, 1),
    }


def stars_beside_a_scan(library: Any, people: int, count: int) -> dict[str, Any]:
    """Let `people` star photos at once, each as fast as they can, while another thread writes rows as a scan does."""
    from django.db import connection

    from benchmarks.changes import write
    from catalog.edits.stars import star
    from catalog.models import Membership, Photo
    from tests.factories import make_user

    users = [make_user(f"person-{number}") for number in range(people)]
    for user in users:
        Membership.objects.create(library=library, user=user, role="viewer")
    photos = list(Photo.objects.values_list("pk", flat=True)[: people * count])
    took: list[float] = []
    scanned, done, start = 0, threading.Event(), threading.Barrier(people + 1)

    def scan() -> None:
        nonlocal scanned
        start.wait()
        while not done.is_set():
            write(library, 20_000_000 + scanned, 100)
            scanned += 100
        connection.close()

    def person(number: int) -> None:
        start.wait()
        for photo in photos[number::people]:
            begun = time.monotonic()
            star(users[number], photo, 3)
            took.append(time.monotonic() - begun)
        connection.close()

    threads = [threading.Thread(target=person, args=[number]) for number in range(people)]
    scanner = threading.Thread(target=scan)
    for thread in (scanner, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    scanner.join()
    ordered = sorted(took)
    return {
        "stars": len(took),
        "median_ms": round(1000 * statistics.median(took), 1),
        "p95_ms": round(1000 * ordered[math.ceil(0.95 * len(ordered)) - 1], 1),
        "rows_scanned_meanwhile": scanned,
    }


def measure(count: int, people: int, stars: int, folder: Path) -> dict[str, Any]:
    """Return all figures."""
    from django.core.management import call_command
    from django.db import connection

    from accounts.models import User
    from benchmarks.changes import write
    from catalog.models import Library, Photo

    call_command("migrate", verbosity=0)
    alice = User.objects.create_user("alice")
    library = Library.objects.create(owner=User.objects.create_user("bob"), name="Many", root="/many")
    library.memberships.create(user=alice, role="viewer")
    write(library, 0, count)
    some = list(Photo.objects.values_list("pk", flat=True)[:500])
    said: dict[str, Any] = {"database": connection.vendor, "changes": count}
    said["push_of_500"] = pushes(alice, some)
    said["first_sync"] = first_sync(alice, folder)
    said["poll"] = poll(alice, f"library:{library.pk}")
    said["stars_beside_a_scan"] = stars_beside_a_scan(library, people, stars)
    return {**said, "load": round(os.getloadavg()[0], 1)}


def main() -> None:
    """Measure all and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=100_000)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--stars", type=int, default=40, help="of each person")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "photolala.settings")
        os.environ["PHOTOLALA_DATA"] = folder
        import django

        django.setup()
        print(json.dumps(measure(options.changes, options.people, options.stars, Path(folder)), indent=1))


if __name__ == "__main__":
    main()
