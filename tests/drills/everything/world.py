"""One installation for all points of a drill: Django is loaded once, and commands, workers and people are forked from it.

A forked process is a process like any other (its own id, killed and frozen on its own), but it starts in milliseconds. Each
round begins with the same files and rows: the base, which is put back. The wall clock of all of them can be moved.
"""

import ctypes
import mmap
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.drills.everything import history
from tests.drills.scanning import LIBRARY_ID, PROJECT, descendants, kill
from tests.photos import make_jpeg

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LEASE_SECONDS = 2
QUEUES = "files,scan,export,sync"
OWNER, MEMBER = "alice", "bob"


class Shared:
    """What all processes of a drill see: how far the wall clock is off, and whether people are to stop."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 16)

    @property
    def offset(self) -> float:
        """Seconds that the wall clock is ahead."""
        return float(struct.unpack_from("d", self._memory)[0])

    @offset.setter
    def offset(self, seconds: float) -> None:
        struct.pack_into("d", self._memory, 0, seconds)

    @property
    def is_over(self) -> bool:
        """True when people are to stop."""
        return self._memory[8] == 1

    @is_over.setter
    def is_over(self, value: bool) -> None:
        self._memory[8] = int(value)

    def move_the_clock(self) -> None:
        """Let this process, and those forked from it, read the moved clock. Call it before Django is loaded."""
        from django.utils import timezone

        real, real_ns = time.time, time.time_ns
        time.time = lambda: real() + self.offset
        time.time_ns = lambda: real_ns() + int(self.offset * 1e9)
        timezone.now = lambda: datetime.now(tz=UTC) + timedelta(seconds=self.offset)


@dataclass
class Child:
    """A process of the drill, in a session of its own."""

    name: str
    pid: int
    status: int | None = None

    @property
    def is_alive(self) -> bool:
        """True until it has ended."""
        if self.status is None:
            try:
                done, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self.status = -1
            else:
                self.status = os.waitstatus_to_exitcode(status) if done else None
        return self.status is None

    def wait(self, seconds: float) -> bool:
        """Return whether it ended within so many seconds."""
        until = time.monotonic() + seconds
        while self.is_alive and time.monotonic() < until:
            time.sleep(0.01)
        return not self.is_alive

    def family(self) -> list[int]:
        """Return its id and those of all below it."""
        return [self.pid, *descendants(self.pid)]

    def kill_all(self) -> None:
        """Kill it and all below it."""
        for pid in self.family():
            kill(pid)


@dataclass
class World:
    """The installation, its processes, and the base that `reset` puts back."""

    folder: Path
    database: str
    can_mount: bool
    shared: Shared = field(default_factory=Shared)
    workers: list[Child] = field(default_factory=list)
    schedule: Child | None = None
    is_mounted: bool = False
    forked: set[int] = field(default_factory=set)
    """Processes of which a `Child` tells how they ended; others are taken note of by `reap`."""

    def __post_init__(self) -> None:
        self.photos, self.data, self.card = self.folder / "photos", self.folder / "data", self.folder / "card"
        self.disk = self.folder / "disk" if self.can_mount else self.photos
        self.exported, self.log, self.journal = (
            self.folder / "exported",
            self.folder / "log",
            self.folder / "journal",
        )
        self._servers = ExitStack()

    # -- beginning and end --------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Start the servers, load Django in this process, and make the base."""
        for folder in (self.photos, self.data, self.card, self.disk):
            folder.mkdir(parents=True, exist_ok=True)
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        for name in [name for name in os.environ if name.startswith("PHOTOLALA_")]:
            del os.environ[name]
        os.environ |= {
            "PHOTOLALA_DATA": str(self.data),
            "PHOTOLALA_ROOTS": f"{self.photos}:{self.card}",
            "PHOTOLALA_DECODERS": "1",
            "PHOTOLALA_WORKERS": "2",
            "PHOTOLALA_LOG_LEVEL": "WARNING",
            "DJANGO_SETTINGS_MODULE": "photolala.settings",
            "CELERY_SKIP_CHECKS": "1",
        }
        if self.database == "postgres":
            from tests.servers.postgres import running_postgres
            from tests.servers.redis import running_redis

            os.environ |= self._servers.enter_context(running_postgres())
            os.environ |= self._servers.enter_context(running_redis())
        self.shared.move_the_clock()
        os.chdir(PROJECT)
        import django

        django.setup()
        _be_impatient()
        self.mount()
        self.call(_make_base)
        self.call(history.install)
        self._keep_base()

    def close(self) -> None:
        """End all processes and servers."""
        self.end_processes()
        if self.is_mounted:
            self.unmount()
        self._servers.close()

    def __enter__(self) -> "World":
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _keep_base(self) -> None:
        for name in ("disk" if self.can_mount else "photos", "data"):
            shutil.copytree(self.folder / name, self.folder / f"base-{name}", copy_function=shutil.copy2)
        if self.database == "postgres":
            self._sql("CREATE DATABASE base TEMPLATE photolala")

    def reset(self, policy: str) -> None:
        """Put the base back; stars and dates then follow `policy`."""
        self.end_processes()
        self.shared.offset, self.shared.is_over = 0.0, False
        for name in ("disk" if self.can_mount else "photos", "data"):
            for path in (self.folder / name).iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            base = self.folder / f"base-{name}"
            shutil.copytree(base, self.folder / name, copy_function=shutil.copy2, dirs_exist_ok=True)
        for path in (self.card, self.exported):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
        for path in (self.journal, self.log):
            path.unlink(missing_ok=True)
        if self.database == "postgres":
            import redis

            self._sql("DROP DATABASE photolala WITH (FORCE)", "CREATE DATABASE photolala TEMPLATE base")
            with redis.Redis.from_url(os.environ["PHOTOLALA_BROKER"]) as broker:
                broker.flushdb()
        self.mount()
        self.call(lambda: _set_policy(policy))

    def _sql(self, *statements: str) -> None:
        import psycopg
        from django.db import connections

        connections.close_all()
        address = os.environ["PHOTOLALA_DATABASE"].rpartition("/")[0] + "/postgres"
        with psycopg.connect(address, autocommit=True) as server:
            for statement in statements:
                server.execute(statement)

    # -- the folder of photos -----------------------------------------------------------------------------------------

    def mount(self) -> None:
        """Let the photos lie in their folder."""
        if self.can_mount and not self.is_mounted:
            subprocess.run(["mount", "--bind", str(self.disk), str(self.photos)], check=True)
            self.is_mounted = True

    def unmount(self) -> None:
        """Take them away, whoever has files open there."""
        subprocess.run(["umount", "-l", str(self.photos)], check=True)
        self.is_mounted = False

    # -- processes ----------------------------------------------------------------------------------------------------

    def fork(self, name: str, work: Callable[[], object]) -> Child:
        """Do `work` in a new process; what it prints is in the log."""
        from django.db import connections

        connections.close_all()
        pid = os.fork()
        if pid:
            self.forked.add(pid)
            return Child(name, pid)
        code = 1
        try:
            os.setsid()
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for here, there in ((nothing, 0), (log, 1), (log, 2)):
                os.dup2(here, there)
            work()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def call(self, work: Callable[[], object], seconds: float = 120.0) -> None:
        """Do `work` in a new process and wait for it. Raises AssertionError with the end of the log if it failed."""
        child = self.fork("call", work)
        if not child.wait(seconds) or child.status:
            child.kill_all()
            raise AssertionError(f"A step of the drill itself ended with {child.status}:\n{self.said()}")

    def said(self, characters: int = 3000) -> str:
        """Return the end of what all processes printed."""
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""

    def start_worker(self) -> Child:
        """Start a worker, as `up` does."""
        self.workers.append(self.fork("worker", _work))
        return self.workers[-1]

    def keep_running(self) -> None:
        """Start a worker and the schedule if there is none, as a supervisor does."""
        self.workers = [worker for worker in self.workers if worker.is_alive]
        if not self.workers:
            self.start_worker()
        if self.schedule is None or not self.schedule.is_alive:
            self.schedule = self.fork("schedule", self._keep_schedule)

    def _keep_schedule(self) -> None:
        """Do in short turns what beat does in long ones; what is due rarely only while the clock is off."""
        from django.conf import settings
        from django.db import connections

        from photolala.celery import app

        entries = settings.CELERY_BEAT_SCHEDULE.values()
        rhythm = [(entry["task"], entry["schedule"]) for entry in entries]
        while True:
            for name, seconds in rhythm:
                if seconds <= 600 or self.shared.offset:
                    try:
                        app.tasks[name]()
                    except Exception:
                        traceback.print_exc()
            connections.close_all()
            time.sleep(0.4)

    def end_processes(self) -> None:
        """Kill everything that the drill started."""
        from django.db import connections

        connections.close_all()
        while below := [pid for pid in descendants(os.getpid()) if not _is_server(pid)]:
            for pid in below:
                kill(pid)
            self.forked.clear()
            self.reap()
            time.sleep(0.01)
        self.workers, self.schedule = [], None

    def reap(self) -> None:
        """Take note of the end of processes whose parents were killed."""
        for pid in descendants(os.getpid()):
            if pid not in self.forked and not _is_server(pid):
                with suppress(ChildProcessError):  # another one's child still
                    os.waitpid(pid, os.WNOHANG)


