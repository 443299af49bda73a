"""Pruning the cache, on whatever storage the tests run on."""

import hashlib
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.core.management import CommandError, call_command

from catalog.cache import objects as cache_objects
from catalog.cache import tree
from catalog.cache.objects import CacheObject, photo_md5_of
from catalog.cache.prune import prune_cache
from catalog.cache.working import working_folder
from catalog.models import Photo
from operations.running import execute, start
from photolala.lib.process import identity
from tests.factories import make_library
from tests.photos import make_library as make_files

NOW = 1_700_000_000
DAY = 24 * 3600

pytestmark = [pytest.mark.repeated, pytest.mark.cache_in_bucket]


def md5(number: int) -> str:
    return hashlib.md5(str(number).encode()).hexdigest()


def store(name: str, size_bytes: int = 100, used: int = 0) -> str:
    """Store an object; in a folder also set when it was used, in seconds after NOW."""
    storage = tree.cache()
    storage.save(name, ContentFile(b"x" * size_bytes))
    if is_folder():
        os.utime(storage.path(name), (NOW + used, NOW + used))
    return name


def is_folder() -> bool:
    return isinstance(tree.cache(), FileSystemStorage)


@pytest.fixture
def folder(folder_cache) -> Path:
    """For tests about files and their times: the folder of the cache."""
    return folder_cache


def there(names):
    return [name for name in names if tree.cache().exists(name)]


@pytest.mark.promise("S4-076", "S4-U09")
def test_the_shard_over_its_quota_is_brought_down_to_80_percent_and_the_others_stay():
    thumbnails = [store(tree.thumbnail_name(md5(number)), used=number) for number in range(11)]
    apple = store("apple/thumbnails/asset%2F1.jpg", 900)
    snapshot = store(f"{md5(1)}/.photolala.{md5(2)}.sqlite", 5000)
    pointer = store(f"{md5(1)}/.photolala.md5", 33)
    pruned = prune_cache(1000)
    local = pruned.shards["local"]
    assert (local.objects, local.size_bytes, local.removed, local.removed_bytes) == (11, 1100, 3, 300)
    assert (pruned.shards["apple"].objects, pruned.shards["apple"].removed, pruned.failed) == (1, 0, 0)
    assert len(there(thumbnails)) == 8 and len(there([apple, snapshot, pointer])) == 3
    if is_folder():
        assert there(thumbnails) == thumbnails[3:]
    again = prune_cache(1000)
    assert again.shards["local"].removed == 0


def test_previews_go_first_and_every_pass_is_bounded():
    previews = [store(tree.preview_name(md5(number)), 200, used=9000) for number in range(5)]
    others = [store(tree.thumbnail_name(md5(number))) for number in range(5)]
    others += [store(tree.metadata_name(md5(number))) for number in range(5)]
    pruned = prune_cache(1250, most_at_once=2)
    assert pruned.shards["local"].removed_bytes == 1000
    assert there(previews) == [] and there(others) == others


def test_what_has_another_name_is_never_touched():
    strangers = [
        store("local/thumbnails/ab/notes.txt"),
        store(f"local/thumbnails/00/{'f' * 32}.jpg"),
        store(f"local/{md5(3)}.jpg"),
        store("mine.jpg"),
    ]
    pruned = prune_cache(0)
    assert pruned.shards["local"].objects == 0 and there(strangers) == strangers
    assert photo_md5_of(tree.metadata_name(md5(1))) == md5(1)
    assert photo_md5_of("apple/metadata/x.json") is None


def test_reading_counts_as_use_and_links_are_left_alone(folder, tmp_path):
    read, unread = (tree.thumbnail_name(md5(number)) for number in (1, 2))
    for name in (read, unread):
        store(name, 100)
    os.utime(folder / read, (NOW + DAY, NOW))
    outside = tmp_path / f"{md5(3)}.jpg"
    outside.write_bytes(b"x" * 500)
    link = folder / tree.thumbnail_name(md5(3))
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    pruned = prune_cache(150)
    assert pruned.shards["local"].size_bytes == 200
    assert there([read, unread]) == [read] and link.is_symlink() and outside.exists()


def test_what_is_written_or_read_after_the_listing_stays(folder, monkeypatch):
    names = [store(tree.thumbnail_name(md5(number)), used=number) for number in range(3)]
    remove = cache_objects.FolderObjects.remove

    def used_meanwhile(self, objects):
        tree.write_thumbnail(md5(0), b"y" * 100)  # a scan
        os.utime(folder / names[1], (NOW + DAY, NOW))  # a visitor
        (folder / names[2]).unlink()  # another prune
        return remove(self, objects)

    monkeypatch.setattr(cache_objects.FolderObjects, "remove", used_meanwhile)
    pruned = prune_cache(0)
    assert (pruned.shards["local"].removed, pruned.failed) == (0, 0)
    assert there(names) == names[:2]


