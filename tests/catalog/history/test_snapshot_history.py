"""The history of snapshots: differences, repair of one place from the other, pruning, and the command for all of it."""

import hashlib
import json
import os
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from catalog.history.compare import Changed, diff, diff_kept
from catalog.history.copies import SnapshotNotKept, root_md5
from catalog.history.verify import prune, verify
from catalog.models import Library, Photo, Snapshot
from catalog.roots.snapshot_locations import cache_location, root_location
from catalog.snapshots.publish import read_pointer
from catalog.snapshots.read import open_snapshot
from catalog.snapshots.schema import SnapshotHeader, snapshot_name
from catalog.snapshots.write import write_snapshot
from operations.models import State
from operations.running import execute, start
from photolala.lib.paths import escape_path
from tests.photos import make_jpeg

pytestmark = pytest.mark.django_db
FACTS = (100, 5, "a" * 32, "b" * 32, "image/jpeg", 4, 3, 1, "2024-05-17T12:00:00", "exif", None, 3, None)


@pytest.fixture
def root(tmp_path) -> Path:
    root = tmp_path / "photos"
    make_jpeg(root / "1.jpg", seed=1)
    return root


@pytest.fixture
def library(alice, root) -> Library:
    """A library with three snapshots: of one, two and three photos."""
    library = Library.objects.create(owner=alice, name="Family", root=escape_path(os.fsencode(root)))
    scan(library)
    for number in (2, 3):
        make_jpeg(root / f"{number}.jpg", seed=number)
        scan(library)
    return library


def scan(library):
    params = {"library": str(library.pk)}
    operation = execute(start("scan", library.owner, active_key=library.scan_key, params=params, enqueue=False).pk)
    library.refresh_from_db()
    assert operation.state == State.COMPLETED, (operation.error, operation.error_detail)


def history(library):
    """The MD5s, oldest first."""
    return list(Snapshot.objects.filter(library=library).order_by("published_at").values_list("md5", flat=True))


def both(library):
    return root_location(library), cache_location(root_md5(library))


def content_of(location, name):
    with location.open(name) as file:
        return file.read()


def damage(location, md5):
    content = bytearray(content_of(location, snapshot_name(md5)))
    content[len(content) // 2] ^= 0xFF
    location.put_bytes(snapshot_name(md5), bytes(content))


def aside(location, md5):
    return [name for name in location.names() if name.startswith(f"{snapshot_name(md5)}.broken-")]


def run(*arguments):
    out = StringIO()
    call_command("snapshots", *map(str, arguments), stdout=out)
    return out.getvalue()


def snapshot_of(folder, *entries):
    rows = [(path, path.rpartition("/")[2], *facts) for path, facts in entries]
    return write_snapshot(folder, SnapshotHeader("x"), rows)


def test_a_difference_counts_everything_and_lists_the_first(tmp_path):
    rated = (*FACTS[:11], 5, None)
    before = snapshot_of(tmp_path, ("a", FACTS), ("b/1", FACTS), ("b/é", FACTS), ("z", FACTS))
    after = snapshot_of(tmp_path, ("a", FACTS), ("b-0", FACTS), ("b/1", rated), ("b/\U0001f600", FACTS), ("z", FACTS))
    with open_snapshot(before.path, before.md5) as older, open_snapshot(after.path, after.md5) as newer:
        found = diff(older, newer)
        assert found.added == ["b-0", "b/\U0001f600"] and found.removed == ["b/é"]
        assert found.changed == [Changed("b/1", ("rating",))]
        first = diff(older, newer, most_listed=1)
        assert (first.added, first.added_count, first.removed_count, first.changed_count) == (["b-0"], 2, 1, 1)
        back = diff(newer, older)
        assert (back.added, back.removed) == (found.removed, found.added)
        nothing = diff(newer, newer)
        assert (nothing.added_count, nothing.removed_count, nothing.changed_count) == (0, 0, 0)


@pytest.mark.promise("S4-U12")
@pytest.mark.parametrize("hit", [0, 1], ids=["root", "cache"])
def test_a_damaged_copy_is_set_aside_and_replaced_by_the_other_places(library, root, hit):
    md5 = history(library)[1]
    location = both(library)[hit]
    damage(location, md5)
    verified = verify(library)
    assert verified.checked == 6 and not verified.problems
    assert len(verified.set_aside) == len(verified.repaired) == 1
    assert hashlib.md5(content_of(location, snapshot_name(md5))).hexdigest() == md5
    assert (root / snapshot_name(md5)).stat().st_mode & 0o777 == 0o444
    assert len(aside(location, md5)) == 1
    assert verify(library).repaired == []


@pytest.mark.parametrize("hit", [0, 1], ids=["root", "cache"])
def test_a_lost_copy_is_brought_back(library, root, hit):
    md5 = history(library)[0]
    location = both(library)[hit]
    location.delete(snapshot_name(md5))
    assert len(verify(library).repaired) == 1
    assert hashlib.md5(content_of(location, snapshot_name(md5))).hexdigest() == md5


def test_what_is_damaged_in_both_places_is_kept_and_told(library, root):
    md5 = history(library)[0]
    for location in both(library):
        damage(location, md5)
    verified = verify(library)
    assert len(verified.problems) == 2 and not verified.repaired
    assert all(aside(location, md5) for location in both(library))
    row = Snapshot.objects.get(md5=md5)
    assert not row.in_cache and not row.in_root
    with pytest.raises(SystemExit) as left:
        run("verify", library.pk)
    assert left.value.code == 1


def test_a_copy_that_cannot_be_set_aside_stays_as_it_is(library, root, monkeypatch):
    md5 = history(library)[0]
    damage(root_location(library), md5)
    damaged = (root / snapshot_name(md5)).read_bytes()

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(root_location(library)), "rename", refuse)
    assert "could not be set aside" in verify(library).problems[0]
    assert (root / snapshot_name(md5)).read_bytes() == damaged