def _is_server(pid: int) -> bool:
    """True for PostgreSQL, Redis and what they start."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return words.startswith((b"postgres", b"/usr/lib/postgresql", b"redis")) or b"redis-server" in words


def _be_impatient() -> None:
    """Let what takes minutes in a house take a second or two here; and look at this machine's tools only once."""
    import celery.apps.worker
    import celery.concurrency.prefork
    import celery.worker.consumer
    import celery.worker.pidbox  # noqa: F401  (what workers need is loaded once, before they are forked)
    import kombu.transport.redis  # noqa: F401
    from django.conf import settings

    import catalog.doctor
    import catalog.entries.pending_writes
    import catalog.files.trash_leases
    import operations.tasks
    import photolala.celery

    photolala.celery.app.loader.import_default_modules()
    settings.OPERATION_LEASE_SECONDS = LEASE_SECONDS
    second = timedelta(seconds=1)
    for module, name, value in (
        (operations.tasks, "ENQUEUE_AGAIN", second),
        (operations.tasks, "ENQUEUE_SELDOM", 2 * second),
        (catalog.entries.pending_writes, "BACK_OFF", [second]),
        (catalog.files.trash_leases, "LEASE", timedelta(seconds=LEASE_SECONDS)),
        (catalog.files.trash_leases, "RENEWED_EVERY_SECONDS", LEASE_SECONDS / 6),
        (catalog.doctor, "examine_tools", lambda: ()),
        (catalog.doctor, "examine_disks", lambda: ()),
    ):
        if hasattr(module, name):
            setattr(module, name, value)


