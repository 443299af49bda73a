"""What apps are told of uploads that are over, of what is there already, and of what became of each file."""

import hashlib
import zipfile
from datetime import timedelta
from typing import Any
from urllib.parse import unquote
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.files import trash
from catalog.importing import cleanup, finished_uploads, requests, upload_sweep, uploads
from catalog.importing.staging import staged_path
from catalog.models import Alias, FinishedUpload, Import, ImportItem, Membership, Photo, TrashItem, Upload
from tests.factories import make_library, make_photo
from tests.photos import make_jpeg

from .conftest import API, client_of
from .test_uploads import TUS, create, patch, run_import


def send(client: Any, library: Any, data: bytes, filename: str = "DCIM/a.jpg", **said: str) -> str:
    begun = create(client, len(data), filename=filename, library=str(library.pk), **said)
    assert begun.status_code == 201, begun.content
    assert patch(client, begun["Location"], 0, data).status_code == 204
    return begun["Location"]


def test_a_finished_upload_says_its_full_length_until_it_expires(cast, alice, bob, data):
    address = send(alice, cast.library, data)
    before = alice.head(address, **TUS)
    assert (before["Photolala-State"], "Photolala-Photo" in before) == ("waiting", False)
    run_import(cast.library)
    assert not Upload.objects.exists() and not staged_path(cast.alice.pk, UUID(address.split("/")[-2])).exists()
    photo = Photo.objects.get()
    asked = alice.head(address, **TUS)
    assert asked.status_code == 200
    assert asked["Upload-Offset"] == asked["Upload-Length"] == str(len(data))
    assert (asked["Photolala-State"], asked["Photolala-Photo"]) == ("imported", str(photo.pk))
    assert asked["Photolala-Import"] == str(Import.objects.get().pk)
    assert unquote(asked["Photolala-Path"]) == "DCIM/a.jpg" and asked["Upload-Expires"]
    for again in (patch(alice, address, 0, data), patch(alice, address, len(data), b"x")):
        assert (again.status_code, again.json()["photo_id"]) == (409, str(photo.pk))
    assert patch(alice, address, len(data), b"").status_code == 204
    dropped = alice.generic("DELETE", address, **TUS)
    assert (dropped.status_code, dropped.json()["type"]) == (409, "urn:photolala:problem:complete")
    assert bob.head(address, **TUS).status_code == 404
    assert Photo.objects.get().state == "ready" and not Upload.objects.exists()
    assert cleanup.forget_old_uploads(timezone.now() + timedelta(days=2)) == 0
    assert alice.head(address, **TUS).status_code == 200
    assert cleanup.forget_old_uploads(timezone.now() + timedelta(days=8)) == 0
    assert alice.head(address, **TUS).status_code == 404


def test_what_was_there_already_names_the_photo_that_is_there(cast, alice, data):
    photo = make_photo(cast.library, "there.jpg", data=data)
    address = send(alice, cast.library, data)  # without an MD5 nobody can tell before
    run_import(cast.library)
    asked = alice.head(address, **TUS)
    assert (asked.status_code, asked["Photolala-State"], asked["Photolala-Photo"]) == (200, "duplicate", str(photo.pk))


def test_a_killed_importer_leaves_uploads_remembered_or_there(cast, alice, data):
    address = send(alice, cast.library, data)
    ImportItem.objects.update(state="imported")  # killed after the rows, before the upload's went
    assert upload_sweep.tidy(timezone.now() + timedelta(hours=1)) == 1
    assert not Upload.objects.exists()
    assert alice.head(address, **TUS)["Upload-Offset"] == str(len(data))


def test_an_upload_whose_bytes_are_lost_is_not_called_whole(cast, alice, data):
    address = send(alice, cast.library, data)
    staged_path(cast.alice.pk, Upload.objects.get().pk).unlink()
    ImportItem.objects.update(state="rejected", code="changed")
    upload_sweep.tidy(timezone.now() + timedelta(hours=1))
    assert alice.head(address, **TUS).status_code == 404


def test_the_last_piece_again_does_not_ask_for_everything_again(cast, alice, data, monkeypatch):
    """The importer takes the file while a piece, sent twice, is on its way."""
    begun = create(alice, len(data), filename="a.jpg", library=str(cast.library.pk))
    address = begun["Location"]
    find_any = uploads.find_any

    def then_imported(*whose: Any) -> Any:
        found = find_any(*whose)
        monkeypatch.setattr(uploads, "find_any", find_any)
        assert patch(alice, address, 0, data).status_code == 204
        run_import(cast.library)
        return found

    monkeypatch.setattr(uploads, "find_any", then_imported)
    answer = patch(alice, address, 0, data)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:photolala:problem:complete")
    assert alice.head(address, **TUS)["Upload-Offset"] == str(len(data))


