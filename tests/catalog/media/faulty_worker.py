"""A decoder process that does what the file tells it to: the worker as it is, plus faults on request."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from catalog.media import worker
from catalog.media.digest import digest_file
from catalog.media.results import DigestResult
from catalog.media.wire import encode


def fault(word: str) -> None:
    if word == "crash":
        ctypes.string_at(0)
    elif word == "hang":
        time.sleep(3600)
    elif word.startswith("work"):
        until = time.process_time() + float(word.removeprefix("work"))
        while time.process_time() < until:
            pass
    elif word.startswith("trickle"):
        until = time.monotonic() + float(word.removeprefix("trickle"))
        while time.monotonic() < until:
            fault("work 0.003")
            time.sleep(0.05)
    elif word == "memory":
        bytearray(1 << 40)
    elif word == "much memory":
        hoard = [os.urandom(1 << 20) for _ in range(4096)]
        raise AssertionError(len(hoard))
    elif word == "nonsense":
        os.write(int(sys.argv[1]), encode({"final": {"width": "wide"}}))
        time.sleep(3600)
    elif word == "needs":
        os.write(int(sys.argv[1]), encode({"needs": "subprocess"}))
        time.sleep(3600)
    elif word == "abort":
        os.abort()
    elif word == "garbage":
        os.write(int(sys.argv[1]), b"\xff" * 64)
        time.sleep(3600)


def attempt(action: Any) -> str:
    try:
        action()
    except OSError as error:
        return error.strerror or "error"
    return "done"


def report() -> list[str]:
    return [
        attempt(lambda: socket.socket()),
        attempt(lambda: subprocess.run(["/bin/true"], check=False)),
        attempt(lambda: os.mkdir("/tmp/made-by-a-decoder")),
        " ".join(sorted(os.environ)),
    ]


served: list[str] = []


def faulty_digest(
    descriptor: int, name: str, params: dict[str, Any], sidecars: dict[str, int], limits: Any, *, draws: bool = True
) -> Iterator[DigestResult]:
    word = os.pread(descriptor, 100, 0).decode("latin-1")
    when, _, what = word.partition(": ")
    served.append(name)
    if when == "before":
        fault(what)
    for number, result in enumerate(digest_file(descriptor, name, params, sidecars, limits, draws=draws)):
        if when == "report":
            result.notes = report()
        if when == "short":  # a picture that only a fresh process can hold
            result.notes, result.short_of_memory = [str(len(served))], what == "always" or len(served) > 1
            result.problem = "short of memory" if result.short_of_memory else ""
        yield result
        if when == "after" and number == 0:
            fault(what)


def faulty_survey(descriptor: int, *rest: Any) -> Any:
    fault(os.pread(descriptor, 100, 0).decode("latin-1").removeprefix("before: "))
    return survey_file(descriptor, *rest)


def faulty_preview(descriptor: int, *rest: Any) -> Any:
    fault(os.pread(descriptor, 100, 0).decode("latin-1").removeprefix("before: "))
    return preview_file(descriptor, *rest)


preview_file = worker.preview_file
survey_file = worker.survey_file
worker.digest_file = faulty_digest
worker.survey_file = faulty_survey
worker.preview_file = faulty_preview

if __name__ == "__main__":
    worker.main()
