"""The hash cache: its statistics, and the removal of what is stale."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from catalog.cache import hashes
from catalog.cache.hashes import hash_cache_stats, prune_hash_cache
from catalog.models import HashCache, Library, Photo
from operations.models import State
from operations.running import execute, start
from tests.factories import make_library, make_photo
from tests.photos import make_library as make_files

pytestmark = [pytest.mark.django_db, pytest.mark.cache_in_bucket]


@pytest.fixture
def library(alice, tmp_path) -> Library:
    return make_library(alice, tmp_path / "photos")


def scan(library, **params):
    params = {"library": str(library.pk), **params}
    started = start(
        "scan", library.owner, subject=library.name, active_key=library.scan_key, params=params, enqueue=False
    )
    operation = execute(started.pk)
    assert operation.state == State.COMPLETED, operation.error
    return operation


def remember(library, path, **fields):
    values = {"size_bytes": 1, "mtime_ns": 1, "head_md5": "0" * 32, "photo_md5": "0" * 32, **fields}
    return HashCache.objects.create(library=library, path=path, **{"cached_at": timezone.now(), **values})


@pytest.mark.promise("S2-015", "S2-028", "S2-054")
def test_the_hit_rate_of_scans_in_total_and_each(library, tmp_path):
    make_files(tmp_path / "photos", 4)
    scan(library)
    (tmp_path / "photos/2000/01/IMG_00003.JPG").unlink()
    scan(library, confirm_gone=True)
    stats = hash_cache_stats()
    assert stats.rows == 4
    assert stats.libraries == [{"library": str(library.pk), "name": "Holidays", "rows": 4}]
    assert [(one.hits, one.misses, one.hit_rate, one.library) for one in stats.scans] == [
        (3, 0, 1.0, "Holidays"),
        (0, 4, 0.0, "Holidays"),
    ]
    assert (stats.scan_count, stats.hits, stats.misses, stats.hit_rate) == (2, 3, 4, 0.4286)
    out = StringIO()
    call_command("hashcache", "stats", "--json", stdout=out)
    assert json.loads(out.getvalue()) == stats.as_json()
    out = StringIO()
    call_command("hashcache", "stats", stdout=out)
    assert "4 rows in 1 library" in out.getvalue() and "Hit rate of 2 scans: 42 %" in out.getvalue()
    scan(library)
    scan(library)
    stats = hash_cache_stats()
    assert [one.from_memory for one in stats.scans] == [3, 0, 0, 0]  # read once after the change, and then kept
    assert stats.from_memory == 3


def test_without_scans_there_is_no_rate(library):
    stats = hash_cache_stats()
    assert (stats.rows, stats.scan_count, stats.hit_rate) == (0, 0, None)


@pytest.mark.promise("S2-016", "S2-X14")
def test_a_scan_leaves_rows_of_files_that_are_gone_and_prune_removes_just_them(library, tmp_path):
    make_files(tmp_path / "photos", 5)
    scan(library)
    folder = tmp_path / "photos/2000/01"
    (folder / "IMG_00001.JPG").unlink()
    (folder / "IMG_00002.JPG").rename(tmp_path / "photos" / "moved.jpg")
    scan(library, confirm_gone=True)
    before = HashCache.objects.count()
    assert HashCache.objects.filter(path="2000/01/IMG_00001.JPG").exists()
    out = StringIO()
    call_command("hashcache", "prune", "--json", stdout=out)
    left = sorted(HashCache.objects.values_list("path", flat=True))
    assert left == ["2000/01/IMG_00000.JPG", "2000/01/IMG_00003.JPG", "2000/01/IMG_00004.JPG", "moved.jpg"]
    assert json.loads(out.getvalue()) == {"rows": before, "removed": before - 4, "left": 4}
    assert Photo.objects.filter(state=Photo.State.MISSING).count() == 1  # the catalog itself is as it was
    out = StringIO()
    call_command("hashcache", "prune", stdout=out)
    assert out.getvalue() == "Removed 0 rows of files that are gone; 4 are left.\n"


def test_the_same_name_elsewhere_does_not_save_a_row(library, alice, tmp_path, monkeypatch):
    monkeypatch.setattr(hashes, "BATCH", 2)
    other = make_library(alice, tmp_path / "other", name="Other")
    make_photo(library, "a/one.jpg")
    make_photo(library, "b/two.jpg")
    make_photo(other, "b/one.jpg")
    for path in ("a/one.jpg", "b/two.jpg", "a/two.jpg", "b/one.jpg", "one.jpg"):
        remember(library, path)
    remember(other, "b/one.jpg")
    assert prune_hash_cache() == {"rows": 6, "removed": 3, "left": 3}
    assert set(HashCache.objects.values_list("library__name", "path")) == {
        ("Holidays", "a/one.jpg"),
        ("Holidays", "b/two.jpg"),
        ("Other", "b/one.jpg"),
    }


def test_a_row_that_a_scan_writes_meanwhile_stays(library):
    remember(library, "new.jpg", cached_at=timezone.now() + timedelta(seconds=5))
    assert prune_hash_cache()["removed"] == 0
