"""Renditions over the API: made when asked for, served in ranges, each person's own to see."""

from catalog.models import Photo
from operations.models import Operation
from operations.running import execute
from tests.catalog.browsing.test_video_renditions import make_film
from tests.factories import make_photo

from .conftest import API


def add_film(cast):
    data = make_film(cast.root / "film.avi").read_bytes()
    return make_photo(cast.library, "film.avi", data=data, media_type="video/x-msvideo")


def test_made_and_served(cast, alice, bob, charlie):
    film = add_film(cast)
    address = f"{API}photos/{film.pk}/rendition/"
    assert charlie.get(address).status_code == charlie.post(address).status_code == 404
    assert alice.get(address).status_code == 404
    assert alice.post(address).json() == {"state": "converting", "progress": None, "reason": ""}
    assert bob.post(address).json()["state"] == "converting"
    assert execute(Operation.objects.get(kind="rendition").pk).state == "completed"
    assert bob.post(address).json()["state"] == "ready"
    whole = alice.get(address)
    data = b"".join(whole.streaming_content)
    assert (whole.status_code, whole["Content-Type"], data[4:8]) == (200, "video/mp4", b"ftyp")
    part = alice.get(address, HTTP_RANGE="bytes=4-7")
    assert (part.status_code, b"".join(part.streaming_content)) == (206, b"ftyp")
    assert "film.mp4" in whole["Content-Disposition"] and whole["ETag"] != f'"{film.photo_md5}"'


def test_only_films(cast, alice):
    address = f"{API}photos/{make_photo(cast.library).pk}/rendition/"
    assert alice.post(address).status_code == alice.get(address).status_code == 404
    assert not Operation.objects.exists()


def test_a_file_that_changed_is_not_converted(cast, alice):
    film = add_film(cast)
    Photo.objects.filter(pk=film.pk).update(photo_md5="0" * 32)
    alice.post(f"{API}photos/{film.pk}/rendition/")
    operation = execute(Operation.objects.get(kind="rendition").pk)
    assert (operation.state, operation.error_code) == ("failed", "unreadable")
