"""A library in a bucket, from adding it to its scans and pictures."""

import errno
import io

import pytest
from django.core.management import call_command
from PIL import Image

from catalog.browsing import serve, stored
from catalog.cache.tree import cache, metadata_name, thumbnail_name
from catalog.history.copies import opened
from catalog.libraries import adding, forget
from catalog.models import Library, Photo
from catalog.roots import buckets, folders
from catalog.roots.reach import source_for
from catalog.snapshots.schema import snapshot_name
from catalog.sources.s3_location import BucketLocation
from operations.running import execute, start
from photolala.lib.env import Environment
from photolala.web.refusals import Unavailable
from tests.photos import make_jpeg

pytestmark = [pytest.mark.django_db, pytest.mark.servers]


@pytest.fixture
def client_s3(settings, s3_settings, s3_bucket):
    settings.PHOTO_ROOTS = [f"s3://{s3_bucket}/{{username}}", "/srv/photos"]
    return buckets.bucket_client()


@pytest.fixture
def bucket(client_s3, s3_bucket, tmp_path):
    """Put nine photos, and a film whose index comes last, into Alice's prefix."""
    for number in range(9):
        path = make_jpeg(tmp_path / f"{number}.jpg", seed=number, size=(1600, 1200) if number == 4 else (64, 48))
        client_s3.upload_file(str(path), s3_bucket, f"alice/trip/{number % 3}/{number}.jpg")
    client_s3.put_object(
        Bucket=s3_bucket, Key="alice/trip/cut.mov", Body=b"\0\0\0\x14ftypqt  \0\0\0\0qt  " + bytes(99_999)
    )
    return s3_bucket


@pytest.fixture
def library(alice, bucket) -> Library:
    return adding.add_library(alice, f"s3://{bucket}/alice/trip/")


def scan(library, **params):
    operation = start(
        "scan", library.owner, active_key=library.scan_key, params={"library": str(library.pk), **params}, enqueue=False
    )
    operation = execute(operation.pk)
    library.refresh_from_db()
    assert operation.state == "completed", (operation.error, operation.error_detail)
    return {key: operation.result[key] for key in ("found", "added", "changed", "moved", "unchanged", "gone", "failed")}


@pytest.mark.promise("S4-009", "S4-019", "S4-020", "X-12")
def test_a_bucket_is_scanned_and_rescanned(library, bucket, client_s3, tmp_path):
    assert (library.source, library.root, library.ratings) == ("s3", f"s3://{bucket}/alice/trip", "database")
    assert scan(library) == dict(found=10, added=10, changed=0, moved=0, unchanged=0, gone=0, failed=1)
    assert library.warning == ""
    photo = Photo.objects.get(library=library, filename="4.jpg")
    assert (photo.width, photo.height, photo.has_thumbnail, photo.state) == (1600, 1200, True, "ready")
    assert thumbnail_name(photo.photo_md5, "s3").startswith("s3/thumbnails/")
    assert cache().exists(thumbnail_name(photo.photo_md5, "s3"))
    assert cache().exists(metadata_name(photo.photo_md5, "s3"))
    assert not cache().exists(thumbnail_name(photo.photo_md5))
    assert scan(library) == dict(found=10, added=0, changed=0, moved=0, unchanged=10, gone=0, failed=1)
    other = make_jpeg(tmp_path / "other.jpg", seed=99).read_bytes()
    client_s3.put_object(Bucket=bucket, Key="alice/trip/0/0.jpg", Body=other)
    source = {"Bucket": bucket, "Key": "alice/trip/2/2.jpg"}
    client_s3.copy_object(Bucket=bucket, Key="alice/trip/elsewhere/2.jpg", CopySource=source)
    client_s3.delete_object(**source)
    client_s3.delete_object(Bucket=bucket, Key="alice/trip/1/1.jpg")
    changes = scan(library)
    assert (changes["changed"], changes["moved"], changes["unchanged"], changes["gone"]) == (1, 1, 7, 1)


def test_a_bucket_whose_keys_expire_costs_no_photo(library, settings):
    scan(library)
    settings.S3 = {**settings.S3, "secret_key": "expired"}
    operation = start(
        "scan", library.owner, active_key=library.scan_key, params={"library": str(library.pk)}, enqueue=False
    )
    operation = execute(operation.pk)
    assert operation.state != "completed"
    assert "PHOTOLALA_S3_SECRET_KEY" in operation.error_detail + operation.error
    assert Photo.objects.filter(library=library, state="ready").count() == 9


@pytest.mark.promise("S4-009")
def test_pictures_of_a_bucket_are_served(library, alice, rf, settings):
    scan(library)
    photo = stored.find(alice, Photo.objects.get(filename="4.jpg").pk)
    original = b"".join(serve.serve_original(rf.get("/"), photo))
    assert Image.open(io.BytesIO(original)).size == (1600, 1200)
    part = serve.serve_original(rf.get("/", headers={"range": "bytes=10-19"}), photo)
    assert (part.status_code, b"".join(part)) == (206, original[10:20])
    preview = b"".join(serve.serve_preview(rf.get("/"), photo))
    assert Image.open(io.BytesIO(preview)).size == (1600, 1200)
    cache().delete(thumbnail_name(photo.photo_md5, "s3"))
    assert b"".join(serve.serve_thumbnail(rf.get("/"), photo)).startswith(b"\xff\xd8")
    settings.S3 = {**settings.S3, "secret_key": "expired"}
    with pytest.raises(Unavailable):
        serve.serve_original(rf.get("/"), photo)


