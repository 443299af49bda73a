"""Room is reserved under a lock: many requests at once get no more than one after another, and what is given up gives it back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from catalog.entries.quota import holding
from catalog.importing import cleanup, requests, uploads
from catalog.importing.planner import Planner
from catalog.importing.requests import open_batch, start_folder_import, start_importing
from catalog.importing.reservations import room_of, room_to_promise, room_to_send, without_room
from catalog.importing.uploads import UploadRefused, begin, drop
from catalog.models import Import, ImportItem, Library, Photo, Upload
from operations.running import execute
from tests.drills.doors.parallel import at_once, installation_in
from tests.drills.scanning import LIBRARY_ID, Installation
from tests.factories import make_library, make_photo
from tests.photos import make_jpeg

SETUP = f"""
from django.conf import settings
from accounts.models import User
from catalog.importing import uploads
from catalog.models import Import, ImportItem, Library, Upload
from catalog.importing.uploads import UploadRefused, batch_for, begin
import operations.wake_up
operations.wake_up.enqueue = lambda operation: 0
alice, library = User.objects.get(username="alice"), Library.objects.get(pk="{LIBRARY_ID}")
"""
BEGIN = """
def one(number):
    try:
        begin(alice, wanted, f"{number}.jpg", 160)
        return "begun"
    except UploadRefused as refused:
        return refused.code
"""


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation_in(tmp_path_factory.mktemp("quota")) as made:
        yield made


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.wake_up.enqueue", lambda operation: 0)


# -- at once, in two processes --------------------------------------------------------------------------------------------


@pytest.mark.repeated
def test_twelve_creations_at_once_get_no_more_than_the_server_takes_of_one_person(installation: Installation) -> None:
    assert at_once(installation, SETUP + "def one(_): return str(batch_for(alice, None, library.pk, 'month').pk)", 1)
    setup = SETUP + "settings.UPLOAD_QUOTA_BYTES = 1000; wanted = Import.objects.get()" + BEGIN
    answers = at_once(installation, setup, threads=6, processes=2)
    assert sorted(answers) == ["begun"] * 6 + ["quota"] * 6


@pytest.mark.repeated
def test_twelve_creations_at_once_get_no_more_than_the_owner_has(installation: Installation) -> None:
    owner = """
def one(_):
    User.objects.filter(pk=alice.pk).update(quota_bytes=1000)
    Upload.objects.all().delete()
    other = Library.objects.create(owner=alice, name="Other", root="/nowhere/other")
    return [str(batch_for(alice, None, one.pk, "day").pk) for one in (library, other)]
"""
    at_once(installation, SETUP + owner, threads=1)
    setup = SETUP + "wanted = list(Import.objects.filter(layout='day').order_by('library__name'))"
    setup += BEGIN.replace("wanted,", "wanted[number % 2],")
    answers = at_once(installation, setup, threads=6, processes=2)
    assert sorted(answers) == ["begun"] * 6 + ["quota"] * 6


@pytest.mark.repeated
def test_files_sent_at_once_without_a_batch_share_one(installation: Installation) -> None:
    setup = SETUP + "def one(_): return str(batch_for(alice, None, library.pk, 'year').pk)"
    answers = at_once(installation, setup, threads=6, processes=2)
    assert len(set(answers)) == 1 and len(answers) == 12, answers


@pytest.mark.repeated
def test_files_of_one_name_that_end_at_once_are_all_taken_in(installation: Installation) -> None:
    setup = SETUP + (
        """
import uuid
from django.utils import timezone
from catalog.importing.requests import take_in
wanted = Import.objects.get(pk=batch_for(alice, None, library.pk, "keep").pk)
def one(number):
    made = Upload.objects.create(user=alice, import_run=wanted, filename="same.jpg", size_bytes=1, mtime_ns=1,
                                 expires_at=timezone.now())
    take_in(made)
    return ImportItem.objects.get(upload=made.pk).filename
"""
    )
    answers = at_once(installation, setup, threads=6, processes=2)
    assert len(set(answers)) == 12, answers


@pytest.mark.slow
@pytest.mark.repeated
def test_two_importers_at_once_put_no_more_into_two_libraries_than_the_owner_has(tmp_path: Path) -> None:
    sizes = [
        make_jpeg(tmp_path / f"card{number % 2}" / f"{number}.jpg", seed=number).stat().st_size for number in range(12)
    ]
    cards = ", ".join(repr(str(tmp_path / f"card{number}")) for number in range(2))
    roots = [tmp_path / "photos" / name for name in ("a", "b")]
    with installation_in(tmp_path) as made:
        made.extra["PHOTOLALA_ROOTS"] = str(tmp_path)
        for root in roots:
            root.mkdir()
        setup = SETUP + (
            f"""
def one(_):
    from catalog.importing.requests import start_folder_import
    User.objects.filter(pk=alice.pk).update(quota_bytes={max(sizes) * 6})
    for number, card in enumerate([{cards}]):
        root = [{str(roots[0])!r}, {str(roots[1])!r}][number % 2]
        target = Library.objects.get_or_create(owner=alice, name=root[-1], root=root)[0]
        start_folder_import(target, alice, card, "month", enqueue=False)
"""
        )
        at_once(made, setup, threads=1)
        setup = SETUP + (
            """
from catalog.importing.requests import start_importing
from operations.running import execute
libraries = list(Library.objects.filter(name__in="ab"))
operations = [start_importing(one, alice).pk for one in libraries]
def one(number):
    done = execute(operations[number])
    return [done.error, list(ImportItem.objects.filter(import_run__library=libraries[number]).values_list("state", "size_bytes"))]
