"""Uploads over tus 1.0: in pieces, resumed, with checksums, within bounds, and each person's own; imports over the API."""

import base64
import hashlib
import io
import sys
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from catalog.importing import cleanup, requests, upload_sweep, uploads
from catalog.importing.staging import staged_path
from catalog.models import Import, ImportItem, Library, Membership, Upload
from catalog.tasks import import_what_waits
from operations.models import Operation
from operations.running import execute
from tests.factories import make_photo

from .conftest import API, client_of

TUS = {"HTTP_TUS_RESUMABLE": "1.0.0"}


def metadata(**said: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in said.items())


def create(client: Any, length: Any, **said: str) -> Any:
    return client.generic(
        "POST", f"{API}uploads/", b"", HTTP_UPLOAD_LENGTH=str(length), HTTP_UPLOAD_METADATA=metadata(**said), **TUS
    )


def patch(client: Any, address: str, offset: int, data: bytes, **more: str) -> Any:
    kind = more.pop("content_type", "application/offset+octet-stream")
    return client.generic("PATCH", address, data, content_type=kind, HTTP_UPLOAD_OFFSET=str(offset), **TUS, **more)


def run_import(library: Library) -> None:
    requests.start_importing(library, library.owner)
    for operation in Operation.objects.filter(kind="import", state="pending"):
        assert execute(operation.pk).state == "completed"


def test_a_file_comes_in_pieces_and_is_imported(cast, alice, data):
    begun = create(alice, len(data), filename="a.jpg", library=str(cast.library.pk), mtime="1715947200123")
    assert begun.status_code == 201 and begun["Upload-Expires"]
    address = begun["Location"]
    assert patch(alice, address, 0, data[:100])["Upload-Offset"] == "100"
    asked = alice.head(address, **TUS)
    assert (asked["Upload-Offset"], asked["Upload-Length"], asked["Cache-Control"]) == (
        "100",
        str(len(data)),
        "no-store",
    )
    assert patch(alice, address, 0, data[:100]).status_code == 409  # a piece that arrived already
    assert patch(alice, address, 100, data[100:] + b"more").status_code == 413
    assert alice.head(address, **TUS)["Upload-Offset"] == "100"
    done = patch(alice, address, 100, data[100:])
    assert (done.status_code, done["Upload-Offset"]) == (204, str(len(data)))
    run_import(cast.library)
    lies = cast.root / "2024" / "05" / "a.jpg"
    assert lies.read_bytes() == data and lies.stat().st_mtime_ns == 1715947200123 * 10**6
    wanted = Import.objects.get()
    answer = alice.get(f"{API}imports/{wanted.pk}/").json()
    assert (answer["imported"], answer["bytes"], answer["kind"]) == (1, len(data), "upload")
    (item,) = alice.get(f"{API}imports/{wanted.pk}/items/", {"state": "imported"}).json()["results"]
    assert (item["path"], item["target"]) == ("a.jpg", "2024/05/a.jpg")
    assert not Upload.objects.exists()


def test_checksums(cast, alice, data):
    address = create(alice, len(data), filename="a.jpg", library=str(cast.library.pk))["Location"]
    right = "sha256 " + base64.b64encode(hashlib.sha256(data[:50]).digest()).decode()
    wrong = "sha1 " + base64.b64encode(hashlib.sha1(b"other").digest()).decode()
    refused = patch(alice, address, 0, data[:50], HTTP_UPLOAD_CHECKSUM=wrong)
    assert refused.status_code == 460 and refused.json()["status"] == 460
    assert alice.head(address, **TUS)["Upload-Offset"] == "0"
    assert patch(alice, address, 0, data[:50], HTTP_UPLOAD_CHECKSUM=right).status_code == 204
    for nonsense in ("crc32 AAAA", "sha1", "sha1 ä"):
        assert patch(alice, address, 50, b"x", HTTP_UPLOAD_CHECKSUM=nonsense).status_code == 400


@pytest.mark.promise("S2-048")
def test_what_the_library_has_is_told_before_a_byte_is_sent(cast, alice, data):
    photo = make_photo(cast.library, "there.jpg", data=data)
    refused = create(
        alice, len(data), filename="a.jpg", library=str(cast.library.pk), md5=hashlib.md5(data).hexdigest().upper()
    )
    assert refused.status_code == 422  # 409 and 423 are repeated by clients
    assert (refused.json()["photo_id"], refused.json()["state"]) == (str(photo.pk), "ready")
    assert refused.json()["type"].endswith(":duplicate")
    assert not Upload.objects.exists()


