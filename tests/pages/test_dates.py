"""The page on which dates are changed: shown first, then done; the owner's and the editors' alone."""

import pytest
from django.urls import reverse

from catalog.models import FileWrite, Photo
from operations.models import Operation
from operations.running import execute
from tests.factories import make_photo


@pytest.fixture(autouse=True)
def no_bell(monkeypatch):
    monkeypatch.setattr("operations.wake_up.enqueue", lambda operation: 0)


@pytest.fixture
def photos(cast):
    return [make_photo(cast.library, f"trip/{number}.jpg") for number in range(3)]


@pytest.fixture
def folder(cast):
    return f"/dates/?library={cast.library.pk}&directory=trip"


def text(response):
    return response.content.decode()


def test_a_folder_is_moved_after_it_was_shown(alice, photos, folder):
    assert "3 photos of the folder trip" in text(alice.get(folder))
    wish = {"how": "shift", "hours": "1", "minutes": "30", "direction": "earlier"}
    page = text(alice.post(folder, wish))
    assert "3 dates would change" in page
    assert page.count("<strong>2024-05-17 10:30:00</strong>") == 3
    assert not Photo.objects.filter(taken_held=True).exists()
    response = alice.post(folder, {**wish, "apply": "1"})
    assert response.status_code == 302
    assert {photo.taken_text for photo in Photo.objects.all()} == {"2024-05-17T10:30:00"}
    assert FileWrite.objects.filter(kind="date").count() == 3
    assert "taken 2024-05-17T10:30:00" in text(alice.get("/writes/"))


def test_one_photo_gets_a_date_with_an_offset(alice, photos):
    address = f"/dates/?photo={photos[0].pk}"
    assert 'value="2024-05-17T12:00:00"' in text(alice.get(address))
    for first in ("2015-06-01T12:00", "2015-06-01T12:00:00"):
        alice.post(address, {"how": "set", "first": first, "offset": "+05:45", "apply": "1"})
        photos[0].refresh_from_db()
        assert photos[0].taken_text == "2015-06-01T12:00:00+05:45"


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"how": "set"}, "Say the date."),
        ({"how": "set", "first": "soon"}, "Write the date as"),
        ({"how": "set", "first": "2015-02-30T12:00"}, "Write the date as"),
        ({"how": "shift"}, "Say by how much"),
        ({"how": "shift", "days": "1", "offset": "noon"}, "Write the offset"),
        ({"how": "spread", "first": "2015-06-01T12:00", "last": "2015-05-01T12:00"}, "must not be earlier"),
        ({"how": "spread", "first": "2015-06-01T12:00"}, "Say the last date"),
    ],
)
def test_what_is_missing_is_said(alice, photos, folder, wish, sentence):
    response = alice.post(folder, {**wish, "apply": "1"})
    assert response.status_code == 422
    assert sentence in text(response)
    assert not Photo.objects.filter(taken_held=True).exists()


def test_what_cannot_be_is_shown_and_not_done(alice, photos, folder):
    page = text(alice.post(folder, {"how": "set", "first": "1700-01-01T00:00", "apply": "1"}))
    assert "Nothing would change, 3 could not" in page
    assert not Photo.objects.filter(taken_held=True).exists()


def test_editors_may_and_others_find_nothing(alice, bob, charlie, dora, photos, folder):
    assert dora.get(folder).status_code == 200
    for browser in (bob, charlie):
        for address in (folder, f"/dates/?photo={photos[0].pk}"):
            assert browser.get(address).status_code == 404
            assert browser.post(address, {"how": "shift", "days": "1", "apply": "1"}).status_code == 404
        assert browser.post(f"/photos/{photos[0].pk}/date/undo/").status_code == 404
    assert not Photo.objects.filter(taken_held=True).exists()
    for nonsense in ("", "?photo=x", "?library=x", f"{folder}%00"):
        assert alice.get(nonsense if nonsense.startswith("/") else f"/dates/{nonsense}").status_code == 404


def test_folders_offer_it_to_those_who_may(alice, bob, cast, photos):
    address = f"/libraries/{cast.library.pk}/folders/?directory=trip"
    assert "Change the dates of these photos" in text(alice.get(address))
    assert "Change the dates of these photos" not in text(bob.get(address))


def test_a_date_can_be_taken_back_on_its_page(alice, cast, photos):
    address = f"/dates/?photo={photos[0].pk}"
    assert "Undo the last change of date" not in text(alice.get(address))
    FileWrite.objects.create(
        library=cast.library,
        photo=photos[0],
        user=cast.alice,
        kind="date",
        wanted={"taken": "2024-05-17T12:00:00", "offset": None},
        previous={"taken": "2015-06-01T12:00:00", "offset": None},
        state="done",
        new_md5=photos[0].photo_md5,
        try_at=photos[0].added_at,
        finished_at=photos[0].added_at,
    )
    assert "Undo the last change of date" in text(alice.get(address))
    assert alice.post(f"/photos/{photos[0].pk}/date/undo/").status_code == 302
    photos[0].refresh_from_db()
    assert photos[0].taken_text == "2015-06-01T12:00:00"


def test_photos_that_were_picked_out_and_where_their_files_go(cast, alice):
    first, second = make_photo(cast.library, "a/1.jpg"), make_photo(cast.library, "b/2.jpg")
    address = reverse("catalog:dates")
    said = {"photos": f"{first.pk},{second.pk}", "back": "/favourites/"}
    assert "2 photos that you selected" in alice.post(address, said).content.decode()
    wish = {**said, "how": "set", "first": "2011-07-09 10:00:00", "file_into": "day"}
    assert "<code>2011/2011-07-09</code>" in alice.post(address, wish).content.decode()
    done = alice.post(address, {**wish, "apply": "1"})
    assert done["Location"] == "/favourites/"
    operation = Operation.objects.get(kind="filing")
    assert execute(operation.pk).result["moved"] == 2
    assert set(Photo.objects.values_list("directory", flat=True)) == {"2011/2011-07-09"}
    for wrong in ("x", f"{first.pk},", ",".join([str(first.pk)] * 10_001)):
        assert alice.post(address, {"photos": wrong}).status_code == 404
    assert alice.post(address, {**wish, "back": "https://evil.example/", "apply": "1"})["Location"] == "/"
    assert alice.post(address, {**wish, "file_into": "keep"}).status_code == 422
