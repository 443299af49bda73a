"""Point 2 for scans: one that stood still while its successor did all the work writes nothing when it wakes."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from catalog.edits.stars import star
from catalog.entries import counts
from catalog.history import publish
from catalog.identity.moves import Following
from catalog.models import Alias, Favourite, FileWrite, HashCache, Library, Photo, PhotoMetadata
from catalog.scanning import queue, verify
from catalog.scanning.later_columns import Filling
from catalog.scanning.scan import Scan
from catalog.scanning.survey import Survey
from catalog.scanning.team import Team
from operations.models import Operation, State
from operations.running import claim, execute
from tests.photos import make_jpeg

from .moving import at, begin, library_of, move, scan

pytestmark = pytest.mark.django_db

STEPS: dict[str, tuple[Any, str, int]] = {
    "before it walks": (Scan, "walk", 1),
    "before it reads heads": (Scan, "survey", 1),
    "before it marks a folder as gone": (Survey, "_mark_gone", 1),
    "before it marks a file as gone": (Survey, "_mark_gone", 2),
    "before it writes heads": (Survey, "_write", 1),
    "before it counts": (counts, "_counts_of", 1),
    "before it claims": (Team, "claim", 1),
    "before it claims again": (Team, "claim", 2),
    "before it writes what it read": (Team, "apply", 1),
    "before it trusts fresh files": (verify, "_trust", 1),
    "before it fills later columns": (Filling, "_apply", 1),
    "before it finishes": (Scan, "finish", 1),
    "before it follows moves": (Following, "_apply", 1),
    "before it publishes": (publish, "publish_if_due", 1),
    "before it writes how it ended": (Scan, "_note_end", 1),
}
"""Outside of transactions: a process that is frozen within one holds the rows, or the database, and nobody overtakes it."""


def rows() -> dict[str, Any]:
    """Return everything that scans write."""
    found: dict[str, Any] = {"library": Library.objects.values().get()}
    for model in (Photo, PhotoMetadata, HashCache, Favourite, FileWrite, Alias):
        found[model.__name__] = sorted(map(repr, model.objects.values_list()))  # type: ignore[attr-defined]
    return found


def stand_still(monkeypatch: Any, owner: Any, name: str, number: int, meanwhile: Callable[[], None]) -> list[bool]:
    """Do `meanwhile` right before the n-th call, as a process that is frozen there sees the world change."""
    real, calls, happened = getattr(owner, name), [], []

    def stopped(*arguments: Any, **named: Any) -> Any:
        calls.append(name)
        if len(calls) == number and not happened:
            happened.append(True)
            meanwhile()
        return real(*arguments, **named)

    monkeypatch.setattr(owner, name, stopped)
    return happened


@pytest.mark.parametrize("step", STEPS)
def test_a_scan_that_wakes_after_its_successor_has_finished_writes_nothing(alice, tmp_path, monkeypatch, step):
    library = library_of(alice, tmp_path / "photos", photos=4)
    root = Path(library.root)
    make_jpeg(root / "o" / "97.jpg", seed=97)
    scan(library)
    photo = at(library, "a/1.jpg")
    Favourite.objects.create(user=alice, photo=photo)
    move(library, "a/1.jpg", "z/1.jpg")
    move(library, "o/97.jpg", "z/97.jpg")
    (root / "o").rmdir()
    make_jpeg(root / "m" / "new.jpg", seed=300, mtime=timezone.now().timestamp())
    Photo.objects.filter(filename="2.jpg").update(image_digest="")
    monkeypatch.setattr("catalog.entries.folder_comparison.RACY_NS", 100_000_000)
    operation = begin(library)
    after: list[dict[str, Any]] = []

    def successor() -> None:
        Operation.objects.filter(pk=operation.pk).update(
            lease_until=timezone.now() - timedelta(hours=1), worker="a process of another machine"
        )
        monkeypatch.setattr(Operation, "lease_is_dead", lambda *_: True)
        done = execute(operation.pk)
        assert done is not None and done.state == State.COMPLETED, done and done.error_detail
        star(alice, at(library, "z/1.jpg").pk, 4)  # people go on
        make_jpeg(root / "m" / "newer.jpg", seed=301)
        scan(library)
        after.append(rows())

    happened = stand_still(monkeypatch, *STEPS[step], successor)
    execute(operation.pk)
    assert happened and after
    assert rows() == after[0]
    assert at(library, "z/1.jpg").pk == photo.pk
    assert claim(operation.pk) is None


def test_a_scan_that_wakes_takes_nothing_out_of_its_successors_hands(alice, tmp_path, monkeypatch):
    library = library_of(alice, tmp_path / "photos")
    operation = begin(library)
    held: list[Any] = []

    def successor() -> None:
        """It has claimed the operation and the photos, and reads them."""
        Operation.objects.filter(pk=operation.pk).update(token=F("token") + 1, worker="another")
        prefix = queue.claim_prefix(Operation.objects.get(pk=operation.pk))
        assert len(queue.claim_digests(library, prefix, 100)) == 7
        held.extend(claims())

    happened = stand_still(monkeypatch, Team, "claim", 1, successor)
    execute(operation.pk)
    assert happened and claims() == held


def claims() -> list[Any]:
    return list(Photo.objects.order_by("pk").values_list("pk", "claim_token", "claimed_for", "needs_digest"))