@pytest.mark.parametrize(
    ("status", "length", "said"),
    [
        (400, "x", {"filename": "a.jpg"}),
        (400, -1, {"filename": "a.jpg"}),
        (400, 10**16, {"filename": "a.jpg"}),
        (400, 5, {"filename": ""}),
        (400, 5, {"filename": "../../etc/passwd"}),
        (400, 5, {"filename": "a\0b.jpg"}),
        (400, 5, {"filename": "a" * 300 + ".jpg"}),
        (400, 5, {"filename": "a.jpg", "md5": "xyz"}),
        (400, 5, {"filename": "a.jpg", "layout": "other"}),
        (400, 5, {"filename": "a.jpg", "mtime": "now"}),
        (400, 5, {"filename": "a.jpg", "import": "none"}),
        (404, 5, {"filename": "a.jpg", "import": str(uuid4())}),
        (404, 5, {"filename": "a.jpg", "library": str(uuid4())}),
        (422, 5, {"filename": ".DS_Store"}),
    ],
)
def test_what_cannot_be_begun(cast, alice, status, length, said):
    said = {"library": str(cast.library.pk), **said}
    answer = create(alice, length, **said)
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json" and answer["Tus-Resumable"] == "1.0.0"
    assert not Upload.objects.exists()


def test_the_protocol_is_kept(cast, alice, anonymous, data):
    offers = anonymous.generic("OPTIONS", f"{API}uploads/")
    if offers.status_code == 204:
        assert offers["Tus-Version"] == "1.0.0" and "creation" in offers["Tus-Extension"]
    assert alice.generic("OPTIONS", f"{API}uploads/")["Tus-Checksum-Algorithm"] == "sha1,sha256,md5"
    assert alice.generic("POST", f"{API}uploads/", b"").status_code == 412
    address = create(alice, len(data), filename="a.jpg", library=str(cast.library.pk))["Location"]
    assert patch(alice, address, 0, b"x", content_type="image/jpeg").status_code == 415
    assert patch(alice, address, -1, b"x").status_code == 400
    assert alice.generic("DELETE", address, **TUS).status_code == 204
    assert alice.head(address, **TUS).status_code == 404
    assert not staged_path(cast.alice.pk, Upload(pk=address.split("/")[-2]).pk).exists()


def test_an_upload_is_its_senders_alone(cast, alice, bob, charlie, anonymous, data):
    address = create(alice, len(data), filename="a.jpg", library=str(cast.library.pk))["Location"]
    for client, status in ((bob, 404), (charlie, 404), (anonymous, 401)):
        assert client.head(address, **TUS).status_code == status
        assert patch(client, address, 0, data).status_code == status
        assert client.generic("DELETE", address, **TUS).status_code == status
    assert create(bob, 5, filename="a.jpg", library=str(cast.library.pk)).status_code == 404  # a viewer only
    Membership.objects.update(role="editor")
    assert create(bob, 5, filename="a.jpg", library=str(cast.library.pk)).status_code == 201
    assert create(charlie, 5, filename="a.jpg", **{"import": str(Import.objects.first().pk)}).status_code == 404
    assert alice.head(address, **TUS)["Upload-Offset"] == "0"


def test_two_connections_cannot_write_one_file(cast, alice, data):
    address = create(alice, len(data), filename="a.jpg", library=str(cast.library.pk))["Location"]
    upload = Upload.objects.get()
    with uploads._locked(upload):
        assert patch(alice, address, 0, data).status_code == 423
    assert patch(alice, address, 0, data).status_code == 204


def test_what_arrived_before_the_connection_broke_is_kept(cast, data):
    wanted = requests.open_batch(cast.library, cast.alice)
    upload = uploads.begin(cast.alice, wanted, "DCIM/a.jpg", len(data))
    sent = iter([data[:40], OSError("gone")])

    def read(_: int) -> bytes:
        piece = next(sent)
        if isinstance(piece, OSError):
            raise piece
        return piece

    assert uploads.append(upload, 0, read, len(data), None) == 40
    assert uploads.offset_of(upload) == 40
    upload.refresh_from_db()
    assert upload.completed_at is None and not ImportItem.objects.exists()


def sent_whole_but_not_told(cast, data, name="a.jpg"):
    """Send a file whose last piece arrives in a process that dies right before the row says so."""
    upload = uploads.begin(cast.alice, requests.open_batch(cast.library, cast.alice), name, len(data))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(uploads, "take_in", lambda upload: sys.exit(9))
        uploads.append(upload, 0, io.BytesIO(data).read, len(data), None)
    upload.refresh_from_db()
    assert upload.completed_at is None and staged_path(cast.alice.pk, upload.pk).stat().st_size == len(data)
    return upload


