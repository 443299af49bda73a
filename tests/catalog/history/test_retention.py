"""Which snapshots of a library are kept: by the setting, and never by a clock that was just set."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from catalog.edits.ratings import set_ratings
from catalog.history import retention
from catalog.history.copies import root_md5
from catalog.history.restore import start_restore
from catalog.models import Library, Photo, Snapshot
from catalog.roots.snapshot_locations import cache_location, root_location
from catalog.snapshots.publish import read_pointer
from catalog.snapshots.schema import md5_of_name
from operations import clock
from operations.running import execute
from tests.catalog.scanning.test_scan import scan
from tests.factories import make_jpeg, make_library

pytestmark = pytest.mark.django_db


@pytest.fixture
def library(alice, tmp_path) -> Library:
    library = make_library(alice, tmp_path / "photos")
    Library.objects.filter(pk=library.pk).update(ratings="database")
    (Path(library.root) / "1.jpg").write_bytes(make_jpeg(seed=1))
    os.utime(Path(library.root) / "1.jpg", (1_600_000_000, 1_600_000_000))
    for stars in range(1, 5):
        scan(library)
        set_ratings(alice, [Photo.objects.get().pk], stars)
    return library


def age(library: Library, *days: int) -> list[str]:
    """Let the snapshots have been written so many days ago, oldest first; return their MD5s."""
    md5s = []
    for row, ago in zip(Snapshot.objects.filter(library=library).order_by("published_at"), days, strict=True):
        Snapshot.objects.filter(pk=row.pk).update(published_at=timezone.now() - timedelta(days=ago))
        md5s.append(row.md5)
    return md5s


def kept(library: Library) -> set[str]:
    found = []
    for place in (root_location(library), cache_location(root_md5(library))):
        pointer = set(read_pointer(place).md5s)
        assert pointer == {md5 for name in place.names() if (md5 := md5_of_name(name))}
        found.append(pointer)
    assert found[0] == found[1]
    return found[0]


def test_the_next_publication_thins_both_places(library, monkeypatch):
    monkeypatch.setattr(retention, "NEWEST", 1)
    monkeypatch.setattr(clock, "time_ago", lambda length: timezone.now() - length)
    ancient, month, other, yesterday = age(library, 500, 45, 5, 2)
    scan(library)
    library.refresh_from_db()
    assert kept(library) == {month, other, yesterday, library.snapshot_md5}
    assert ancient not in kept(library)


def test_nothing_is_removed_while_the_clock_is_suspect(library, monkeypatch):
    monkeypatch.setattr(retention, "NEWEST", 1)
    monkeypatch.setattr(clock, "time_ago", lambda length: timezone.now() - length)
    monkeypatch.setattr(clock, "is_suspect", lambda: True)
    md5s = age(library, 5000, 4000, 3000, 2000)
    scan(library)
    library.refresh_from_db()
    assert kept(library) == {*md5s, library.snapshot_md5}


def test_a_snapshot_that_is_restored_keeps_its_date(library):
    oldest = age(library, 50, 3, 2, 1)[0]
    before = Snapshot.objects.get(md5=oldest).published_at
    execute(start_restore(library, library.owner, oldest, enqueue=False).pk)
    library.refresh_from_db()
    assert library.snapshot_md5 == oldest
    assert Snapshot.objects.get(md5=oldest).published_at == before


def test_the_rule_is_a_sentence(settings):
    assert retention.rule() == (
        "Kept are the 5 newest, all of the last day, one of each of the last 30 days and one of each of the last 12 months."
    )
    settings.KEEP_SNAPSHOTS = (0, 0, 0)
    assert retention.rule() == "Kept are the 5 newest."