"""
        )
        ends = at_once(made, setup, threads=2)
    assert [error for error, _ in ends] == ["", ""], ends
    imported = [size for _, items in ends for state, size in items if state == "imported"]
    assert max(sizes) * 5 <= sum(imported) + max(sizes) and sum(imported) <= max(sizes) * 6
    assert len(list((tmp_path / "photos").rglob("*.jpg"))) == len(imported)


# -- what is given back ---------------------------------------------------------------------------------------------------


@pytest.fixture
def library(db: None, alice: Any, tmp_path: Path) -> Library:
    return make_library(alice, tmp_path / "photos")


@pytest.fixture
def wanted(library: Library, alice: Any) -> Import:
    return open_batch(library, alice)


@pytest.mark.parametrize("how", ["dropped", "expired", "no room on the disk", "no file can be made", "rejected"])
def test_what_is_given_up_gives_its_room_back(
    how: str, library: Library, wanted: Import, alice: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.UPLOAD_QUOTA_BYTES = 1000
    type(alice).objects.filter(pk=alice.pk).update(quota_bytes=900)
    if how == "no room on the disk":
        monkeypatch.setattr(uploads.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
        with pytest.raises(UploadRefused, match="no room for this file"):
            begin(alice, wanted, "a.jpg", 600)
    elif how == "no file can be made":
        monkeypatch.setattr(uploads.os, "open", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(OSError, match="full"):
            begin(alice, wanted, "a.jpg", 600)
    else:
        upload = begin(alice, wanted, "a.jpg", 600)
        assert (room_to_send(alice), room_to_promise(library), room_of(library)) == (400, 300, 900)
        if how == "dropped":
            drop(upload)
        elif how == "expired":
            assert cleanup.forget_old_uploads(timezone.now() + timedelta(days=4)) == 1
        else:
            ImportItem.objects.create(
                import_run=wanted, filename="a.jpg", size_bytes=600, mtime_ns=1, upload=upload.pk, state="rejected"
            )
            assert room_to_promise(library) == 900, "it will not be in the library"
            return
    assert (room_to_send(alice), room_to_promise(library), Upload.objects.count()) == (1000, 900, 0)


def test_what_another_import_puts_into_another_library_counts(
    library: Library, wanted: Import, alice: Any, tmp_path: Path
) -> None:
    """Two workers, two libraries, one owner: whoever says first what it is going to put there has the room."""
    other = make_library(alice, tmp_path / "other")
    make_photo(library, "known.jpg", size_bytes=100)
    type(alice).objects.filter(pk=alice.pk).update(quota_bytes=1000)
    assert room_of(library) == 1000 - sum(Photo.objects.values_list("size_bytes", flat=True))
    room = room_of(library) or 0
    first, second = (Import.objects.create(library=one, user=alice, kind="folder") for one in (library, other))
    items = [ImportItem(import_run=first, filename=name, size_bytes=room // 2, mtime_ns=1) for name in "abc"]
    with holding(alice):
        assert without_room(first, items) == items[2:]
        for item in items[:2]:
            item.state = ImportItem.State.PLACING
            item.save()
    late = ImportItem(import_run=second, filename="late", size_bytes=room // 2, mtime_ns=1)
    with holding(alice):
        assert without_room(second, [late]) == [late]
        assert without_room(first, items[:2]) == [], "an import's own are not counted twice"


def test_what_was_sent_has_its_room(library: Library, wanted: Import, alice: Any) -> None:
    type(alice).objects.filter(pk=alice.pk).update(quota_bytes=1000)
    upload = begin(alice, wanted, "a.jpg", 600)
    sent = ImportItem(import_run=wanted, filename="a.jpg", size_bytes=600, mtime_ns=1, upload=upload.pk)
    found = ImportItem(import_run=wanted, filename="b.jpg", size_bytes=600, mtime_ns=1)
    with holding(alice):
        assert without_room(wanted, [sent]) == []
        assert without_room(wanted, [found]) == [found]


def test_room_that_another_import_took_meanwhile_is_not_used(
    library: Library, alice: Any, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PHOTO_ROOTS = [str(tmp_path)]
    card = tmp_path / "card"
    card.mkdir()
    size = make_jpeg(card / "a.jpg", seed=1).stat().st_size
    type(alice).objects.filter(pk=alice.pk).update(quota_bytes=size)
    other = Import.objects.create(library=make_library(alice, tmp_path / "other"), user=alice, kind="folder")
    plan = Planner.plan

    def plan_late(self: Planner, *arguments: Any) -> None:
        plan(self, *arguments)
        ImportItem.objects.create(import_run=other, filename="b", size_bytes=1, mtime_ns=1, state="placing")

    monkeypatch.setattr(Planner, "plan", plan_late)
    wanted = start_folder_import(library, alice, str(card), "month", enqueue=False)
    execute(start_importing(library, alice).pk)
    item = wanted.items.get()
    assert (item.state, item.code, item.target) == ("rejected", "quota", "")
    assert not list(Path(library.root).rglob("a.jpg"))
    ImportItem.objects.filter(import_run=other).delete()
    monkeypatch.setattr(Planner, "plan", plan)
    assert requests.retry(wanted, alice) == 1
    execute(start_importing(library, alice).pk)
    item.refresh_from_db()
    assert item.state == "imported" and list(Path(library.root).rglob("a.jpg"))