def test_asking_how_far_a_whole_file_has_come_takes_it_in(cast, alice, data):
    upload = sent_whole_but_not_told(cast, data)
    asked = alice.head(f"{API}uploads/{upload.pk}/", **TUS)
    assert (asked.status_code, asked["Upload-Offset"]) == (200, str(len(data)))
    assert Upload.objects.get().completed_at is not None
    run_import(cast.library)
    assert (cast.root / "2024" / "05" / "a.jpg").read_bytes() == data


def test_complete_is_not_said_while_another_connection_takes_the_last_piece(cast, alice, data):
    upload = sent_whole_but_not_told(cast, data)
    with uploads._locked(upload):
        answer = alice.head(f"{API}uploads/{upload.pk}/", **TUS)
    assert answer.status_code == 423
    assert alice.head(f"{API}uploads/{upload.pk}/", **TUS)["Upload-Offset"] == str(len(data))


@pytest.mark.parametrize("name", ["a.jpg", "photos.zip"])
def test_the_schedule_takes_whole_files_in(cast, data, name, tmp_path, settings):
    if name.endswith(".zip"):
        with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
            archive.writestr("a.jpg", data)
        data = (tmp_path / "photos.zip").read_bytes()
    sent_whole_but_not_told(cast, data, name)
    import_what_waits()
    assert Upload.objects.get().completed_at is not None
    run_import(cast.library)
    assert (cast.root / "2024" / "05" / "a.jpg").is_file()
    assert not Upload.objects.exists() and not list(Path(settings.UPLOADS_DIR).rglob("*-*-*-*/*"))


def test_a_piece_whose_checksum_was_not_compared_any_more_does_not_count(cast, alice, data):
    upload = uploads.begin(cast.alice, requests.open_batch(cast.library, cast.alice), "a.jpg", len(data))
    address = f"{API}uploads/{upload.pk}/"
    assert patch(alice, address, 0, data[:50]).status_code == 204
    spoilt = b"?" * (len(data) - 50)
    with pytest.MonkeyPatch.context() as patched, pytest.raises(SystemExit):
        write = uploads._write
        patched.setattr(uploads, "_write", lambda *piece: (write(*piece), sys.exit(9)))
        uploads.append(upload, 50, io.BytesIO(spoilt).read, len(spoilt), ("sha1", hashlib.sha1(data[50:]).digest()))
    assert staged_path(cast.alice.pk, upload.pk).stat().st_size == len(data)
    assert upload_sweep.take_in_whole() == 0
    assert alice.head(address, **TUS)["Upload-Offset"] == "50"
    assert staged_path(cast.alice.pk, upload.pk).stat().st_size == 50
    assert patch(alice, address, 50, data[50:]).status_code == 204
    assert Upload.objects.get().completed_at is not None


def test_rows_and_bytes_that_disagree_are_settled(cast, data):
    wanted = requests.open_batch(cast.library, cast.alice)
    hour = timezone.now() + timedelta(hours=1)
    bare = uploads.begin(cast.alice, wanted, "bare.jpg", 10)  # a row without bytes
    staged_path(cast.alice.pk, bare.pk).unlink()
    longer = uploads.begin(cast.alice, wanted, "longer.jpg", 10)
    staged_path(cast.alice.pk, longer.pk).write_bytes(b"x" * 11)
    short = uploads.begin(cast.alice, wanted, "short.jpg", len(data))  # said to be whole
    uploads.append(short, 0, io.BytesIO(data).read, len(data), None)
    staged_path(cast.alice.pk, short.pk).write_bytes(data[:-1])
    done = uploads.begin(cast.alice, wanted, "done.jpg", len(data))  # imported, and killed before it was removed
    uploads.append(done, 0, io.BytesIO(data).read, len(data), None)
    ImportItem.objects.filter(upload=done.pk).update(state="imported")
    stray = staged_path(cast.alice.pk, uuid4())  # bytes without a row
    stray.write_bytes(b"x")
    assert upload_sweep.tidy() == 1  # the others may be under way
    assert upload_sweep.tidy(hour) == 1 and cleanup.forget_old_uploads(hour) == 1
    assert set(Upload.objects.values_list("filename", flat=True)) == {"longer.jpg", "short.jpg"}
    assert uploads.offset_of(longer) == 0
    run_import(cast.library)
    item = ImportItem.objects.get(filename="short.jpg")
    assert (item.state, item.code) == ("rejected", "changed") and "send it again" in item.detail


