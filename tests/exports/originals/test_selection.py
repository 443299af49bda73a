"""Selected photos go to a destination, from all libraries that one sees, once each; what one does not see is not there."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from catalog.albums import albums, items, members
from catalog.models import Photo
from exports.destinations.folders import add_destination
from exports.models import ExportDestination, SelectedPhoto
from exports.originals.checks import start_verification
from exports.originals.requests import start_folder_export
from exports.originals.selection import start_selection_export
from operations import control
from operations.models import Operation, State
from operations.running import AlreadyActive, execute
from photolala.web.refusals import NotThere
from tests.exports.originals.test_folder_export import counts, files_in, records_of
from tests.factories import make_library, make_photo

API = "/api/v1/photos/export/"
MAY = datetime(2024, 5, 17, 12, tzinfo=UTC)


@pytest.fixture
def destination(cast: Any) -> ExportDestination:
    return add_destination(cast.alice, "Best of", "best", "{year}/{month}/{library}/")


def export(cast: Any, destination: ExportDestination, *photos: Photo) -> Operation:
    operation = start_selection_export(cast.alice, destination, [photo.pk for photo in photos])
    ended = execute(operation.pk)
    assert ended is not None
    return ended


def test_photos_of_several_libraries_go_there_once_and_are_recorded(
    cast: Any, destination: Any, tmp_path: Path, browser: Any
) -> None:
    other = make_library(cast.bob, tmp_path / "allowed/his", name="His", members={cast.alice: "viewer"})
    chosen = make_photo(cast.library, "a/IMG_1.JPG", taken=MAY), make_photo(other, "b.jpg", taken=MAY)
    left = make_photo(cast.library, "a/IMG_2.JPG", taken=MAY)
    ended = export(cast, destination, *chosen)
    assert counts(ended) == {"copied": 2, "skipped": 0, "adopted": 0, "failed": 0}
    assert (ended.subject, ended.done, ended.total) == ("2 photos to Best of", 2, 2)
    assert files_in(destination) == {
        "2024/05/Holidays/IMG_1.JPG": (cast.root / "a/IMG_1.JPG").read_bytes(),
        "2024/05/His/b.jpg": (Path(other.root) / "b.jpg").read_bytes(),
    }
    assert set(records_of(destination)) == {str(photo.pk) for photo in chosen}
    assert counts(export(cast, destination, chosen[1], left)) == {"copied": 1, "skipped": 1, "adopted": 0, "failed": 0}
    assert (
        not destination.libraries.exists() and destination.selected_from.count() == 2
    )  # a schedule exports no library for it
    page = browser(cast.alice).get(f"/destinations/{destination.pk}/").content.decode()
    assert "2024-05: 3 exported" in page and "selected photos" in page
    assert "100%" not in page and "not exported<" not in page


def test_what_is_beside_a_photo_goes_along_and_a_bad_copy_is_made_again(cast: Any, destination: Any) -> None:
    ExportDestination.objects.filter(pk=destination.pk).update(with_companions=True)
    photo = make_photo(cast.library, "IMG_1.JPG", taken=MAY)
    (cast.root / "IMG_1.xmp").write_bytes(b"<x/>")
    assert export(cast, destination, photo).result["companions"] == 1
    folder = destination.path / "2024/05/Holidays"
    assert sorted(path.name for path in folder.iterdir()) == ["IMG_1.JPG", "IMG_1.xmp"]
    copy = folder / "IMG_1.JPG"
    copy.chmod(0o644)
    copy.write_bytes(b"x" * copy.stat().st_size)
    repaired = execute(start_verification(cast.alice, destination, repair=True).pk)
    assert repaired is not None and repaired.result["repaired"] == 1
    assert any(path.read_bytes() == (cast.root / "IMG_1.JPG").read_bytes() for path in folder.iterdir())


def test_what_cannot_be_copied_is_told_and_the_rest_goes(cast: Any, destination: Any, tmp_path: Path) -> None:
    other = make_library(cast.alice, tmp_path / "allowed/attic", name="Attic")
    away, here = make_photo(other, "a.jpg", taken=MAY), make_photo(cast.library, "b.jpg", taken=MAY)
    gone, phone, lost = (make_photo(cast.library, f"{name}.jpg", taken=MAY) for name in ("c", "d", "e"))
    operation = start_selection_export(cast.alice, destination, [one.pk for one in (away, here, gone, phone, lost)])
    Photo.objects.filter(pk=phone.pk).update(state="remote", asset_id="1")
    Photo.objects.filter(pk=gone.pk).update(state="missing", is_shown=False)
    Photo.objects.filter(pk=lost.pk).delete()
    shutil.move(tmp_path / "allowed/attic", tmp_path / "unplugged")
    ended = execute(operation.pk)
    assert (
        ended is not None and ended.state == State.FAILED and "What was exported is kept and recorded." in ended.error
    )
    assert list(files_in(destination)) == ["2024/05/Holidays/b.jpg"]
    shutil.move(tmp_path / "unplugged", tmp_path / "allowed/attic")
    control.resume(ended)
    again = execute(operation.pk)
    assert again is not None and counts(again) == {"copied": 1, "skipped": 1, "adopted": 0, "failed": 3}
    assert {one["path"] for one in again.result["problems"]} == {"c.jpg", "d.jpg", "1 selected photo"}


def test_only_photos_of_libraries_that_one_sees(cast: Any, destination: Any, tmp_path: Path) -> None:
    mine, his = make_photo(cast.library), make_photo(make_library(cast.charlie, tmp_path / "allowed/his"))
    album = albums.create(cast.charlie, uuid4(), {"title": "Shared", "allowsOriginals": True})
    items.add(cast.charlie, album.pk, [items.Target("photo", his.pk)])
    members.set_member(cast.charlie, album.pk, cast.alice, "editor")
    for wanted, within in (([mine.pk, his.pk], None), ([], None), ([], album.pk), ([], uuid4())):
        with pytest.raises(NotThere):
            start_selection_export(cast.alice, destination, wanted, within)
    items.add(cast.alice, album.pk, [items.Target("photo", mine.pk)])
    operation = start_selection_export(cast.alice, destination, [], album.pk)
    assert list(SelectedPhoto.objects.filter(operation=operation).values_list("photo", flat=True)) == [mine.pk]
    cast.library.delete()
    assert Operation.objects.count() == 1


def test_the_api_starts_it_once_and_refuses_what_is_foreign(cast: Any, destination: Any, api: Any) -> None:
    photo = make_photo(cast.library, taken=MAY)
    body = {"photo_ids": [str(photo.pk)], "destination": str(destination.pk)}
    alice = api(cast.alice)
    assert api(cast.bob).post(API, body, format="json").status_code == 404  # who sees the photo, not the destination
    assert alice.post(API, {**body, "photo_ids": [str(uuid4())]}, format="json").status_code == 404
    assert alice.post(API, {"destination": str(destination.pk)}, format="json").status_code == 400
    assert alice.post(API, {**body, "photo_ids": [str(photo.pk)] * 10_001}, format="json").status_code == 400
    assert alice.post(API, {"photo_ids": body["photo_ids"]}, format="json").status_code == 400
    started = alice.post(API, body, format="json")
    assert started.status_code == 202 and started.json()["kind"] == "export_selection"
    assert started.json()["params"] == {"destination": str(destination.pk), "photo_count": 1}
    assert alice.post(API, body, format="json").status_code == 409
    with pytest.raises(AlreadyActive):
        start_folder_export(cast.alice, cast.library, destination)


def test_it_is_seen_on_the_pages_of_exports_and_of_the_destination(cast: Any, destination: Any, browser: Any) -> None:
    operation = start_selection_export(cast.alice, destination, [make_photo(cast.library, taken=MAY).pk])
    client = browser(cast.alice)
    assert "1 photo to Best of" in client.get("/exports/").content.decode()
    execute(operation.pk)
    page = client.get(f"/destinations/{destination.pk}/").content.decode()
    assert "1 photo to Best of" in page and f"{operation.pk}.csv" in page
    report = client.get(f"/destinations/{destination.pk}/reports/{operation.pk}.csv")
    assert b"exported" in b"".join(report.streaming_content)


def test_the_video_of_a_live_photo_goes_there_with_its_picture(cast: Any, destination: Any) -> None:
    picture = make_photo(cast.library, "a/IMG_7.HEIC", media_type="image/heic", taken=MAY)
    kind = {"media_type": "video/quicktime", "duration_ms": 2900}
    make_photo(cast.library, "a/IMG_7.MOV", data=b"video", taken=MAY, **kind)
    make_photo(cast.library, "a/IMG_8.MOV", data=b"another", taken=MAY, **kind)
    ended = export(cast, destination, picture)
    assert ended.subject == "1 photo to Best of"
    assert set(files_in(destination)) == {"2024/05/Holidays/IMG_7.HEIC", "2024/05/Holidays/IMG_7.MOV"}
