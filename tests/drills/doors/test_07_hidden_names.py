"""What no scan would see is not taken from anybody: refused by the scan's own rule wherever a person names a file."""

import base64
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from catalog.importing.assets import SOURCE
from catalog.importing.requests import start_folder_import, start_importing, take_in
from catalog.importing.staging import staged_path
from catalog.libraries.adding import add_library
from catalog.models import Import, ImportItem, Library, Photo, Upload
from catalog.sources.local import LocalSource
from catalog.sources.names import SYSTEM_FILES, SYSTEM_FOLDERS, skipped_part
from catalog.sources.s3_keys import FolderListing
from operations.models import Operation
from operations.running import execute
from tests.factories import make_jpeg, make_user

pytestmark = pytest.mark.django_db
API = "/api/v1/"
HIDDEN = (
    ".hid/x.jpg", "@eaDir/x.jpg", "@EADIR/x.jpg", "a/@eaDir/b/x.jpg", ".photolala.trash/x.jpg", "#recycle/x.jpg", "Thumbs.db",
    "a/.x.jpg", "__MACOSX/x.jpg", "System Volume Information/x.jpg", "desktop.ini/x.jpg", "a/node_modules/x.jpg",
)  # fmt: skip
SEEN = ("x.jpg", "a/b/x.jpg", "eaDir/x.jpg", "a.hid/x.jpg", "recycle/x.jpg")


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def library(alice: User, tmp_path: Path, settings: Any) -> Library:
    settings.PHOTO_ROOTS = [str(tmp_path)]
    (tmp_path / "library").mkdir()
    return add_library(alice, str(tmp_path / "library"))


def api(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def create(user: User, library: Library, path: str, layout: str) -> Any:
    said = {"filename": path, "library": str(library.pk), "layout": layout}
    metadata = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in said.items())
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "10", "Upload-Metadata": metadata}
    return api(user).post(f"{API}uploads/", headers=headers)


def imported(library: Library) -> None:
    operation = Operation.objects.get(kind="import", state="pending")
    finished = execute(operation.pk)
    assert finished is not None and finished.state == "completed", finished and finished.error


@pytest.mark.parametrize("layout", ["month", "keep"])
@pytest.mark.parametrize("path", HIDDEN)
def test_an_upload_that_no_scan_would_see_is_refused_when_it_begins(
    alice: User, library: Library, path: str, layout: str
) -> None:
    answer = create(alice, library, path, layout)
    assert answer.status_code == 422 and answer.json()["type"].endswith("hidden")
    assert skipped_part(path) in answer.json()["detail"]
    assert not Upload.objects.exists()


@pytest.mark.parametrize("path", SEEN)
def test_other_names_are_taken(alice: User, library: Library, path: str) -> None:
    assert create(alice, library, path, "keep").status_code == 201


def test_what_is_skipped_is_what_the_scans_skip(tmp_path: Path) -> None:
    names = [
        *SYSTEM_FILES,
        *SYSTEM_FOLDERS,
        *(name.upper() for name in SYSTEM_FOLDERS),
        ".hid",
        "plain",
        "a.b",
        "Trash",
    ]
    names += [name.swapcase() for name in SYSTEM_FILES]
    for name in names:
        folder, beside = tmp_path / "folders" / name, tmp_path / "files"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "x.jpg").write_text("x")
        beside.mkdir(exist_ok=True)
        (beside / name).write_text("x")
    with LocalSource(tmp_path) as source:
        seen = {directory.path_of(name) for directory in source.walk() for name, _, _ in directory.files}
    in_bucket = FolderListing("")
    for name in names:
        in_bucket.add_object(name, 1, 1)
    listed = {name for name, _, _ in in_bucket.finish().files}
    for name in names:
        assert (f"folders/{name}/x.jpg" in seen) == (not skipped_part(f"{name}/x.jpg")), name
        assert (f"files/{name}" in seen) == (not skipped_part(name)), name
        assert (FolderListing("").add_folder(name) is None) == bool(skipped_part(f"{name}/x.jpg")), name
        assert (name in listed) == (not skipped_part(name)), name


def test_photos_of_a_zip_that_no_scan_would_see_are_told(alice: User, library: Library, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number, name in enumerate(
            ("@eaDir/thumb.jpg", ".hid/secret.jpg", "seen/ok.jpg", "__MACOSX/seen/._ok.jpg", ".DS_Store", "._ok.jpg")
        ):
            archive.writestr(name, make_jpeg(seed=number))
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "all.zip").write_bytes(packed.getvalue())
    start_folder_import(library, alice, str(tmp_path / "card"), "keep")
    imported(library)
    items = {item.path: (item.state, item.reason) for item in ImportItem.objects.filter(import_run__kind="archive")}
    assert set(items) == {"@eaDir/thumb.jpg", ".hid/secret.jpg", "seen/ok.jpg"}
    assert items["seen/ok.jpg"][0] == "imported"
    for path in ("@eaDir/thumb.jpg", ".hid/secret.jpg"):
        assert items[path][0] == "rejected" and "no library shows it" in items[path][1]
    execute(Operation.objects.get(kind="scan", state="pending").pk)
    assert [photo.path for photo in Photo.objects.exclude(state="missing")] == ["seen/ok.jpg"]


def test_what_an_earlier_version_took_in_is_not_put_where_no_scan_sees_it(alice: User, library: Library) -> None:
    wanted = Import.objects.create(
        library=library, user=alice, kind="upload", layout="keep", listed_at="2026-01-01T00:00Z"
    )
    data = make_jpeg(seed=5)
    upload = Upload.objects.create(
        user=alice, import_run=wanted, directory="@eaDir", filename="x.jpg", size_bytes=len(data), mtime_ns=10**18,
        expires_at="2036-01-01T00:00Z",
    )  # fmt: skip
    staged_path(alice.pk, upload.pk).parent.mkdir(parents=True)
    staged_path(alice.pk, upload.pk).write_bytes(data)
    take_in(upload)
    Operation.objects.all().delete()
    start_importing(library, alice)
    imported(library)
    item = ImportItem.objects.get()
    assert (item.state, item.code) == ("rejected", "hidden") and "@eaDir" in item.reason
    assert staged_path(alice.pk, upload.pk).exists()  # what was sent is kept for a while
    assert not (Path(library.root) / "@eaDir").exists()


def test_a_phones_asset_of_such_a_name_is_refused_by_name(alice: User, tmp_path: Path) -> None:
    phone = Library.objects.create(owner=alice, name="Phone", source=SOURCE, root="device://x")
    asset = {"asset_id": "7", "media_type": "image/jpeg"}
    for filename, status in ((".trashed-1.jpg", 422), ("Thumbs.db", 422), ("IMG_1.jpg", 200)):
        told = [{**asset, "asset_id": "6", "filename": "ok.jpg"}, {**asset, "filename": filename}]
        answer = api(alice).post(f"{API}libraries/{phone.pk}/assets/", {"assets": told}, format="json")
        assert answer.status_code == status
        if status == 422:
            assert filename in answer.json()["detail"] and not Photo.objects.exists()
