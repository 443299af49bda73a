"""One exiftool that stays open: asked through a pipe, with a time limit, started anew when it dies or hangs."""

from __future__ import annotations

import os
import resource
import secrets
import selectors
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_ROOT = Path(__file__).resolve().parents[2]
_PINNED = _ROOT / "node_modules" / "exiftool-vendored.pl" / "bin" / "exiftool"
_MEMORY_BYTES = 2 * 1024**3
_MOST_ANSWER_BYTES = 8 * 1024 * 1024
_END_SECONDS = 2.0


class ExifToolFailed(Exception):
    """exiftool gave no answer; the message is a sentence for people."""


class ExifToolMissing(ExifToolFailed):
    """There is no exiftool on this machine."""


class ExifToolTimeout(ExifToolFailed):
    """It took longer than it may; it was ended, and the next question starts a new one."""


def exiftool_command() -> list[str]:
    """Return the command that starts exiftool: the pinned one of `make setup`, else the system's. Raises ExifToolMissing.

    The pinned one writes more formats (WebP, JPEG XL) than Debian 12's.
    """
    perl = shutil.which("perl")
    if perl and _PINNED.exists():
        return [perl, str(_PINNED)]
    system = shutil.which("exiftool")
    if system:
        return [system]
    raise ExifToolMissing(
        "exiftool is not installed, so nothing can be written into photos; what was to be written waits. Run `make "
        "setup`, or as root `apt-get install libimage-exiftool-perl`."
    )


def _bound() -> list[str]:
    """Return what starts a program so that it ends with the thread that started it and gains no rights.

    Older exiftools go on waiting when their input is at an end.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--no-new-privs"] if setpriv else []


class ExifTool:
    """A long-lived exiftool process. One question at a time; threads wait for each other. Use as a context manager.

    It is started when first asked, has bounds on memory, sees no setting of this process's, and ends with it: its
    input then is at an end.
    """

    def __init__(self, command: Sequence[str] | None = None) -> None:
        self._command = list(command) if command else None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> ExifTool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process's id, None while there is none."""
        return self._process.pid if self._process else None

    def ask(self, arguments: Sequence[str], seconds: float) -> str:
        """Run exiftool with `arguments` and return all that it says, within `seconds` of wall time.

        Arguments are printable ASCII, one line each: names of strangers' files never get here, only paths of ours.
        Raises ValueError for others, ExifToolMissing, ExifToolTimeout, or ExifToolFailed if it died, which one more
        try may get around.
        """
        for argument in arguments:
            if not argument or not argument.isascii() or not argument.isprintable() or argument == "--":
                raise ValueError(f"{argument!r} must not be handed to exiftool.")
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
            # No file can know this number, so that no text in a file is ever taken for the end of the answer.
            number = secrets.randbelow(10**9)
            question = "\n".join([*arguments, f"-execute{number}"]) + "\n"
            try:
                return self._exchange(question.encode("ascii"), f"{{ready{number}}}\n".encode(), seconds)
            except BaseException:
                self._kill()
                raise

    def close(self) -> None:
        """End the process. It may be asked again; then a new one is started."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin:
            with suppress(OSError):
                process.stdin.close()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()

    def _start(self) -> None:
        self._kill()
        command = self._command or exiftool_command()
        try:
            self._process = subprocess.Popen(
                [*_bound(), *command, "-config", "", "-stay_open", "True", "-@", "-"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise ExifToolMissing(f"exiftool could not be started: {error.strerror}.") from error
        with suppress(OSError, ValueError):
            resource.prlimit(self._process.pid, resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
            resource.prlimit(self._process.pid, resource.RLIMIT_CORE, (0, 0))

    def _exchange(self, question: bytes, end: bytes, seconds: float) -> str:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise ExifToolFailed("exiftool is not running.")
        deadline = time.monotonic() + seconds
        try:
            process.stdin.write(question)
            process.stdin.flush()
        except OSError as error:
            raise ExifToolFailed("exiftool ended unexpectedly.") from error
        answer = bytearray()
        descriptor = process.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while not answer.endswith(end):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise ExifToolTimeout(f"exiftool took longer than {seconds:.0f} seconds and was ended.")
                if not selector.select(left):
                    continue
                part = os.read(descriptor, 1 << 16)
                if not part:
                    raise ExifToolFailed("exiftool ended unexpectedly.")
                answer += part
                if len(answer) > _MOST_ANSWER_BYTES:
                    raise ExifToolFailed("exiftool says more than any file can have to say; it was ended.")
        return answer[: -len(end)].decode("utf-8", "replace")

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()
