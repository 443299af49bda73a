"""Point 15: of a phone's stars and those given here the last change counts, and a phone that signs in anew has its library."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import Device
from catalog.edits.stars import star
from catalog.models import Favourite, Library, Photo
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db
API = "/api/v1/"


@pytest.fixture
def owner() -> Any:
    return make_user("owner")


def sign_in(username: str, **more: str) -> APIClient:
    client = APIClient()
    words = {"username": username, "password": PASSWORD, "name": "phone", **more}
    answer = client.post(f"{API}auth/devices/", words, format="json")
    assert answer.status_code == 201, answer.content
    client.credentials(HTTP_AUTHORIZATION=f"Token {answer.json()['token']}")
    return client


def library_of(phone: APIClient, **more: str) -> str:
    answer = phone.post(f"{API}device-library/", more, format="json")
    assert answer.status_code == 200, answer.content
    return str(answer.json()["id"])


def tell(phone: APIClient, library: str, favorite: int, **more: Any) -> None:
    asset = {"asset_id": "a/L0/1", "filename": "a.heic", "media_type": "image/heic", "favorite": favorite, **more}
    assert phone.post(f"{API}libraries/{library}/assets/", {"assets": [asset]}, format="json").status_code == 200


def stars(owner: Any) -> tuple[int | None, int | None]:
    photo = Photo.objects.get()
    return photo.rating, Favourite.objects.filter(user=owner, photo=photo).values_list("rating", flat=True).first()


def test_what_the_phone_told_before_is_no_change(owner: Any) -> None:
    phone = sign_in("owner")
    library = library_of(phone)
    tell(phone, library, 0)
    star(owner, Photo.objects.get().pk, 4)
    tell(phone, library, 0)
    assert stars(owner) == (4, 4)
    tell(phone, library, 5)
    assert stars(owner) == (5, 5)
    star(owner, Photo.objects.get().pk, 0)
    tell(phone, library, 5)
    assert stars(owner) == (None, None)
    tell(phone, library, 0)
    assert stars(owner) == (None, None)


@pytest.mark.parametrize(("minutes", "counts"), [(-5, False), (5, True)])
def test_the_last_change_counts_by_its_time(owner: Any, minutes: int, counts: bool) -> None:
    phone = sign_in("owner")
    library = library_of(phone)
    begun = timezone.now()
    tell(phone, library, 5, favorite_changed=(begun - timedelta(minutes=20)).isoformat())
    star(owner, Photo.objects.get().pk, 3)
    Photo.objects.update(rated_at=begun - timedelta(minutes=10))
    tell(phone, library, 0, favorite_changed=(begun - timedelta(minutes=10 - minutes)).isoformat())
    assert stars(owner) == ((None, None) if counts else (3, 3))
    tell(phone, library, 0)
    assert stars(owner) == ((None, None) if counts else (3, 3))


def test_a_phone_whose_clock_is_ahead_does_not_win_for_ever(owner: Any) -> None:
    phone = sign_in("owner")
    library = library_of(phone)
    tell(phone, library, 5, favorite_changed=(timezone.now() + timedelta(days=365)).isoformat())
    assert stars(owner) == (5, 5)
    star(owner, Photo.objects.get().pk, 2)
    tell(phone, library, 5)
    assert stars(owner) == (2, 2)


def test_of_an_asset_of_an_earlier_version_the_star_given_here_stays(owner: Any) -> None:
    phone = sign_in("owner")
    library = library_of(phone)
    tell(phone, library, 0)
    star(owner, Photo.objects.get().pk, 4)
    Photo.objects.update(told_rating=None)
    tell(phone, library, 0)
    assert stars(owner) == (4, 4)


@pytest.mark.parametrize("signs_out", [True, False])
def test_a_phone_that_signs_in_anew_has_its_library(owner: Any, signs_out: bool) -> None:
    phone = sign_in("owner", device_id="vendor-id-1")
    library = library_of(phone)
    tell(phone, library, 5)
    if signs_out:
        assert phone.delete(f"{API}auth/devices/{Device.objects.get().pk}/").status_code == 204
    again = sign_in("owner", device_id="vendor-id-1")
    assert library_of(again) == library
    tell(again, library, 5)
    assert Library.objects.count() == Photo.objects.count() == 1
    assert library_of(sign_in("owner", device_id="vendor-id-2")) != library
    make_user("other")
    assert library_of(sign_in("other", device_id="vendor-id-1")) != library


def test_a_phone_that_tells_its_id_later_keeps_its_library(owner: Any) -> None:
    phone = sign_in("owner")
    library = library_of(phone)
    tell(phone, library, 5)
    assert library_of(phone, device_id="vendor-id-1") == library
    assert library_of(sign_in("owner", device_id="vendor-id-1")) == library
    assert Library.objects.count() == 1
