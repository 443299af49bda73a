"""Settings and owner of a library: page, API and admin call one verb each."""

from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from accounts.models import User
from catalog.edits.stars import star
from catalog.libraries.transfer import transfer
from catalog.models import Favourite, FileWrite, Library, Membership, Photo
from catalog.roots.folders import LibraryRefused
from operations.models import Operation
from operations.running import execute
from tests.drills.acknowledged.moving import at, library_of, scan, write_all
from tests.drills.rating import stars_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def library(alice, bob, tmp_path) -> Library:
    library = library_of(alice, tmp_path / "photos", editor=bob, photos=2)
    scan(library)
    return library


@pytest.fixture
def bucket(alice) -> Library:
    return Library.objects.create(owner=alice, name="Bucket", source="s3", root="s3:photos/alice", ratings="database")


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def app_of(user: Any) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def form_of(library: Library, **changed: Any) -> dict[str, Any]:
    return {
        "name": library.name,
        "owner": str(library.owner_id),
        "ratings": library.ratings,
        "time_zone": library.time_zone,
        "memberships-TOTAL_FORMS": "0",
        "memberships-INITIAL_FORMS": "0",
        **changed,
    }


@pytest.mark.parametrize("wanted", [{"is_watched": True}, {"ratings": "file"}, {"ratings": "sidecar"}])
def test_what_a_bucket_cannot_have_is_refused_by_page_and_api_alike(alice, bucket, wanted):
    answer = app_of(alice).patch(f"/api/v1/libraries/{bucket.pk}/", {"name": "Other", **wanted}, format="json")
    assert answer.status_code == 422
    sentence = answer.json()["detail"]
    form = {"name": "Other", "time_zone": "UTC", "ratings": "database"}
    form |= {name: "1" if value is True else value for name, value in wanted.items()}
    page = signed_in(alice).post(reverse("catalog:library-save", args=[bucket.pk]), form)
    assert page.status_code == 422 and sentence in unescape(page.content.decode())
    bucket.refresh_from_db()
    assert (bucket.name, bucket.is_watched, bucket.ratings) == ("Bucket", False, "database")


def test_the_admin_refuses_what_the_page_refuses(alice, bucket):
    admin = signed_in(User.objects.create_superuser("root"))
    address = reverse("admin:catalog_library_change", args=[bucket.pk])
    for changed in ({"ratings": "file"}, {"time_zone": "Mars/Olympus"}, {"name": "   "}):
        answer = admin.post(address, form_of(bucket, **changed))
        assert answer.status_code == 200, changed
    bucket.refresh_from_db()
    assert (bucket.ratings, bucket.time_zone, bucket.name) == ("database", "UTC", "Bucket")


def test_a_new_owner_in_the_admin_sees_the_stars_of_the_files(library, alice, bob):
    first, second, *others = Photo.objects.filter(library=library).order_by("pk")
    star(alice, first.pk, 3)
    star(alice, second.pk, 2)
    star(bob, second.pk, 4)  # of his own: the file has a rating, which stands
    star(bob, others[0].pk, 1)  # the file has none: his favourite becomes its rating
    write_all(library)
    admin = signed_in(User.objects.create_superuser("root"))
    page = admin.post(
        reverse("admin:catalog_library_change", args=[library.pk]), form_of(library, owner=str(bob.pk)), follow=True
    )
    assert "owns Moving now" in page.content.decode()
    library.refresh_from_db()
    assert library.owner == bob
    assert list(Membership.objects.values_list("user", "role")) == [(alice.pk, "editor")]
    seen = dict(Favourite.objects.filter(user=bob).values_list("photo", "rating"))
    assert seen == {first.pk: 3, second.pk: 2, others[0].pk: 1}
    assert dict(Favourite.objects.filter(user=alice).values_list("photo", "rating")) == {first.pk: 3, second.pk: 2}
    write_all(library)
    scan(library)
    ratings = {photo.pk: photo.rating for photo in Photo.objects.filter(library=library, rating__gte=1)}
    assert ratings == seen
    for photo in Photo.objects.filter(pk__in=seen):
        assert stars_in(_bytes_of(library, photo)) == seen[photo.pk]
    assert not FileWrite.objects.filter(state__in=FileWrite.OPEN).exists()


def test_a_click_on_a_hollow_star_gives_five(library, alice):
    photo = Photo.objects.filter(library=library).order_by("pk")[0]
    star(alice, photo.pk, 3)
    Favourite.objects.all().delete()  # as where an earlier version changed the owner: the star is shown hollow
    assert star(alice, photo.pk, None).rating == 5
    assert star(alice, photo.pk, None).rating == 0


def test_to_whom_a_library_cannot_go(library, alice, bob, charlie):
    charlie.is_active = False
    charlie.save()
    with pytest.raises(LibraryRefused, match="cannot sign in"):
        transfer(library, charlie)
    phone = Library.objects.create(owner=alice, name="Phone", source="device", root="device:1", ratings="database")
    admin = signed_in(User.objects.create_superuser("root"))
    answer = admin.post(reverse("admin:catalog_library_change", args=[phone.pk]), form_of(phone, owner=str(bob.pk)))
    assert answer.status_code == 200 and "belongs to the phone" in answer.content.decode()
    phone.refresh_from_db()
    assert phone.owner == alice == Library.objects.get(pk=library.pk).owner


def test_date_and_rating_of_one_request_are_given_together_or_not_at_all(library, alice, monkeypatch):
    photo = at(library, "a/1.jpg")

    def gone(*_: Any) -> None:
        raise Photo.DoesNotExist

    monkeypatch.setattr("catalog.api.photos.set_rating", gone)
    sent = {"rating": 4, "taken_at": "2001-02-03T04:05:06"}
    answer = app_of(alice).patch(f"/api/v1/photos/{photo.pk}/", sent, format="json")
    assert answer.status_code == 404  # a scan found it to be another photo meanwhile
    photo.refresh_from_db()
    assert not photo.taken_held and not FileWrite.objects.exists()


def test_a_moved_root_is_scanned_whoever_says_so(library, alice, tmp_path, settings):
    settings.PHOTO_ROOTS = [str(tmp_path)]
    (tmp_path / "photos").rename(tmp_path / "elsewhere")
    answer = app_of(alice).patch(
        f"/api/v1/libraries/{library.pk}/", {"root": str(tmp_path / "elsewhere")}, format="json"
    )
    assert answer.status_code == 200, answer.json()
    operation = Operation.objects.get(kind="scan", state="pending")
    assert operation.owner == alice
    execute(operation.pk)
    assert not Photo.objects.filter(state="missing").exists()


def _bytes_of(library: Library, photo: Photo) -> bytes:
    with open(f"{library.root}/{photo.path}", "rb") as file:
        return file.read()
