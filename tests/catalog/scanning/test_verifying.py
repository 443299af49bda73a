"""Edits that hide: those that kept size and time, and those made in the moment in which the file was read."""

import hashlib
import os
import time

import pytest

from catalog.entries.folder_comparison import compare, doubted, is_racy
from catalog.models import Photo
from catalog.scanning.rebuild import start_rebuild
from catalog.scanning.requests import start_scan
from catalog.scanning.verify import settle_fresh
from catalog.sources.local import LocalSource
from operations.models import Operation, State
from operations.running import AlreadyActive, execute
from tests.catalog.scanning.test_scan import (
    counts,
    library,  # noqa: F401
    root,  # noqa: F401
    scan,
)
from tests.photos import make_jpeg, make_library

pytestmark = [pytest.mark.django_db, pytest.mark.settling]


def alter(path, at):
    """Change one byte at offset `at`, and neither size nor time; return the new MD5."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[at] ^= 0x01
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def opened(monkeypatch):
    """The paths of the files that were opened."""
    paths = []
    really = LocalSource.open

    def note(self, path, **more):
        paths.append(path)
        return really(self, path, **more)

    monkeypatch.setattr(LocalSource, "open", note)
    return paths


@pytest.mark.promise("S2-041")
def test_whatever_compares_catalog_and_folder_is_an_operation_that_is_followed(library, root, monkeypatch):  # noqa: F811
    make_library(root, 3)
    monkeypatch.setattr("operations.wake_up.enqueue", lambda operation: 0)
    owner = library.owner

    def ask_to_scan(**params):
        return lambda: start_scan(library, owner, **params)

    for kind, ask in {
        "scan": ask_to_scan(),
        "scan of heads": ask_to_scan(verify_heads=True),
        "scan of what failed": ask_to_scan(only_failed=True),
        "rebuild": lambda: start_rebuild(library, owner),
        "rebuild of all": lambda: start_rebuild(library, owner, full=True),
    }.items():
        waiting = Operation.objects.get(pk=ask().pk)
        assert (waiting.kind, waiting.state) == (kind.split()[0], State.PENDING)
        assert (waiting.owner, waiting.subject, waiting.started_at) == (owner, library.name, None)
        with pytest.raises(AlreadyActive):
            ask()
        seen: list[tuple[str, str]] = []
        execute(waiting.pk, on_progress=lambda now, seen=seen: seen.append((now.state, now.phase)))
        ended = Operation.objects.get(pk=waiting.pk)
        assert (ended.state, ended.error) == (State.COMPLETED, ""), kind
        assert seen and {state for state, _ in seen} == {State.RUNNING} and any(phase for _, phase in seen)
        assert ended.started_at and ended.finished_at and ended.result
    assert Operation.objects.count() == 5


@pytest.mark.promise("S2-014")
def test_verifying_heads_finds_an_edit_that_kept_size_and_time(library, root):  # noqa: F811
    make_library(root, 6, per_folder=3)
    scan(library)
    new_md5 = alter(root / "2000" / "01" / "IMG_00001.JPG", 200)
    unnoticed = counts(scan(library))
    assert (unnoticed["changed"], unnoticed["unchanged"]) == (0, 6)
    noticed = counts(scan(library, verify_heads=True))
    assert noticed == dict(found=6, added=0, changed=1, moved=0, unchanged=5, gone=0, failed=0)
    assert Photo.objects.get(filename="IMG_00001.JPG").photo_md5 == new_md5
    assert counts(scan(library, verify_heads=True))["changed"] == 0


def test_verifying_heads_of_a_well_library_reads_heads_alone(library, root, opened):  # noqa: F811
    make_library(root, 4)
    scan(library)
    opened.clear()
    first = Photo.objects.order_by("pk").values_list("pk", "claim_token", "photo_md5")
    before = list(first)
    assert counts(scan(library, verify_heads=True))["unchanged"] == 4
    assert len(opened) == 4  # once each: for the head, and not for a digest
    assert list(first.all()) == before


def test_verifying_finds_a_file_that_can_no_longer_be_read(library, root, monkeypatch):  # noqa: F811
    from catalog.sources.local import LocalSource

    make_library(root, 3)
    scan(library)
    really = LocalSource.open

    def refuse(self, path, **more):
        if path.endswith("IMG_00001.JPG"):
            raise PermissionError(13, "Permission denied")
        return really(self, path, **more)

    monkeypatch.setattr(LocalSource, "open", refuse)
    assert counts(scan(library))["failed"] == 0
    assert counts(scan(library, verify_heads=True))["failed"] == 1
    assert Photo.objects.get(filename="IMG_00001.JPG").state == Photo.State.BROKEN


@pytest.mark.promise("S2-014")
def test_a_file_read_in_the_moment_it_was_written_is_read_once_more(library, root, opened, monkeypatch):  # noqa: F811
    # The scan ends before the two seconds do: killed, or too many such files.
    monkeypatch.setattr("catalog.scanning.verify.settle_fresh", lambda *_: 0)
    path = make_jpeg(root / "a.jpg", seed=1, size=(640, 480))
    assert path.stat().st_size > 4096 + 40
    make_jpeg(root / "old.jpg", seed=2, mtime=1_600_000_000)
    moment = time.time()
    os.utime(path, (moment, moment))
    scan(library)
    new_md5 = alter(path, path.stat().st_size - 40)  # the head stays, as size and time do
    opened.clear()
    again = counts(scan(library))
    assert (again["found"], again["unchanged"], again["gone"]) == (2, 2, 0)
    assert set(opened) == {"a.jpg"}
    assert Photo.objects.get(filename="a.jpg").photo_md5 == new_md5


def test_what_was_read_later_is_not_read_again(library, root, opened):  # noqa: F811
    path = make_jpeg(root / "a.jpg", seed=1)
    moment = time.time() - 2.5
    os.utime(path, (moment, moment))
    scan(library)
    opened.clear()
    assert counts(scan(library))["unchanged"] == 1
    assert opened == []


def test_a_doubted_file_is_trusted_after_its_second_reading(library, root, opened):  # noqa: F811
    make_jpeg(root / "a.jpg", seed=1, mtime=1_600_000_000)
    scan(library)
    Photo.objects.update(sidecars=doubted(""))
    opened.clear()
    assert counts(scan(library))["changed"] == 0
    assert "a.jpg" in opened
    opened.clear()
    assert counts(scan(library))["unchanged"] == 1
    assert opened == []
    assert Photo.objects.get().sidecars == ""


def test_doubts_are_told_from_changes():
    signature = "0123456789abcdef" * 2
    plan = compare(
        {"a": (1, 2, ""), "b": (1, 2, signature), "c": (1, 2, "")},
        {"a": (1, 2, doubted("")), "b": (1, 2, doubted(signature)), "c": (1, 3, doubted(""))},
        is_complete=True,
    )
    assert plan.changed == ["a", "b", "c"] and plan.doubted == {"a", "b"}
    second = 10**9
    assert is_racy(99 * second, 100 * second) and is_racy(130 * second, 100 * second)
    assert not is_racy(98 * second, 100 * second) and not is_racy(0, 100 * second)
    assert not is_racy(1000 * second, 100 * second)  # a camera set wrongly: not for ever


def test_files_written_a_moment_ago_are_settled_within_the_scan(library, root, opened):  # noqa: F811
    """Copy a library and scan it at once: the second scan still opens nothing."""
    make_library(root, 4)
    now = time.time()
    for path in root.rglob("*.JPG"):
        os.utime(path, (now, now))
    scan(library)
    assert set(Photo.objects.values_list("sidecars", flat=True)) == {""}
    opened.clear()
    assert counts(scan(library))["unchanged"] == 4
    assert opened == []


def test_a_file_changed_right_after_it_was_read_is_left_to_the_next_scan(library, root):  # noqa: F811
    path = make_jpeg(root / "a.jpg", seed=1)
    scan(library)
    Photo.objects.update(sidecars=doubted(""), photo_md5="0" * 32)  # as if other bytes had been read under this time
    with LocalSource(root) as source:
        assert settle_fresh(library, source, lambda: None) == 0
    assert Photo.objects.get().sidecars == doubted("") and path.exists()
