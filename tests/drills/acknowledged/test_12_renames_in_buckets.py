"""Point 12: in a bucket a rename is a copy and a deletion; scans that see both in between make no second photo of it."""

import pytest

from catalog.libraries import adding
from catalog.models import Favourite, Library, Photo
from catalog.roots import buckets
from tests.photos import make_jpeg

from .moving import at, expected, give, said, scan

pytestmark = [pytest.mark.django_db, pytest.mark.servers]
COUNT = 6


@pytest.fixture
def client_s3(settings, s3_settings, s3_bucket):
    settings.PHOTO_ROOTS = [f"s3://{s3_bucket}/{{username}}"]
    return buckets.bucket_client()


@pytest.fixture
def library(alice, bob, client_s3, s3_bucket, tmp_path) -> Library:
    for number in range(COUNT):
        path = make_jpeg(tmp_path / f"{number}.jpg", seed=number)
        client_s3.upload_file(str(path), s3_bucket, f"alice/trip/old/{number}.jpg")
    path = make_jpeg(tmp_path / "other.jpg", seed=90)
    for number in range(4 * COUNT):  # so that what goes is no fifth of them
        client_s3.upload_file(str(path), s3_bucket, f"alice/trip/rest/{number}.jpg")
    library = adding.add_library(alice, f"s3://{s3_bucket}/alice/trip/")
    library.memberships.create(user=bob, role="viewer")
    scan(library)
    return library


def copy_all(client_s3, bucket) -> None:
    for number in range(COUNT):
        source = {"Bucket": bucket, "Key": f"alice/trip/old/{number}.jpg"}
        client_s3.copy_object(Bucket=bucket, Key=f"alice/trip/new/{number}.jpg", CopySource=source)


def delete_all(client_s3, bucket) -> None:
    for number in range(COUNT):
        client_s3.delete_object(Bucket=bucket, Key=f"alice/trip/old/{number}.jpg")


@pytest.mark.parametrize("scans", [1, 2])
def test_copied_and_later_deleted_it_is_the_same_photo(library, client_s3, s3_bucket, alice, bob, scans):
    keys = {}
    for number in range(COUNT):
        photo = at(library, f"old/{number}.jpg")
        keys[number] = photo.pk
        give(alice, bob, photo, 4, "2012-02-02")
    copy_all(client_s3, s3_bucket)
    for _ in range(scans):
        scan(library)
    assert Photo.objects.count() == 6 * COUNT
    delete_all(client_s3, s3_bucket)
    scan(library)
    for number, key in keys.items():
        moved = at(library, f"new/{number}.jpg")
        assert moved.pk == key and said(moved, bob) == expected(4, "2012-02-02")
    assert not Photo.objects.filter(state="missing").exists() and Photo.objects.count() == 5 * COUNT


def test_a_copy_to_which_somebody_gave_something_long_ago_stays_a_photo_of_its_own(
    library, client_s3, s3_bucket, alice, bob
):
    copy_all(client_s3, s3_bucket)
    scan(library)
    copies = {number: at(library, f"new/{number}.jpg").pk for number in range(COUNT)}
    Favourite.objects.create(user=bob, photo_id=copies[0])
    scan(library)
    delete_all(client_s3, s3_bucket)
    scan(library)
    assert at(library, "new/0.jpg").pk == copies[0] and at(library, "old/0.jpg").state == Photo.State.MISSING
    assert Photo.objects.filter(state="missing").count() == 1


def test_what_was_given_to_the_copy_counts_if_it_is_later(library, client_s3, s3_bucket, alice, bob):
    photo = at(library, "old/0.jpg")
    give(alice, bob, photo, 4, "2012-02-02")
    copy_all(client_s3, s3_bucket)
    scan(library)
    give(alice, bob, at(library, "new/0.jpg"), 2, "2013-03-03")
    delete_all(client_s3, s3_bucket)
    scan(library)
    moved = at(library, "new/0.jpg")
    assert moved.pk == photo.pk and said(moved, bob) == expected(2, "2013-03-03")
