"""A real site for tests of the API's contract: its own data, the web process as `up` runs it, a cast with tokens."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from tests.drills.acknowledged.workers import WORKER, at_work
from tests.drills.scanning import PROJECT, Installation
from tests.drills.test_up import free_port
from tests.installations import DATABASE, drop_database, put_database, server_of_the_run
from tests.photos import make_jpeg

PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Site:
    """Where the site listens, the tokens of its people, the ids of what is there."""

    installation: Installation
    address: str
    tokens: dict[str, str]
    ids: dict[str, str]
    log: Path


@contextmanager
def running_site(folder: Path, *, with_worker: bool = False) -> Iterator[Site]:
    """Serve an installation in `folder` that `tests.contract.seed` filled, on the database that the environment names."""
    for number in range(6):
        make_jpeg(folder / "photos" / "2024" / f"IMG_{number:04}.JPG", seed=number)
    (folder / "photos" / "other").mkdir()
    (folder / "photos" / "third").mkdir()
    extra = put_database(folder / "data", server_of_the_run(), is_empty=True)
    with ExitStack() as ending:
        if extra:
            ending.callback(drop_database, extra[DATABASE])
        installation = Installation(folder / "data", folder / "photos", extra=extra)
        seeded = subprocess.run(
            [sys.executable, "-m", "tests.contract.seed", str(installation.root)],
            env={**installation.environment, "DJANGO_SETTINGS_MODULE": "photolala.settings"},
            cwd=PROJECT,
            check=False,
            capture_output=True,
            text=True,
        )
        assert seeded.returncode == 0, seeded.stderr
        facts = json.loads(seeded.stdout.splitlines()[-1])
        log = folder / "web.log"
        with web(installation, log) as address, worker(installation, folder) if with_worker else nullcontext():
            yield Site(installation, address, facts["tokens"], facts["ids"], log)


def worker(installation: Installation, folder: Path) -> AbstractContextManager[object]:
    """Run a worker."""
    command = [sys.executable, "-m", "celery", "-q", "-A", "photolala.celery", *WORKER]
    return at_work(command, installation, folder / "worker.log")


@contextmanager
def web(installation: Installation, log: Path) -> Iterator[str]:
    """Run the web process; give its address."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--port", str(port), "--workers", "1"]
    command += ["--no-ws", "--log-level", "error", "photolala.server:application"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=PROJECT, env=installation.environment, stdout=file, stderr=file)
    try:
        wait_for(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(address: str, process: "subprocess.Popen[bytes]") -> None:
    """Return when the site answers."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/api/v1/health/live", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("The site does not answer.")
