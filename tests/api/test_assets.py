"""What is on a phone: told by the phone, shown as on the phone, each person's own, and never taken for a file."""

import io
import json
from typing import Any

import pytest
from django.urls import reverse
from PIL import Image

from catalog.cache.tree import cache
from catalog.models import Favourite, Library, Membership, Photo
from catalog.scanning.schedule import start_due_scans
from operations.models import Operation
from tests.factories import PASSWORD, make_jpeg

from .conftest import API, client_of

ID = "B84E8479-475C-4727-A4A4-B77AA9980897/L0/001"


@pytest.fixture
def phone(cast, anonymous):
    """alice's phone, signed in as phones do."""
    answer = anonymous.post(
        f"{API}auth/devices/", {"username": "alice", "password": PASSWORD, "name": "alice's phone"}, format="json"
    )
    anonymous.credentials(HTTP_AUTHORIZATION=f"Token {answer.json()['token']}")
    return anonymous


@pytest.fixture
def library(phone) -> Any:
    return phone.post(f"{API}device-library/").json()["id"]


def asset(**more: Any) -> dict[str, Any]:
    return {
        "asset_id": ID,
        "filename": "IMG_0001.HEIC",
        "media_type": "image/heic",
        "taken_at": "2024-05-17T12:30:00+02:00",
        "width": 4032,
        "height": 3024,
        **more,
    }


def tell(client, library, *assets):
    return client.post(f"{API}libraries/{library}/assets/", {"assets": list(assets)}, format="json")


def send_picture(client, library, data, asset_id=ID):
    return client.generic(
        "PUT", f"{API}libraries/{library}/assets/picture/?asset_id={asset_id}", data, content_type="image/jpeg"
    )


def test_assets_are_shown_as_on_the_phone(cast, phone, library, alice):
    assert phone.post(f"{API}device-library/").json()["id"] == library  # one for each device
    told = tell(
        phone,
        library,
        asset(),
        asset(asset_id="other/L0/002"),
        asset(asset_id="film", media_type="video/quicktime", duration_ms=5000),
    )
    assert told.json() == {
        "count": 3,
        "success_count": 3,
        "error_count": 0,
        "errors": [],
        "wanted": [ID, "other/L0/002", "film"],
    }
    photo = Photo.objects.get(asset_id=ID)
    assert (photo.state, photo.filename, photo.taken_text) == ("remote", "IMG_0001.HEIC", "2024-05-17T12:30:00+02:00")
    assert set(Photo.objects.values_list("filename", flat=True)) == {
        "IMG_0001.HEIC",
        "IMG_0001 (2).HEIC",
        "IMG_0001 (3).HEIC",
    }
    buckets = alice.get(f"{API}timeline/bucket/", {"bucket": "2024-05"}).json()
    assert buckets["state"] == ["remote"] * 3
    assert alice.get(f"{API}photos/{photo.pk}/").json()["state"] == "remote"
    for part in ("original", "thumbnail", "preview"):
        assert alice.get(f"{API}photos/{photo.pk}/{part}/").status_code == 404
    assert alice.post(f"{API}photos/{Photo.objects.get(asset_id='film').pk}/rendition/").status_code == 404
    assert Library.objects.get(pk=library).photo_count == 3


@pytest.mark.promise("S4-017")
def test_its_picture_is_drawn_anew_and_wanted_again_when_it_changes(cast, phone, library, alice):
    tell(phone, library, asset(modified="1"))
    photo = Photo.objects.get()
    assert send_picture(phone, library, b"no picture").status_code == 422
    assert send_picture(phone, library, b"x" * (4 * 1024 * 1024 + 1)).status_code == 413
    assert send_picture(phone, library, make_jpeg(1000, 500), "unknown").status_code == 404
    hostile = make_jpeg(1000, 500) + b"<script>alert(1)</script>"
    assert send_picture(phone, library, hostile).status_code == 204
    for part in ("thumbnail", "preview"):
        answer = alice.get(f"{API}photos/{photo.pk}/{part}/")
        data = b"".join(answer.streaming_content)
        assert answer["Content-Type"] == "image/jpeg" and b"script" not in data
        assert Image.open(io.BytesIO(data)).size == (256, 128)
    assert tell(phone, library, asset(modified="1")).json()["wanted"] == []
    assert tell(phone, library, asset(modified="2")).json()["wanted"] == [ID]
    assert Photo.objects.get().pk == photo.pk