def test_pruning_keeps_the_latest_and_what_the_pointer_names(library, root):
    oldest, _, latest = history(library)
    removed = prune(library, 2)
    assert len(removed) == 2 and all(oldest in name for name in removed)
    assert len(prune(library, 0)) == 2
    for location in both(library):
        assert read_pointer(location).md5s == (latest,)
        assert snapshot_name(latest) in location.names()
    with pytest.raises(SnapshotNotKept):
        diff_kept(library, oldest, latest)


def test_pruning_waits_for_scans_and_whole_pointers(library, root):
    operation = start("scan", library.owner, active_key=library.scan_key, enqueue=False)
    with pytest.raises(SnapshotNotKept, match="being scanned"):
        prune(library, 1)
    operation.delete()
    (root / ".photolala.md5").write_text("torn\n")
    with pytest.raises(SnapshotNotKept, match="lost or torn"):
        prune(library, 1)
    assert all(snapshot_name(md5) in os.listdir(root) for md5 in history(library))


def test_the_command_lists_compares_and_restores(library, root):
    first, second, third = history(library)
    assert [row["md5"] for row in json.loads(run("list", library.pk, "--json"))["snapshots"]] == [third, second, first]
    assert "current" in run("list", root)
    found = json.loads(run("diff", library.pk, first, "--json"))
    assert (found["newer"], found["added"], found["changed_count"]) == (third, ["2.jpg", "3.jpg"], 0)
    assert "+ 3.jpg" in run("diff", library.pk, second, third)
    result = json.loads(run("restore", library.pk, first, "--json"))
    assert (result["snapshot_md5"], result["gone"]) == (first, 2)
    assert Photo.objects.exclude(state=Photo.State.MISSING).get().filename == "1.jpg"
    assert "nothing" in run("verify", library.pk)
    assert "Removed 4 files" in run("prune", library.pk, "--keep", "1")


def test_the_command_says_what_is_wrong(library):
    with pytest.raises(CommandError, match="no library"):
        run("list", "/nowhere")
    with pytest.raises(CommandError, match="cannot be used"):
        run("diff", library.pk, "0" * 32)
    with pytest.raises(CommandError, match="at least 1"):
        run("prune", library.pk, "--keep", "0")
