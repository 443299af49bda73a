"""Decoders and exiftools that tests hand on to each other: a pytest plugin. To start one takes a quarter of a core's second.

Only what in this process scans, imports or writes gets them; their own tests (`tests/catalog/media`), tests marked
`cold`, and all processes that tests start, have new ones each time.
"""

import subprocess
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from catalog.files import writer
from catalog.media import pool
from catalog.media.decoder import Decoder, close_all
from catalog.media.exiftool import ExifTool
from catalog.media.limits import Limits

PRODUCT = "catalog.media.worker"
OWN_TESTS = Path(__file__).parent / "catalog" / "media"
MOST_KEPT = 4
"""Of each."""

_starter = ThreadPoolExecutor(1, thread_name_prefix="starter-of-warm-processes")
"""Starts all of them: the kernel ends such a process with the thread that started it, and a writer's thread ends soon."""
_lock = threading.Lock()
_decoders: list["_WarmDecoder"] = []
_exiftools: list["subprocess.Popen[bytes]"] = []


class _WarmDecoder(Decoder):
    """One that knows what it was started with."""

    def __init__(self, limits: Limits, worker_module: str, libraries: Iterable[str] = ()) -> None:
        super().__init__(limits, worker_module, libraries)
        self.made_of = (limits, worker_module, frozenset(libraries))

    def can_go_on(self) -> bool:
        """Tell whether it is idle and alive. One that still starts is, for a pool, as one that it has just started."""
        return not (self.batches or self.is_retiring or self._buffer or self._process.poll() is not None)


def _start(limits: Limits, worker_module: str, libraries: Iterable[str] = ()) -> Decoder:
    wanted = (limits, worker_module, frozenset(libraries))
    while decoder := _taken(wanted):
        if decoder.can_go_on():
            return decoder
        decoder.kill()
    return _starter.submit(_WarmDecoder, limits, worker_module, libraries).result()


def _taken(wanted: tuple[Limits, str, frozenset[str]]) -> _WarmDecoder | None:
    with _lock:
        decoder = next((one for one in _decoders if one.made_of == wanted), None)
        if decoder:
            _decoders.remove(decoder)
    return decoder


def _end(decoders: Iterable[Decoder | None]) -> None:
    for decoder in decoders:
        if isinstance(decoder, _WarmDecoder) and decoder.made_of[1] == PRODUCT and decoder.can_go_on():
            with _lock:
                _decoders.append(decoder)
        else:
            close_all([decoder])
    with _lock:
        too_many = _decoders[:-MOST_KEPT]
        del _decoders[:-MOST_KEPT]
    close_all(too_many)


class _WarmExifTool(ExifTool):
    """One that begins with a process that another was done with. `ask` has ended all that are not idle."""

    def _start(self) -> None:
        self._kill()
        while process := self._kept():
            if process.poll() is None:
                self._process = process
                return
        _starter.submit(super()._start).result()

    def close(self) -> None:
        with _lock:
            if self._process and len(_exiftools) < MOST_KEPT:
                _exiftools.append(self._process)
                self._process = None
        super().close()

    @staticmethod
    def _kept() -> "subprocess.Popen[bytes] | None":
        with _lock:
            return _exiftools.pop() if _exiftools else None


@pytest.fixture(autouse=True)
def warm_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this test begin with processes that earlier tests were done with, and hand its own on."""
    if request.node.get_closest_marker("cold") or OWN_TESTS in request.node.path.parents:
        return
    monkeypatch.setattr(pool, "Decoder", _start)
    monkeypatch.setattr(pool, "close_all", _end)
    monkeypatch.setattr(writer, "ExifTool", _WarmExifTool)


@pytest.fixture(autouse=True, scope="session")
def no_process_stays() -> Iterator[None]:
    """End those that are left at the end of all tests."""
    yield
    close_all(_decoders)
    for process in _exiftools:
        process.kill()
        process.communicate()
    _decoders.clear()
    _exiftools.clear()
    _starter.shutdown()
