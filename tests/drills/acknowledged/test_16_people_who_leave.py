"""Point 16: what people were told is done survives them, or is named with numbers before it goes."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from knox.models import AuthToken
from rest_framework.test import APIClient

from accounts.models import User
from catalog.edits.ratings import set_ratings
from catalog.entries import pending_writes
from catalog.files import filing, trash, trash_empty, write
from catalog.history import restore
from catalog.importing import requests, uploads
from catalog.importing.importer import Importer
from catalog.libraries import forget, members
from catalog.models import FileWrite, Import, ImportItem, Library, Photo, Upload
from catalog.scanning import rebuild
from catalog.scanning import requests as scanning_requests
from catalog.scanning.scan import Scan
from operations.models import Operation
from operations.running import execute, start
from tests.factories import make_jpeg, make_library

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.wake_up.enqueue", lambda operation: 0)


@pytest.fixture
def library(alice: Any, bob: Any, tmp_path: Path) -> Library:
    library = make_library(alice, tmp_path / "photos", members={bob: "editor"})
    for number in range(4):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(make_jpeg(seed=number))
    run(scanning_requests.start_scan(library, alice))
    return library


def run(operation: Operation | None) -> Operation:
    assert operation is not None
    done = execute(operation.pk)
    assert done is not None
    return done


def send(library: Library, user: Any, count: int) -> list[bytes]:
    """Send files whole, as an app does; nobody imports them yet."""
    batch = requests.open_batch(library, user)
    sent = []
    for number in range(count):
        data = make_jpeg(seed=100 + number)
        upload = uploads.begin(user, batch, f"{number}.jpg", len(data))
        assert uploads.append(upload, 0, io.BytesIO(data).read, len(data), None) == len(data)
        sent.append(data)
    requests.start_importing(library, user)
    return sent


def contents(library: Library) -> set[str]:
    return {hashlib.md5(path.read_bytes()).hexdigest() for path in Path(library.root).rglob("*.jpg")}


def remove(library: Library, user: User) -> None:
    members.remove_member(library, user)


def demote(library: Library, user: User) -> None:
    members.set_member(library, user, "viewer")


def delete(library: Library, user: User) -> None:
    user.delete()


def delete_in_the_admin(library: Library, user: User) -> None:
    page = Client()
    page.force_login(User.objects.create_superuser("root"))
    address = reverse("admin:accounts_user_delete", args=[user.pk])
    assert "3 files that were sent" in page.get(address).content.decode()
    assert page.post(address, {"post": "yes"}).status_code == 302
    assert not User.objects.filter(username="bob").exists()


LEAVES = [remove, demote, delete, delete_in_the_admin]


@pytest.mark.parametrize("leave", LEAVES)
def test_files_that_an_editor_sent_are_imported_all_the_same(
    library: Library, alice: Any, bob: Any, leave: Callable[[Library, User], None]
) -> None:
    sent = send(library, bob, 3)
    leave(library, User.objects.get(pk=bob.pk))
    waiting = Operation.objects.filter(kind="import", state="pending")
    assert [operation.owner for operation in waiting] == [alice]
    done = run(waiting[0])
    assert (done.state, done.result["imported"]) == ("completed", 3)
    assert {hashlib.md5(data).hexdigest() for data in sent} <= contents(library)
    assert not ImportItem.objects.exclude(state="imported").exists()
    told = Operation.objects.get(kind="taken_over")
    assert (told.owner, told.result["files"]) == (alice, 3)


@pytest.mark.parametrize("leave", LEAVES[:3])
def test_an_editor_leaves_while_their_files_are_imported(
    library: Library, bob: Any, monkeypatch: pytest.MonkeyPatch, leave: Callable[[Library, User], None]
) -> None:
    sent = send(library, bob, 3)
    take, calls = Importer._take, 0

    def leave_first(self: Importer, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            leave(library, User.objects.get(pk=bob.pk))
        return take(self, *arguments)

    monkeypatch.setattr(Importer, "_take", leave_first)
    done = run(Operation.objects.get(kind="import", state="pending"))
    assert done.state == "completed", done.error_detail
    for operation in Operation.objects.filter(kind="import", state="pending"):
        run(operation)
    if waiting := requests.start_all_waiting():
        assert waiting == 1
        run(Operation.objects.get(kind="import", state="pending"))
    assert calls >= 1
    assert {hashlib.md5(data).hexdigest() for data in sent} <= contents(library)


@pytest.mark.parametrize("leave", LEAVES[:3])
def test_stars_of_an_editor_are_written(
    library: Library, bob: Any, leave: Callable[[Library, User], None], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        assert len(set_ratings(bob, list(Photo.objects.values_list("pk", flat=True)), 5)) == 4
    leave(library, User.objects.get(pk=bob.pk))
    done = run(Operation.objects.get(kind="write", state="pending"))
    assert (done.state, done.owner, done.result["written"]) == ("completed", library.owner, 4)


@pytest.mark.parametrize("leave", LEAVES[:3])
def test_photos_that_an_editor_moves_are_moved(
    library: Library, bob: Any, leave: Callable[[Library, User], None]
) -> None:
    operation = filing.start_filing(library, bob, list(Photo.objects.values_list("pk", flat=True)), "year")
    leave(library, User.objects.get(pk=bob.pk))
    assert run(operation).state == "completed"


def test_an_editor_deleted_in_the_middle_of_a_scan(
    library: Library, alice: Any, bob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10, 14):
        (Path(library.root) / f"{number}.jpg").write_bytes(make_jpeg(seed=number))
    digest = Scan.digest

    def delete_first(self: Scan, *arguments: Any) -> None:
        User.objects.get(pk=bob.pk).delete()
        digest(self, *arguments)

    monkeypatch.setattr(Scan, "digest", delete_first)
    done = run(scanning_requests.start_scan(library, bob))
    assert (done.state, done.owner, done.result["added"]) == ("completed", alice, 4)


def test_a_file_still_being_sent_does_not_hold_up_the_others(library: Library, bob: Any) -> None:
    sent = send(library, bob, 2)
    batch = Import.objects.get()
    half = uploads.begin(bob, batch, "half.jpg", 1000)
    remove(library, bob)
    half = Upload.objects.get(pk=half.pk)
    assert half.import_run.user == bob
    assert run(Operation.objects.get(kind="import", state="pending")).result["imported"] == 2
    assert {hashlib.md5(data).hexdigest() for data in sent} <= contents(library)


# -- libraries that are forgotten --------------------------------------------------------------------------------------


def test_the_page_names_what_waits_before_a_library_is_forgotten(library: Library, alice: Any, bob: Any) -> None:
    set_ratings(alice, list(Photo.objects.values_list("pk", flat=True)), 3)
    send(library, bob, 2)
    page = Client()
    page.force_login(alice)
    shown = page.get(reverse("catalog:library-settings", args=[library.pk])).content.decode()
    assert "4 ratings, dates, captions, keywords and places" in shown and "2 files that were sent" in shown
    address = reverse("catalog:library-forget", args=[library.pk])
    refused = page.post(address, {"name": library.name, "waiting": "0"})
    assert refused.status_code == 422 and "4 ratings, dates, captions, keywords and places" in refused.content.decode()
    assert Library.objects.exists()
    assert page.post(address, {"name": library.name, "waiting": "6"}).status_code == 302
    assert not Library.objects.exists()


def test_the_api_names_what_waits_before_a_library_is_forgotten(library: Library, alice: Any) -> None:
    set_ratings(alice, list(Photo.objects.values_list("pk", flat=True)), 3)
    app = APIClient()
    app.credentials(HTTP_AUTHORIZATION=f"Token {AuthToken.objects.create(alice)[1]}")
    address = f"/api/v1/libraries/{library.pk}/"
    refused = app.delete(address)
    assert refused.status_code == 409
    assert (refused.json()["waiting"], refused.json()["writes"]) == (4, 4)
    assert app.delete(f"{address}?waiting=4").status_code == 204
    assert not Library.objects.exists() and not FileWrite.objects.exists()


def test_the_admin_names_what_waits_before_an_owner_or_a_library_goes(library: Library, alice: Any) -> None:
    set_ratings(alice, list(Photo.objects.values_list("pk", flat=True)), 3)
    page = Client()
    page.force_login(User.objects.create_superuser("root"))
    for address in (
        reverse("admin:accounts_user_delete", args=[alice.pk]),
        reverse("admin:catalog_library_delete", args=[library.pk]),
    ):
        assert (
            "4 ratings, dates, captions, keywords and places that are not written" in page.get(address).content.decode()
        )


def test_a_member_taken_out_in_the_admin_leaves_nothing_behind(library: Library, alice: Any, bob: Any) -> None:
    send(library, bob, 1)
    page = Client()
    page.force_login(User.objects.create_superuser("root"))
    membership = library.memberships.get()
    form = {
        "name": library.name, "owner": str(alice.pk), "ratings": library.ratings, "time_zone": library.time_zone,
        "memberships-TOTAL_FORMS": "1", "memberships-INITIAL_FORMS": "1",
        "memberships-0-id": str(membership.pk), "memberships-0-library": str(library.pk),
        "memberships-0-user": str(bob.pk), "memberships-0-role": "editor", "memberships-0-DELETE": "on",
    }  # fmt: skip
    answer = page.post(reverse("admin:catalog_library_change", args=[library.pk]), form)
    assert answer.status_code == 302
    assert not library.memberships.exists()
    assert Import.objects.get().user == alice


def begin_import(library: Library) -> Operation:
    send(library, library.owner, 2)
    return Operation.objects.get(kind="import", state="pending")


def begin_write(library: Library) -> Operation:
    set_ratings(library.owner, list(Photo.objects.values_list("pk", flat=True)), 5)
    operation = pending_writes.start_writing(library, library.owner)
    assert operation is not None
    return operation


def begin_filing(library: Library) -> Operation:
    return filing.start_filing(library, library.owner, list(Photo.objects.values_list("pk", flat=True)), "year")


def begin_emptying(library: Library) -> Operation:
    photos = list(Photo.objects.values_list("pk", flat=True))
    assert trash.trash_photos(library.owner, photos).count == 4
    return trash_empty.start_emptying(library, library.owner, 4)


def begin_restore(library: Library) -> Operation:
    library.refresh_from_db()
    params = {"library": str(library.pk), "md5": library.snapshot_md5}
    return start("restore", library.owner, active_key=library.scan_key, params=params)


KINDS: list[tuple[Callable[[Library], Operation], tuple[Any, str]]] = [
    (lambda library: scanning_requests.start_scan(library, library.owner, verify_heads=True), (Scan, "finish")),
    (lambda library: rebuild.start_rebuild(library, library.owner, full=True), (rebuild.Rebuild, "_switch")),
    (begin_import, (Importer, "_take")),
    (begin_write, (write.Writing, "_write")),
    (begin_filing, (filing.Filing, "move")),
    (begin_emptying, (trash_empty, "forget_photos")),
    (begin_restore, (restore, "switch_to")),
]


@pytest.mark.parametrize(
    ("begin", "step"), KINDS, ids=["scan", "rebuild", "import", "write", "filing", "trash", "restore"]
)
@pytest.mark.parametrize("when", ["before its turn", "in the middle"])
def test_a_forgotten_library_ends_its_work_with_a_sentence(
    library: Library, monkeypatch: pytest.MonkeyPatch, begin: Any, step: tuple[Any, str], when: str
) -> None:
    operation = begin(library)
    owner, name = step
    original = getattr(owner, name)

    def forget_first(*arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(owner, name, original)
        forget.forget_library(Library.objects.get(pk=library.pk))
        return original(*arguments, **named)

    if when == "in the middle":
        monkeypatch.setattr(owner, name, forget_first)
        execute(operation.pk)
    else:
        forget.forget_library(Library.objects.get(pk=library.pk))
        assert execute(operation.pk) is None
    assert not Library.objects.exists()
    operation.refresh_from_db()
    assert operation.error_code == "library_gone", (operation.state, operation.error, operation.error_detail)
    assert "forgotten" in operation.error
    assert "DoesNotExist" not in operation.error_detail
    left = [path.name for path in Path(library.root).rglob(".photolala.*") if path.name.endswith(".tmp")]
    assert not left