def test_unfinished_files_of_killed_writers_go_and_those_of_living_ones_stay(folder, settings):
    aside = folder / ".writing"
    root = folder / md5(1)
    working = Path(settings.DATA_DIR) / "working"
    for path in (aside, root, working / "snapshot-1-old", working / "snapshot-2-new", working / "other"):
        path.mkdir(parents=True)
    mine, abandoned = aside / f"{identity()}=new", aside / "another-machine=old"
    torn, fresh = (root / f"..photolala.md5.{number * 16}.tmp"[1:] for number in "ab")
    snapshot = root / f".photolala.{md5(2)}.sqlite"
    broken = root / f".photolala.{md5(3)}.sqlite.broken-20260101T000000Z"
    for path in (mine, abandoned, torn, fresh, snapshot, broken):
        path.write_bytes(b"x")
    for path in (abandoned, torn, snapshot, broken, working / "snapshot-1-old", working / "other"):
        os.utime(path, (time.time() - 2 * DAY,) * 2)
    pruned = prune_cache(10**9)
    gone = [path for path in (abandoned, torn, working / "snapshot-1-old") if path.exists()]
    assert pruned.temporary_removed == 3 and gone == []
    kept = (mine, fresh, snapshot, broken, working / "snapshot-2-new", working / "other")
    assert all(path.exists() for path in kept)


def test_two_prunes_at_once_remove_no_more_than_one_would():
    names = [store(tree.thumbnail_name(md5(number)), used=number) for number in range(60)]
    together = threading.Barrier(2)

    def prune(_):
        together.wait(30)
        return prune_cache(5000)

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(prune, range(2))
    assert first.failed == second.failed == 0
    assert len(there(names)) == 40
    if is_folder():
        assert there(names) == names[20:]
        assert first.shards["local"].removed + second.shards["local"].removed == 20


class BusyBucket:
    """A bucket that puts some keys off and refuses others, in the words of S3 (no server does so when asked to)."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = []

    @property
    def bucket(self):
        return self

    location = "cache"

    def delete_objects(self, Delete):
        self.asked.append([one["Key"] for one in Delete["Objects"]])
        return {"Errors": [{"Key": key, "Code": code, "Message": code} for key, code in self.answers.pop(0).items()]}


def test_what_a_busy_bucket_puts_off_is_asked_for_again(monkeypatch):
    monkeypatch.setattr(cache_objects, "WAITS_SECONDS", (0, 0))
    objects = [CacheObject(f"local/{number}", 10, 0, 0) for number in range(3)]
    slow = {"cache/local/1": "SlowDown", "cache/local/2": "AccessDenied"}
    bucket = BusyBucket([slow, {"cache/local/2": "AccessDenied"}])
    removed = cache_objects.BucketObjects(bucket).remove(objects)
    assert (removed.count, removed.size_bytes) == (2, 20)
    assert removed.problems == ["local/2 cannot be removed from the cache: AccessDenied."]
    assert bucket.asked[1] == ["cache/local/1", "cache/local/2"]
    bucket = BusyBucket([slow] * 3)
    removed = cache_objects.BucketObjects(bucket).remove(objects)
    assert removed.count == 1 and len(removed.problems) == 2 and len(bucket.asked) == 3


@pytest.mark.django_db
@pytest.mark.promise("S4-064")
def test_what_was_pruned_is_made_again_when_it_is_asked_for(alice, client, tmp_path):
    library = make_library(alice, tmp_path / "photos")
    make_files(tmp_path / "photos", 2)
    params = {"library": str(library.pk)}
    execute(start("scan", alice, active_key=library.scan_key, params=params, enqueue=False).pk)
    client.force_login(alice)
    addresses = [
        f"/api/v1/photos/{photo.pk}/{kind}/"
        for photo in Photo.objects.filter(library=library)
        for kind in ("thumbnail", "preview", "metadata")
    ]

    def answers():
        given = [client.get(address) for address in addresses]
        return [(answer.status_code, b"".join(answer.streaming_content)) for answer in given]

    before = answers()
    assert [code for code, _ in before] == [200] * 6
    assert prune_cache(0).shards["local"].removed == 6
    assert prune_cache(0).shards["local"].objects == 0
    assert answers() == before
    assert prune_cache(0).shards["local"].removed == 6  # they were kept again, metadata too


def test_the_command_prints_what_went_and_takes_a_quota(settings):
    store(tree.preview_name(md5(1)), 2000)
    out = StringIO()
    call_command("cache", "prune", "--quota", "1 kB", "--json", stdout=out)
    printed = json.loads(out.getvalue())
    assert printed["quota_bytes"] == 1000
    assert printed["shards"]["local"] == {"objects": 1, "size_bytes": 2000, "removed": 1, "removed_bytes": 2000}
    settings.CACHE_QUOTA_BYTES = 50
    store(tree.thumbnail_name(md5(2)), 100)
    out = StringIO()
    call_command("cache", "prune", stdout=out)
    assert "local: 1 object, 100 bytes of 50 bytes; removed 1 (100 bytes)" in out.getvalue()
    with pytest.raises(CommandError, match="is no size") as refused:
        call_command("cache", "prune", "--quota", "lots")
    assert refused.value.returncode == 2


def test_what_cannot_be_removed_is_said_and_ends(folder, monkeypatch):
    name = store(tree.thumbnail_name(md5(1)))

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cache_objects, "remove_if_there", refuse)
    out = StringIO()
    with pytest.raises(SystemExit) as left:
        call_command("cache", "prune", "--quota", "0", "--json", stdout=out)
    printed = json.loads(out.getvalue())
    assert left.value.code == 1 and printed["failed"] == 1 and name in printed["problems"][0]


def test_a_folder_in_which_somebody_works_stays_whatever_the_clock_says(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    with working_folder("restore") as folder:
        os.utime(folder, (1, 1))  # as after the clock was set ahead
        prune_cache(10**9)
        assert folder.is_dir()
    left = tmp_path / "working" / "restore-left"
    left.mkdir()
    os.utime(left, (1, 1))
    prune_cache(10**9)
    assert not left.exists()
