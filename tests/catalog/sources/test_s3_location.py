"""The pointer in a bucket: a request that comes late does not put an older one over a newer one."""

import pytest

from catalog.snapshots.pointer import POINTER_NAME
from catalog.sources.base import FileChanged
from catalog.sources.s3_errors import Retries
from catalog.sources.s3_keys import parse_uri
from catalog.sources.s3_location import BucketLocation
from tests.catalog.sources.s3_bucket import refusal
from tests.exports.destinations.memory_bucket import MemoryBucket

pytestmark = pytest.mark.once
KEY = f"photos/{POINTER_NAME}"


def location(bucket: MemoryBucket) -> BucketLocation:
    return BucketLocation(bucket, parse_uri("s3://bucket/photos/"), retries=Retries(sleep=lambda seconds: None))


def read(place: BucketLocation) -> bytes | None:
    try:
        with place.open(POINTER_NAME) as file:
            return file.read()
    except FileNotFoundError:
        return None


@pytest.mark.parametrize("before", [None, b"first"])
def test_a_pointer_that_comes_late_does_not_replace_a_newer_one(before):
    bucket = MemoryBucket()
    if before:
        bucket.objects[KEY] = before
    late, quick = location(bucket), location(bucket)
    assert read(late) == read(quick) == before
    quick.put_bytes(POINTER_NAME, b"newer")
    with pytest.raises(FileChanged, match="meanwhile"):
        late.put_bytes(POINTER_NAME, b"older")
    assert bucket.objects[KEY] == b"newer"
    assert read(late) == b"newer"
    late.put_bytes(POINTER_NAME, b"newest")  # it knows the newer one now
    assert bucket.objects[KEY] == b"newest"


def test_a_pointer_that_was_removed_meanwhile_is_not_brought_back():
    bucket = MemoryBucket()
    bucket.objects[KEY] = b"first"
    place = location(bucket)
    read(place)
    del bucket.objects[KEY]
    with pytest.raises(FileNotFoundError):
        place.put_bytes(POINTER_NAME, b"second")
    assert KEY not in bucket.objects


def test_a_try_whose_answer_was_lost_counts():
    bucket = MemoryBucket()
    bucket.objects[KEY] = b"first"
    place = location(bucket)
    read(place)
    lost = iter([True])
    bucket.fault = lambda name: name == "put" and next(lost, False)
    place.put_bytes(POINTER_NAME, b"second")
    assert bucket.objects[KEY] == b"second"


@pytest.mark.parametrize("answer", ["ignored", "refused"])
def test_servers_that_know_no_conditions_take_pointers_too(answer):
    bucket = MemoryBucket(has_conditions=False)
    bucket.objects[KEY] = b"first"
    if answer == "refused":
        put = bucket.put_object

        def without_conditions(**request):
            if "IfMatch" in request:
                raise refusal("NotImplemented", 501)
            return put(**request)

        bucket.put_object = without_conditions
    place = location(bucket)
    assert read(place) == b"first"
    place.put_bytes(POINTER_NAME, b"second")
    assert bucket.objects[KEY] == b"second"