@pytest.mark.parametrize("prefix", ["/bob", "", "/alic", "/alice2", "/alice/../bob", "//"])
def test_only_the_prefixes_of_the_administrator_may_be_added(alice, client_s3, s3_bucket, prefix):
    with pytest.raises(folders.LibraryRefused, match="Nothing was changed"):
        adding.add_library(alice, f"s3://{s3_bucket}{prefix}")
    assert not Library.objects.exists()


def test_prefixes_that_overlap_are_refused(library, alice, bob, bucket, settings):
    with pytest.raises(folders.LibraryRefused, match="overlaps with the library “trip”"):
        adding.add_library(alice, f"s3://{bucket}/alice/trip/0")
    settings.PHOTO_ROOTS = [f"s3://{bucket}"]
    with pytest.raises(folders.LibraryRefused, match="not free"):
        adding.add_library(bob, f"s3://{bucket}")
    settings.CACHE_LOCATION = f"s3://{bucket}/cache"
    with pytest.raises(folders.LibraryRefused, match="cache"):
        adding.add_library(bob, f"s3://{bucket}/cache/local")
    assert adding.add_library(bob, f"s3://{bucket}/bob").name == "bob"


def test_buckets_may_be_named_among_folders(settings):
    environment = Environment({"PHOTOLALA_ROOTS": "/srv/a:s3://one/p:s3://two:/srv/{username}"})
    assert environment.roots("PHOTOLALA_ROOTS") == ["/srv/a", "s3://one/p", "s3://two", "/srv/{username}"]
    settings.PHOTO_ROOTS = ["s3://one/{username}", "s3://two/a/../b"]
    with pytest.raises(Exception, match="E002"):
        call_command("check")
    settings.PHOTO_ROOTS = ["s3://one/{username}"]
    call_command("check")


def objects_in(client_s3, bucket) -> list[str]:
    keys = [entry["Key"] for entry in client_s3.list_objects_v2(Bucket=bucket)["Contents"]]
    return sorted(key.removeprefix("alice/trip/") for key in keys if ".photolala" in key)


def test_the_snapshot_lies_in_the_bucket_too_and_brings_the_library_back(library, bucket, client_s3, alice):
    scan(library)
    assert objects_in(client_s3, bucket) == [f".photolala.{library.snapshot_md5}.sqlite", ".photolala.md5"]
    known = {photo.path: photo.pk for photo in Photo.objects.all()}
    key = library.pk
    cache().delete(f"{source_for(library).root_md5}/.photolala.md5")
    with opened(library, library.snapshot_md5) as (kept,):
        assert kept.entry_count == 10
    forget.forget_library(library)
    again = adding.add_library(alice, f"s3://{bucket}/alice/trip")
    assert again.pk == key
    result = scan(again)
    assert (result["found"], result["added"], result["gone"]) == (10, 0, 0)
    assert {photo.path: photo.pk for photo in Photo.objects.all()} == known


@pytest.mark.promise("X-11")
def test_in_a_bucket_the_pointer_is_written_last_and_what_it_names_is_verified(
    library, bucket, client_s3, alice, monkeypatch
):
    written: list[str] = []
    put_file, put_bytes = BucketLocation.put_file, BucketLocation.put_bytes
    monkeypatch.setattr(BucketLocation, "put_file", lambda self, *a: (written.append(a[0]), put_file(self, *a))[1])
    monkeypatch.setattr(BucketLocation, "put_bytes", lambda self, *a: (written.append(a[0]), put_bytes(self, *a))[1])
    scan(library)
    assert written == [snapshot_name(library.snapshot_md5), ".photolala.md5"]
    whole = client_s3.get_object(Bucket=bucket, Key=f"alice/trip/{written[0]}")["Body"].read()
    client_s3.put_object(Bucket=bucket, Key=f"alice/trip/{written[0]}", Body=whole[:-100] + b"\xff" * 100)
    key = library.pk
    forget.forget_library(library)
    again = adding.add_library(alice, f"s3://{bucket}/alice/trip")
    assert again.pk != key  # not believed
    assert scan(again)["added"] == 10
    assert [name for name in objects_in(client_s3, bucket) if ".broken-" in name]  # set aside, not lost


def test_a_bucket_that_takes_no_objects_is_marked_and_scanned_all_the_same(library, monkeypatch):
    def refuse(self, name, *_):
        raise PermissionError(errno.EACCES, "The bucket takes no objects", name)

    monkeypatch.setattr("catalog.sources.s3_location.BucketLocation.put_file", refuse)
    scan(library)
    assert "takes no objects" in library.warning
    assert library.snapshot_md5
    with opened(library, library.snapshot_md5) as (kept,):
        assert kept.entry_count == 10


def test_a_pointer_that_is_gone_from_the_bucket_stops_the_next_scan(library, bucket, client_s3):
    scan(library)
    client_s3.delete_object(Bucket=bucket, Key="alice/trip/.photolala.md5")
    operation = start(
        "scan", library.owner, active_key=library.scan_key, params={"library": str(library.pk)}, enqueue=False
    )
    assert execute(operation.pk).error_code == "confirm_gone"
    assert Photo.objects.filter(library=library, state="ready").count() == 9