def _work() -> None:
    from photolala.celery import app

    words = ["worker", "-Q", QUEUES, "-l", "WARNING", "-n", f"drill{os.getpid()}@%h"]
    app.worker_main([*words, "--without-gossip", "--without-mingle", "--without-heartbeat"])


def _make_base() -> None:
    """50 photos, scanned twice: between the scans some got stars and dates."""
    from django.core.management import call_command

    from accounts.models import User
    from catalog.edits.dates import Setting, plan, set_dates
    from catalog.edits.stars import star
    from catalog.models import Library, Membership, Photo

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    owner, member = User.objects.create_user(OWNER), User.objects.create_user(MEMBER)
    photos = os.environ["PHOTOLALA_ROOTS"].split(":")[0]
    library = Library.objects.create(id=LIBRARY_ID, owner=owner, name="Drill", root=photos, scan_every_hours=0)
    Membership.objects.create(library=library, user=member)
    for number in range(50):
        taken = f"20{number % 9 + 10}:{number % 12 + 1:02}:{number % 28 + 1:02} 10:30:{number:02}"
        make_jpeg(Path(photos) / f"Card {number // 14}" / f"IMG_{number:04}.JPG", seed=number, taken=taken)
    call_command("scan", LIBRARY_ID, "--json")
    chosen = list(Photo.objects.order_by("directory", "filename"))
    for photo in chosen[::5]:
        star(owner, photo.pk, 3)
    for photo in chosen[1::5]:
        star(member, photo.pk, 4)
    set_dates(owner, plan(chosen[2::9], Setting(datetime(1999, 9, 9, 9, 9, 9))))
    call_command("writes", "run", "--library", LIBRARY_ID, "--json")
    call_command("scan", LIBRARY_ID, "--json")


def _set_policy(policy: str) -> None:
    from catalog.models import Library

    Library.objects.update(ratings=policy)
