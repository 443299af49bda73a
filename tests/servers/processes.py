"""What all test servers need: a folder, a free port, a process that is watched until it answers, then stopped."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

READY_SECONDS = 60.0
STOP_SECONDS = 10.0


class ServerMissing(RuntimeError):
    """A server cannot be started here; the message says what is missing and what to do."""


def free_port() -> int:
    """Return a TCP port of the loopback address that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def server_folder(name: str) -> Iterator[Path]:
    """Yield a fresh temporary folder that other users may enter; remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(
    command: list[str], log: Path, *, user: str | None = None, stop_signal: signal.Signals = signal.SIGTERM
) -> Iterator[subprocess.Popen]:
    """Run the server `command` (as `user`, if given) with its output in `log`; stop it at the end."""
    groups = {"user": user, "group": user, "extra_groups": []} if user else {}
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            **groups,
        )
    try:
        yield process
    finally:
        process.send_signal(stop_signal)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_ready(is_ready: Callable[[], object], process: subprocess.Popen, log: Path) -> None:
    """Return when `is_ready()` no longer raises; raise ServerMissing, with the end of the log, if it never does."""
    end = time.monotonic() + READY_SECONDS
    while True:
        try:
            is_ready()
            return
        except Exception as error:
            if process.poll() is None and time.monotonic() < end:
                time.sleep(0.1)
                continue
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            raise ServerMissing(f"{log.stem} did not start ({error}). The end of its log:\n{tail}") from error
