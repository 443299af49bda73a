"""One decoder process as its parent sees it: start it, give it files, read its answers, end it."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from catalog.media.limits import CODE_FOLDER, Limits, child_environment
from catalog.media.wire import encode, send, take

if TYPE_CHECKING:
    from catalog.media.task import Task

_RECEIVE_BYTES = 1 << 18
_SEND_SECONDS = 30.0
_START_SECONDS = 30.0
_CLOSE_SECONDS = 2.0
_LEAST_WORK_SECONDS = 0.001
"""What a process works meanwhile that is only kept waiting by others; one that hangs does not work at all."""
_LEAST_MEANWHILE_SECONDS = 2.0
"""So long it is watched at least: in less, one that waits for its turn on a busy machine may not have had any."""


class DecoderGone(RuntimeError):
    """The process ended before it could take the work."""


class Decoder:
    """A child process. `batches` are the tasks it holds, first come first served; `deadline` is when the first must be done."""

    def __init__(self, limits: Limits, worker_module: str, libraries: Iterable[str] = ()) -> None:
        self.limits = limits
        self.batches: deque[list[Task]] = deque()
        self.is_retiring = False
        self.deadline = 0.0
        self._final_deadline = 0.0
        self._allowed_seconds = 0.0
        self._worked_before = self._worked_last = 0.0
        self.layers: Any = None
        """The layers of the sandbox that it says are in force; None while it starts."""
        self._files = 0
        self._buffer = bytearray()
        self._extra_seconds = _START_SECONDS
        self.channel, theirs = socket.socketpair()
        self.channel.settimeout(_SEND_SECONDS)
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    worker_module,
                    str(theirs.fileno()),
                    str(os.getpid()),
                    json.dumps(dataclasses.asdict(limits)),
                    json.dumps(sorted(libraries)),
                ],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=CODE_FOLDER,
                env=child_environment(),
                start_new_session=True,
            )
        except BaseException:
            self.channel.close()
            raise
        finally:
            theirs.close()
        self.pid = self._process.pid

    def give(self, verb: str, tasks: list[Task]) -> list[tuple[Task, str]]:
        """Open and send the files of `tasks`; return those that cannot be opened, with the reason. Raises DecoderGone."""
        refused: list[tuple[Task, str]] = []
        sent: list[Task] = []
        jobs: list[dict[str, Any]] = []
        descriptors: list[int] = []
        try:
            for task in tasks:
                try:
                    opened = _open_all(task)
                except OSError as error:
                    refused.append((task, f"The file could not be opened: {error.strerror or error}."))
                    continue
                descriptors.extend(opened.values())
                jobs.append({"name": _plain_name(task.job.name), "params": task.job.params, "files": list(opened)})
                sent.append(task)
            if sent:
                try:
                    send(self.channel, encode({"verb": verb, "jobs": jobs}), descriptors)
                except OSError as error:
                    raise DecoderGone("The decoder process ended unexpectedly.") from error
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        if sent:
            self.batches.append(sent)
            if len(self.batches) == 1:
                self._start_clock()
        return refused

    def read(self) -> bool:
        """Take what the process has sent; False when it has ended."""
        try:
            data = self.channel.recv(_RECEIVE_BYTES)
        except OSError:
            return False
        self._buffer += data
        return bool(data)

    def messages(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Yield the whole messages received. Raises BadMessage."""
        while (message := take(self._buffer)) is not None:
            if message[0].get("ready") is True:
                # Starting is over: from here on the clock runs for the file alone.
                self._extra_seconds = 0.0
                self.layers = message[0].get("layers")
                self._start_clock()
            else:
                yield message

    def is_overdue(self, now: float) -> bool:
        """Return whether the first batch must be given up at the moment `now`.

        What counts is the time that the process works, so that a result does not depend on what else the machine does:
        the deadline moves while others keep a process waiting that works.
        """
        if now < self.deadline:
            return False
        worked = _worked_seconds(self.pid)
        left = self._allowed_seconds - (worked - self._worked_before)
        works = worked - self._worked_last >= _LEAST_WORK_SECONDS
        if left <= 0 or not works or now >= self._final_deadline:
            return True
        self._worked_last = worked
        self.deadline = min(now + max(left, _LEAST_MEANWHILE_SECONDS), self._final_deadline)
        return False

    @property
    def has_served(self) -> bool:
        """True once it has answered for a file, and so may hold memory that it will not give back."""
        return self._files > 0

    def finished(self, resident_bytes: Any) -> None:
        """Note that the first batch is done; decide whether the process has served long enough."""
        self._files += len(self.batches.popleft())
        is_fat = isinstance(resident_bytes, int) and resident_bytes > self.limits.resident_bytes
        self.is_retiring = self.is_retiring or is_fat or self._files >= self.limits.files_per_process
        if self.batches:
            self._start_clock()

    def kill(self) -> str:
        """End the process at once and return how it ended, for people."""
        if self._process.poll() is None:
            try:
                # It may be ending by itself: its own signal tells more than ours.
                self._process.wait(0.05)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self.channel.close()
        code = self._process.wait()
        if code >= 0:
            return f"exit code {code}"
        try:
            return f"signal {-code}, {signal.Signals(-code).name}"
        except ValueError:
            return f"signal {-code}"

    def close(self) -> None:
        """Let the process end by itself, or end it."""
        self.channel.close()
        try:
            self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read_bytes(self, task: Task) -> int:
        """Return how much of a file may be read: a preview takes the beginning of a large one, however large it is."""
        size = _claimed_bytes(task)
        return min(size, self.limits.in_memory_bytes) if "edge_px" in task.job.params else size

    def _start_clock(self) -> None:
        first = self.batches[0] if self.batches else []
        seconds = sum(self.limits.seconds_per_byte * self._read_bytes(task) for task in first)
        self._allowed_seconds = self.limits.seconds + seconds + self._extra_seconds
        now = time.monotonic()
        self._worked_before = self._worked_last = _worked_seconds(self.pid)
        self.deadline = now + self._allowed_seconds
        self._final_deadline = now + self._allowed_seconds * self.limits.patience


def close_all(decoders: Iterable[Decoder | None]) -> None:
    """End many processes, waiting for all together."""
    running = [decoder for decoder in decoders if decoder is not None]
    for decoder in running:
        decoder.channel.close()
    for decoder in running:
        decoder.close()


def _worked_seconds(pid: int) -> float:
    """Return how long the processors worked for a process and its threads; 0 where the system does not tell."""
    try:
        # Linux makes the clock of a process from its id, as clock_getcpuclockid does.
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0


def _claimed_bytes(task: Task) -> int:
    size = task.job.params.get("size_bytes", 0)
    return size if isinstance(size, int) else 0


def _open_all(task: Task) -> dict[str, int]:
    """Open a task's file and its sidecars; a sidecar that cannot be opened is as good as absent. Raises OSError for the file."""
    opened = {"file": task.job.open()}
    for kind, opener in task.job.sidecars.items():
        try:
            opened[kind] = opener()
        except OSError:
            continue
    return opened


def _plain_name(name: str) -> str:
    return name.encode("utf-8", "replace").decode("utf-8")[:300]
