"""Keep a few programs running in one terminal: start, prefix their lines, start again what dies, stop all cleanly."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 20.0
SETTLED_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 30.0


@dataclass
class Program:
    """One program: its name in the terminal, its command, and how often it died lately."""

    name: str
    command: Sequence[str]
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    start_again_at: float = 0.0
    pause_seconds: float = 1.0
    reader: threading.Thread | None = field(default=None, repr=False)


class Supervisor:
    """Runs `programs` until it is told to stop (SIGINT, SIGTERM); each is a process group of its own."""

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        environment: Mapping[str, str] | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.programs = list(programs)
        self.environment = {**os.environ, **(environment or {}), "PYTHONUNBUFFERED": "1"}
        self.say = say
        self._stopping = threading.Event()

    def run(self) -> None:
        """Start everything and return when everything has stopped."""
        previous = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for program in self.programs:
                self._start(program)
            while not self._stopping.wait(0.5):
                for program in self.programs:
                    self._look_after(program)
                if os.getpid() == 1:
                    self.reap_orphans()
        finally:
            self._stop_all()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def stop(self) -> None:
        """Ask for the end; `run` returns once all programs are gone."""
        self._stopping.set()

    def reap_orphans(self) -> int:
        """Bury the dead whose parents died: in a container the first process inherits them. Returns how many."""
        own = {program.process.pid for program in self.programs if program.process}
        buried = 0
        with contextlib.suppress(ChildProcessError):
            while dead := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if dead.si_pid in own:  # its exit status belongs to its Popen, which asks next
                    break
                os.waitpid(dead.si_pid, 0)
                buried += 1
        return buried

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._stopping.is_set():  # asked twice: no more patience
            self._kill_all()
        self._stopping.set()

    def _start(self, program: Program) -> None:
        program.process = subprocess.Popen(
            program.command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        program.started = time.monotonic()
        program.start_again_at = 0.0
        program.reader = threading.Thread(target=self._repeat_lines, args=(program, program.process), daemon=True)
        program.reader.start()

    def _repeat_lines(self, program: Program, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.say(f"{program.name:>8} | {line.decode(errors='replace').rstrip()}")

    def _look_after(self, program: Program) -> None:
        now = time.monotonic()
        if program.start_again_at:
            if now >= program.start_again_at:
                self._start(program)
            return
        if program.process is None or program.process.poll() is None:
            return
        if now - program.started > SETTLED_SECONDS:
            program.pause_seconds = 1.0
        self.say(
            f"{program.name:>8} | stopped unexpectedly ({_exit_words(program.process.returncode)}); "
            f"starting it again in {program.pause_seconds:.0f} s"
        )
        program.start_again_at = now + program.pause_seconds
        program.pause_seconds = min(LONGEST_PAUSE_SECONDS, program.pause_seconds * 2)

    def _stop_all(self) -> None:
        running = [program.process for program in self.programs if program.process and program.process.poll() is None]
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
        self._kill_all()
        for program in self.programs:
            if program.reader:
                program.reader.join(1.0)

    def _kill_all(self) -> None:
        for program in self.programs:
            if program.process:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(program.process.pid, signal.SIGKILL)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    program.process.wait(5)


def _die_with_parent() -> None:
    """Ask the kernel to send SIGTERM when the supervisor dies, so that a kill -9 of it leaves no orphans."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _exit_words(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