def test_archives_are_remembered_too(cast, alice, data, tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("a.jpg", data)
    whole = (tmp_path / "photos.zip").read_bytes()
    address = send(alice, cast.library, whole, "photos.zip")
    assert alice.head(address, **TUS)["Photolala-State"] == "waiting"
    run_import(cast.library)
    asked = alice.head(address, **TUS)
    assert (asked["Upload-Offset"], asked["Photolala-State"]) == (str(len(whole)), "imported")
    assert asked["Photolala-Import"] == str(Import.objects.get(kind="archive").pk)
    assert Import.objects.get(kind="archive").finished_at


def test_creation_names_import_library_and_path(cast, alice):
    begun = create(alice, 5, filename="DCIM/ä b.jpg", library=str(cast.library.pk))
    body, upload = begun.json(), Upload.objects.get()
    assert (body["id"], body["import"]) == (str(upload.pk), str(upload.import_run_id))
    assert (body["library"], body["path"], body["state"]) == (str(cast.library.pk), "DCIM/ä b.jpg", "receiving")
    assert (begun["Photolala-Import"], unquote(begun["Photolala-Path"])) == (body["import"], body["path"])
    assert patch(alice, begun["Location"], 0, b"12")["Photolala-Upload"] == body["id"]


# -- told before a byte is sent ----------------------------------------------------------------------------------------


def test_what_lies_in_the_trash_is_told_at_creation(cast, alice, data):
    photo = make_photo(cast.library, "gone.jpg", data=data)
    trash.trash_photos(cast.alice, [photo.pk])
    refused = create(
        alice, len(data), filename="a.jpg", library=str(cast.library.pk), md5=hashlib.md5(data).hexdigest()
    )
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:photolala:problem:duplicate")
    assert (refused.json()["photo_id"], refused.json()["state"]) == (str(photo.pk), "in_trash")
    assert not Upload.objects.exists()


def md5_of(number: int) -> str:
    return hashlib.md5(f"{number}".encode()).hexdigest()


def ask(client: Any, library: Any, md5s: list[Any]) -> Any:
    return client.post(f"{API}libraries/{library.pk}/missing/", {"md5s": md5s}, format="json")


@pytest.mark.django_db
def test_many_contents_are_asked_for_at_once(cast, alice, bob, charlie, anonymous, tmp_path):
    there, trashed = (make_photo(cast.library, f"{n}.jpg", data=f"{n}".encode()) for n in (1, 2))
    make_photo(cast.library, "3.jpg", data=b"3", state="missing")
    rated = make_photo(cast.library, "5.jpg", data=b"5")
    for old, new in ((4, 40), (40, 5), (70, 71), (71, 70)):  # 4 became 40 became 5; a ring ends
        Alias.objects.create(library=cast.library, old_md5=md5_of(old), new_md5=md5_of(new), noted_at=timezone.now())
    make_photo(make_library(cast.charlie, tmp_path / "photos" / "other"), "6.jpg", data=b"6")
    trash.trash_photos(cast.alice, [trashed.pk])
    asked = [md5_of(1).upper(), md5_of(1), *map(md5_of, (2, 3, 4, 6, 70))]
    answer = ask(alice, cast.library, asked).json()
    assert answer["missing"] == [md5_of(3), md5_of(6), md5_of(70)]  # of others looks as of nobody
    assert answer["known"] == [
        {"md5": md5_of(1), "photo_id": str(there.pk), "state": "ready"},
        {"md5": md5_of(2), "photo_id": str(trashed.pk), "state": "in_trash"},
        {"md5": md5_of(4), "photo_id": str(rated.pk), "state": "ready"},
    ]
    assert ask(bob, cast.library, asked).status_code == 403
    assert ask(charlie, cast.library, asked).status_code == 404
    assert ask(anonymous, cast.library, asked).status_code == 401
    Membership.objects.update(role="editor")
    assert ask(bob, cast.library, asked).json() == answer


def test_what_is_being_deleted_for_good_is_missing(cast, alice):
    photo = make_photo(cast.library, "1.jpg", data=b"1")
    trash.trash_photos(cast.alice, [photo.pk])
    TrashItem.objects.update(state="deleting")
    assert ask(alice, cast.library, [md5_of(1)]).json()["missing"] == [md5_of(1)]


@pytest.mark.parametrize(
    "md5s", [[], ["x"], ["a" * 31], ["a" * 33], [None], "a" * 32, [md5_of(n) for n in range(1001)]]
)
def test_questions_that_are_refused(cast, alice, md5s):
    assert ask(alice, cast.library, md5s).status_code == 400


def test_a_thousand_contents_are_one_query(cast, alice):
    for number in range(5):
        make_photo(cast.library, f"{number}.jpg", data=f"{number}".encode(), on_disk=False)
    counts = []
    for many in (1, 1000):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            answer = ask(alice, cast.library, [md5_of(number) for number in range(many)]).json()
        counts.append(len(queries))
    assert counts[0] == counts[1] and len(answer["missing"]) == 995


# -- items and imports -------------------------------------------------------------------------------------------------


def test_items_name_upload_import_photo_and_the_path_as_sent(cast, alice, data, tmp_path):
    other = make_jpeg(tmp_path / "b.jpg", seed=2, taken="2024:05:18 12:00:00").read_bytes()
    wanted = requests.open_batch(cast.library, cast.alice)
    one = send(alice, cast.library, data, "./DCIM\\a.jpg", **{"import": str(wanted.pk)})
    two = send(alice, cast.library, other, "DCIM/a.jpg", **{"import": str(wanted.pk)})
    three = send(alice, cast.library, data, "E/again.jpg", **{"import": str(wanted.pk)})
    run_import(cast.library)
    items = {item["upload"]: item for item in alice.get(f"{API}imports/{wanted.pk}/items/").json()["results"]}
    assert {item["import"] for item in items.values()} == {str(wanted.pk)}
    first, second, third = (items[address.split("/")[-2]] for address in (one, two, three))
    assert (first["sent_path"], second["sent_path"]) == ("./DCIM\\a.jpg", "DCIM/a.jpg")
    assert first["path"] == "DCIM/a.jpg" != second["path"]
    photos = {photo.photo_md5: str(photo.pk) for photo in Photo.objects.all()}
    assert first["photo"] == photos[hashlib.md5(data).hexdigest()] == third["photo"]
    assert second["photo"] == photos[hashlib.md5(other).hexdigest()]
    assert (third["state"], third["code"]) == ("duplicate", "same_import")
    assert all(item["finished_at"] for item in items.values())
    assert alice.get(f"{API}imports/{wanted.pk}/").json()["finished_at"]


def finished_at(alice: Any) -> Any:
    (one,) = alice.get(f"{API}imports/").json()["results"]
    return one["finished_at"]


def test_an_import_is_finished_whatever_its_last_file_became(cast, alice, data):
    send(alice, cast.library, data)
    last = create(alice, 5, filename="b.jpg", library=str(cast.library.pk))["Location"]
    run_import(cast.library)
    assert finished_at(alice) is None  # one is on its way
    assert alice.generic("DELETE", last, **TUS).status_code == 204
    assert finished_at(alice)
    send(alice, cast.library, b"text", "notes.txt")
    item = ImportItem.objects.get(filename="notes.txt")
    assert item.state == "rejected" and item.finished_at and finished_at(alice)


def test_an_import_that_waited_for_an_upload_that_expired_is_finished(cast, alice, data):
    send(alice, cast.library, data)
    create(alice, 5, filename="b.jpg", library=str(cast.library.pk))
    run_import(cast.library)
    assert finished_at(alice) is None
    cleanup.forget_old_uploads(timezone.now() + timedelta(days=4))
    assert finished_at(alice)


def test_stopping_and_retrying_say_when(cast, alice, data):
    send(alice, cast.library, data)
    wanted = Import.objects.get()
    assert requests.stop(wanted) == 1
    assert ImportItem.objects.get().finished_at and finished_at(alice)
    assert requests.retry(wanted, cast.alice) == 1
    assert ImportItem.objects.get().finished_at is None and finished_at(alice) is None
    run_import(cast.library)
    assert ImportItem.objects.get().finished_at and finished_at(alice)


def test_what_is_remembered_goes_with_its_person(cast, data):
    client = client_of(cast.alice)
    send(client, cast.library, data)
    run_import(cast.library)
    assert FinishedUpload.objects.count() == 1
    finished_uploads.remember([uuid4()])  # of nothing nothing is remembered
    cast.alice.delete()
    assert not FinishedUpload.objects.exists()


def test_who_lost_the_library_learns_nothing_of_its_photos(cast, data):
    Membership.objects.update(role="editor")
    bob = client_of(cast.bob)
    address = send(bob, cast.library, data)
    run_import(cast.library)
    assert bob.head(address, **TUS)["Photolala-Photo"]
    Membership.objects.all().delete()
    assert bob.head(address, **TUS).status_code == 404