def test_what_arrived_whole_is_kept_until_it_is_imported(cast, data):
    upload = uploads.begin(cast.alice, requests.open_batch(cast.library, cast.alice), "a.jpg", len(data))
    uploads.append(upload, 0, io.BytesIO(data).read, len(data), None)
    assert cleanup.forget_old_uploads(timezone.now() + timedelta(days=400)) == 0
    run_import(cast.library)
    assert (cast.root / "2024" / "05" / "a.jpg").read_bytes() == data


def test_what_has_just_arrived_cannot_be_given_up(cast, data):
    upload = uploads.begin(cast.alice, requests.open_batch(cast.library, cast.alice), "a.jpg", len(data))
    stale = Upload.objects.get()
    uploads.append(upload, 0, io.BytesIO(data).read, len(data), None)
    with pytest.raises(uploads.UploadRefused, match="has arrived"):
        uploads.drop(stale)
    assert staged_path(cast.alice.pk, upload.pk).is_file()


def test_bounds(cast, alice, settings, monkeypatch):
    settings.UPLOAD_QUOTA_BYTES = 1000
    assert create(alice, 700, filename="a.jpg", library=str(cast.library.pk)).status_code == 201
    assert create(alice, 700, filename="b.jpg", library=str(cast.library.pk)).status_code == 413
    settings.UPLOAD_QUOTA_BYTES = 10**15
    monkeypatch.setattr(uploads.shutil, "disk_usage", lambda _: uploads.shutil._ntuple_diskusage(10, 5, 5))
    refused = create(alice, 700, filename="b.jpg", library=str(cast.library.pk))
    assert (refused.status_code, refused.json()["type"]) == (507, "urn:photolala:problem:no_space")
    assert Upload.objects.count() == 1
    assert cleanup.forget_old_uploads(timezone.now() + timedelta(days=4)) == 1


def test_imports_of_folders(cast, alice, bob, charlie, settings, tmp_path, data):
    settings.PHOTO_ROOTS = [str(tmp_path)]
    body = {"library": str(cast.library.pk), "folder": str(tmp_path / "card"), "layout": "day"}
    assert bob.post(f"{API}imports/", body, format="json").status_code == 403
    assert charlie.post(f"{API}imports/", body, format="json").status_code == 404
    refused = alice.post(f"{API}imports/", {**body, "folder": "/etc"}, format="json")
    assert refused.status_code == 422 and "PHOTOLALA_ROOTS" in refused.json()["detail"]
    begun = alice.post(f"{API}imports/", body, format="json")
    assert begun.status_code == 201
    run_import(cast.library)
    address = f"{API}imports/{begun.json()['id']}/"
    assert alice.get(address).json()["imported"] == 1
    assert (cast.root / "2024" / "2024-05-17" / "a.jpg").is_file()
    for client in (bob, charlie):
        assert client.get(address).status_code == client.get(f"{address}items/").status_code == 404
        assert client.post(f"{address}stop/").status_code == client.post(f"{address}retry/").status_code == 404
        assert client.get(f"{API}imports/").json()["results"] == []
    assert len(alice.get(f"{API}imports/").json()["results"]) == 1
    assert alice.post(f"{address}stop/").json() == {"count": 0} == alice.post(f"{address}retry/").json()
    assert alice.get(f"{address}items/", {"state": "odd"}).status_code == 400


@pytest.mark.parametrize("folder", [True, False])
def test_imports_say_whether_people_become_keywords(cast, alice, settings, tmp_path, data, folder):
    settings.PHOTO_ROOTS = [str(tmp_path)]
    body = {"library": str(cast.library.pk), **({"folder": str(tmp_path / "card")} if folder else {})}
    for said, is_wished in (({}, False), ({"people_as_keywords": True}, True)):
        begun = alice.post(f"{API}imports/", {**body, **said}, format="json").json()
        assert begun["people_as_keywords"] is is_wished
        assert alice.get(f"{API}imports/{begun['id']}/").json()["people_as_keywords"] is is_wished
        assert Import.objects.get(pk=begun["id"]).people_as_keywords is is_wished
    assert alice.post(f"{API}imports/", {**body, "people_as_keywords": "odd"}, format="json").status_code == 400


def test_an_editor_who_began_it_sees_it_until_the_membership_ends(cast, alice, data):
    Membership.objects.update(role="editor")
    bob = client_of(cast.bob)
    begun = bob.post(f"{API}imports/", {"library": str(cast.library.pk)}, format="json").json()
    assert alice.get(f"{API}imports/{begun['id']}/").status_code == 200  # it is her library
    assert bob.get(f"{API}imports/{begun['id']}/").status_code == 200
    Membership.objects.all().delete()
    assert bob.get(f"{API}imports/{begun['id']}/").status_code == 404
    assert create(bob, 5, filename="a.jpg", **{"import": begun["id"]}).status_code == 404
