"""A preview that a limit prevented is tried again, a few times; what can never be drawn is told once."""

from typing import Any

import pytest

from catalog.media.pool import DecoderPool
from catalog.media.results import PreviewResult
from exports.originals.previews import MOST_TRIES

from .test_previews import destination, export  # noqa: F401

SLOW = PreviewResult(problem="The decoder ran beyond its time limit on this file 2 times.", gave_up=True)
DAMAGED = PreviewResult(problem="Its data are damaged.", damaged=True)


def fail(monkeypatch: pytest.MonkeyPatch, result: PreviewResult) -> list[str]:
    tried: list[str] = []

    def preview(self: DecoderPool, job: Any, edge_px: int) -> PreviewResult:
        tried.append(job.name)
        return result

    monkeypatch.setattr(DecoderPool, "preview", preview)
    return tried


def test_what_took_too_long_is_tried_again(cast: Any, destination: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    with monkeypatch.context() as patch:
        fail(patch, SLOW)
        assert export(cast, destination).result["previews"] == 0
    assert export(cast, destination).result["previews"] == 1


@pytest.mark.parametrize(("result", "most"), [(SLOW, MOST_TRIES), (DAMAGED, 1)])
def test_not_for_ever(cast: Any, destination: Any, monkeypatch: Any, result: PreviewResult, most: int) -> None:  # noqa: F811
    tried = fail(monkeypatch, result)
    for _ in range(most + 2):
        assert export(cast, destination).result["previews"] == 0
    assert tried.count("large.jpg") == most
