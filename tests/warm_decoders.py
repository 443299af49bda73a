"""Decoder processes that tests hand on to each other: a pytest plugin. To start one takes a quarter of a core's second.

Only what in this process scans, imports or writes gets them; the decoders' own tests (`tests/catalog/media`), tests marked
`cold`, and all processes that tests start, have new ones each time.
"""

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.media import pool
from catalog.media.decoder import Decoder, close_all
from catalog.media.limits import Limits

PRODUCT = "catalog.media.worker"
OWN_TESTS = Path(__file__).parent / "catalog" / "media"
MOST_KEPT = 4

_kept: list["_WarmDecoder"] = []


class _WarmDecoder(Decoder):
    """One that knows what it was started with."""

    def __init__(self, limits: Limits, worker_module: str, libraries: Iterable[str] = ()) -> None:
        super().__init__(limits, worker_module, libraries)
        self.made_of = (limits, worker_module, frozenset(libraries))
        self.thread = threading.current_thread()

    def can_go_on(self) -> bool:
        """Tell whether it is idle and alive, and was started by this thread, with which the kernel would end it."""
        return not (
            self.batches
            or self.is_retiring
            or self.layers is None
            or self._buffer
            or self._process.poll() is not None
            or self.thread is not threading.current_thread()
        )


def _start(limits: Limits, worker_module: str, libraries: Iterable[str] = ()) -> Decoder:
    wanted = (limits, worker_module, frozenset(libraries))
    for decoder in [one for one in _kept if one.made_of == wanted]:
        _kept.remove(decoder)
        if decoder.can_go_on():
            return decoder
        decoder.kill()
    return _WarmDecoder(limits, worker_module, libraries)


def _end(decoders: Iterable[Decoder | None]) -> None:
    for decoder in decoders:
        if isinstance(decoder, _WarmDecoder) and decoder.made_of[1] == PRODUCT and decoder.can_go_on():
            _kept.append(decoder)
        else:
            close_all([decoder])
    close_all(_kept[:-MOST_KEPT])
    del _kept[:-MOST_KEPT]


@pytest.fixture(autouse=True)
def warm_decoders(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pools of this test begin with decoders that earlier tests were done with, and hand their own on."""
    if request.node.get_closest_marker("cold") or OWN_TESTS in request.node.path.parents:
        return
    monkeypatch.setattr(pool, "Decoder", _start)
    monkeypatch.setattr(pool, "close_all", _end)


@pytest.fixture(autouse=True, scope="session")
def no_decoder_stays() -> Iterator[Any]:
    """End those that are left at the end of all tests."""
    yield
    close_all(_kept)
    _kept.clear()
