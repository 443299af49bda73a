"""What photos are called in a destination: by album, camera and the name of their file; and the preview of it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from catalog.models import Album, AlbumItem, Photo
from catalog.models.album import album_item_id
from exports.destinations.folders import add_destination
from exports.models import ExportDestination
from exports.originals import plan
from exports.originals.requests import start_folder_export
from operations.running import execute
from tests.factories import make_photo

TEMPLATE = "{album}/{camera}/{month:01}_{original_name}"
URL = "/api/v1/export-destinations/preview/"


@pytest.fixture
def photos(cast: Any) -> list[Photo]:
    """Make four photos: two of one name in albums (also one of charlie's), one of an odd name, one without a camera."""
    cameras = [("NIKON", "NIKON D5"), ("Canon", "EOS R"), ("Canon", "EOS R"), ("", "")]
    names = ["a/x.jpg", "b/x.jpg", "con.jpg", "plain.jpg"]
    found = [
        make_photo(
            cast.library, name, taken=datetime(2024, 5, 9 - day, tzinfo=UTC), camera_make=make, camera_model=model
        )
        for day, (name, (make, model)) in enumerate(zip(names, cameras, strict=True))
    ]
    for owner, title, members in (
        (cast.alice, "zoo", found[:2]),
        (cast.alice, "Attic", found[1:2]),
        (cast.charlie, "A", found),
    ):
        album = Album.objects.create(owner=owner, title=title)
        for photo in members:
            AlbumItem.objects.create(
                id=album_item_id(album.pk, "photo", photo.pk), album=album, target_type="photo", photo=photo,
                position="a", added_at=datetime(2026, 1, 1, tzinfo=UTC),
            )  # fmt: skip
    return found


NAMED = [
    "zoo/NIKON D5/5_x.jpg",
    "Attic/Canon EOS R/5_x.jpg",
    "No album/Canon EOS R/5_con.jpg",
    "No album/Unknown camera/5_plain.jpg",
]


def test_an_export_names_folders_and_files_by_the_template_as_its_preview_says(
    cast: Any, api: Any, photos: list[Photo]
) -> None:
    answer = api(cast.alice).get(URL, {"library": str(cast.library.pk), "template": TEMPLATE})
    assert answer.status_code == 200, answer.json()
    assert [row["exported_as"] for row in answer.json()["results"]] == NAMED
    assert answer.json()["results"][0]["path"] == "a/x.jpg"
    destination = add_destination(cast.alice, "", "named", TEMPLATE)
    for copied in (4, 0):  # what is there by such names is known again
        done = execute(start_folder_export(cast.alice, cast.library, destination).pk)
        assert done is not None
        assert done.result["copied"] == copied
    found = list(destination.path.rglob("*.jpg"))
    assert sorted(str(path.relative_to(destination.path)) for path in found) == sorted(NAMED)


def test_a_preview_numbers_twins_and_is_of_ones_own_libraries(cast: Any, api: Any, photos: list[Photo]) -> None:
    answer = api(cast.bob).get(URL, {"library": str(cast.library.pk), "template": "{year}/{original_name}"})
    assert [row["exported_as"] for row in answer.json()["results"]] == [
        "2024/x.jpg", "2024/x (1).jpg", "2024/_con.jpg", "2024/plain.jpg",
    ]  # fmt: skip
    assert api(cast.charlie).get(URL, {"library": str(cast.library.pk)}).status_code == 404
    bad = api(cast.alice).get(URL, {"library": str(cast.library.pk), "template": "{owner}/"})
    assert bad.status_code == 422
    assert bad.json()["type"].endswith("bad_template")
    assert "{camera}" in bad.json()["detail"]
    assert api(cast.alice).get(URL, {"library": "x"}).status_code == 400


def test_the_page_shows_example_names_and_says_at_the_field_what_is_wrong(
    cast: Any, browser: Any, photos: list[Photo]
) -> None:
    fields = {"folder": "new", "name": "Mine", "template": TEMPLATE}
    page = browser(cast.alice).post("/destinations/add/", {**fields, "preview": "1"})
    assert page.status_code == 200
    for name in NAMED:
        assert f"<code>{name}</code>" in page.text
    assert 'value="new"' in page.text
    for more in ({"preview": "1"}, {}):
        page = browser(cast.alice).post("/destinations/add/", {**fields, "template": "{owner}/", **more})
        assert page.status_code == 422
        assert 'aria-invalid="true"' in page.text
        assert 'id="template-error" role="alert">The folder template' in page.text
    assert not ExportDestination.objects.exists()


def test_a_photo_whose_date_is_edited_while_an_export_reads_is_not_left_out(
    cast: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exports.formats.batches.BATCH_SIZE", 2)
    for day in range(1, 6):
        make_photo(cast.library, f"{day}.jpg", taken=datetime(2024, 5, day, tzinfo=UTC))
    destination = add_destination(cast.alice, "", "edited", "{year}/")
    rows = plan.after_key

    def edited(photos: Any, after: Any) -> Any:
        if after is not None:  # the first two are read: the last one moves before them
            new = datetime(2025, 1, 1, tzinfo=UTC)
            Photo.objects.filter(filename="1.jpg").update(taken_at=new, taken_local=new)
        return rows(photos, after)

    monkeypatch.setattr(plan, "after_key", edited)
    done = execute(start_folder_export(cast.alice, cast.library, destination).pk)
    assert done is not None
    assert (done.result["copied"], done.result["failed"]) == (5, 0)
    assert (destination.path / "2025/1.jpg").exists()