@pytest.mark.promise("S4-018", "S4-070")
def test_what_the_phone_tells_is_its_metadata_and_lies_beside_its_picture(cast, phone, library, alice, charlie):
    told = asset(latitude=52.5, longitude=13.4, duration_ms=1500, photo_md5="ab" * 16)
    tell(phone, library, told)
    photo = Photo.objects.get()
    expected = {
        "photoMD5": "ab" * 16,
        "width": 4032,
        "height": 3024,
        "captureDate": "2024-05-17T12:30:00+02:00",
        "gpsLatitude": 52.5,
        "gpsLongitude": 13.4,
        "duration": 1.5,
    }
    name = f"apple/metadata/{library}%2F{ID.replace('/', '%2F')}.json"
    assert not cache().exists(name)
    send_picture(phone, library, make_jpeg(300, 300))
    assert json.loads(cache().open(name).read()) == expected
    cache().delete(name)
    answer = alice.get(f"{API}photos/{photo.pk}/metadata/")
    assert json.loads(b"".join(answer.streaming_content)) == expected
    assert cache().exists(name)  # made again, as it was missing
    assert charlie.get(f"{API}photos/{photo.pk}/metadata/").status_code == 404
    tell(phone, library, asset(width=100))
    assert not cache().exists(name)  # what it says is no longer so
    changed = alice.get(f"{API}photos/{photo.pk}/metadata/", HTTP_IF_NONE_MATCH=answer["ETag"])
    assert json.loads(b"".join(changed.streaming_content))["width"] == 100
    phone.post(f"{API}libraries/{library}/assets/remove/", {"asset_ids": [ID]}, format="json")
    assert not cache().exists(name)


def test_only_the_owners_devices_tell_and_others_see_nothing(cast, phone, library, alice, bob, charlie):
    tell(phone, library, asset())
    assert alice.post(f"{API}device-library/").status_code == 403  # a token without a device
    for client in (bob, charlie):
        assert tell(client, library, asset()).status_code == 404
        assert client.get(f"{API}libraries/{library}/assets/").status_code == 404
        assert client.get(f"{API}photos/{Photo.objects.get().pk}/").status_code == 404
    Membership.objects.create(library_id=library, user=cast.bob, role="editor")
    assert tell(bob, library, asset(filename="bobs.jpg")).status_code == 403
    assert bob.get(f"{API}photos/{Photo.objects.get().pk}/").status_code == 200
    assert tell(phone, cast.library.pk, asset()).status_code == 404  # no library of a device
    other = client_of(None)
    answer = other.post(
        f"{API}auth/devices/", {"username": "charlie", "password": PASSWORD, "name": "phone"}, format="json"
    )
    other.credentials(HTTP_AUTHORIZATION=f"Token {answer.json()['token']}")
    theirs = other.post(f"{API}device-library/").json()["id"]
    tell(other, theirs, asset())  # the same platform id on another phone is another photo
    send_picture(other, theirs, make_jpeg(300, 300))
    assert Photo.objects.filter(asset_id=ID).count() == 2
    assert phone.get(f"{API}libraries/{library}/assets/").json()["results"][0]["thumbnail"] is False


def test_stars_stay_and_the_heart_of_the_phone_counts(cast, phone, library, alice):
    tell(phone, library, asset(favorite=5))
    assert Favourite.objects.get(user=cast.alice).rating == 5
    tell(phone, library, asset())  # nothing said: nothing changed
    assert Favourite.objects.get(user=cast.alice).rating == 5
    tell(phone, library, asset(favorite=0))
    assert not Favourite.objects.exists()
    alice.post(f"{API}photos/{Photo.objects.get().pk}/favorite/", {"rating": 3}, format="json")
    tell(phone, library, asset())
    assert Favourite.objects.get().rating == 3 and Photo.objects.get().rating == 3


def test_what_is_gone_from_the_phone_is_forgotten(cast, phone, library):
    tell(phone, library, asset())
    send_picture(phone, library, make_jpeg(300, 300))
    assert phone.post(f"{API}libraries/{library}/assets/remove/", {"asset_ids": [ID, "x"]}, format="json").json() == {
        "count": 1,
        "success_count": 1,
        "error_count": 0,
        "errors": [],
    }
    assert not Photo.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"asset_id": ""}, {"asset_id": "x" * 500}, {"asset_id": "a\0b"}, {"filename": "../a.jpg"}, {"filename": ""},
        {"media_type": "text/html"}, {"taken_at": "yesterday"}, {"width": -1}, {"latitude": 91}, {"favorite": 6},
        {"photo_md5": "x"}, {"size_bytes": -1},
    ],
)  # fmt: skip
def test_nonsense_is_refused(cast, phone, library, wrong):
    assert tell(phone, library, asset(**wrong)).status_code == 400
    assert not Photo.objects.exists()


def test_nothing_is_scanned_or_deleted_there(cast, phone, library, alice, client):
    tell(phone, library, asset())
    assert phone.post(f"{API}libraries/{library}/scan/").status_code == 422
    start_due_scans()
    assert not Operation.objects.filter(active_key=f"scan:{library}").exists()
    photo = str(Photo.objects.get().pk)
    answer = alice.post(f"{API}photos/trash/", {"photo_ids": [photo], "confirm": 1}, format="json").json()
    assert answer["count"] == 0 and "on phones" in answer["errors"][0]["error"]
    client.force_login(cast.alice)
    for name in ("library-timeline", "library-folders", "library-problems", "library-about", "library-settings"):
        assert client.get(reverse(f"catalog:{name}", args=[library])).status_code == 200
    client.post(reverse("catalog:library-scan", args=[library]))
    assert not Operation.objects.filter(active_key=f"scan:{library}").exists()
