"""Point 12, at random: a bucket that flips, cuts, refuses and fails at any call costs waiting, no photo and no star."""

import hashlib
import random
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from catalog.edits.ratings import set_ratings
from catalog.libraries import adding
from catalog.models import Favourite, Photo
from catalog.roots import buckets
from catalog.scanning import requests
from catalog.scanning.rebuild import start_rebuild
from catalog.sources.s3_errors import Retries
from operations.models import Operation
from operations.running import execute
from tests.catalog.sources.s3_bucket import WritableBucket, flipped, refusal
from tests.factories import make_jpeg

pytestmark = pytest.mark.django_db
COUNT = 24
ROUNDS = 4


class Faults:
    """Spoils so many of a hundred calls, each by one way drawn at random."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # a seed, to be repeated
        self.percent = 0
        self.count = 0

    def __call__(self, name: str, request: dict[str, Any], answer: Any) -> Any:
        if self.random.randrange(100) >= self.percent:
            return answer
        self.count += 1
        ways = ["slow", "500", "403"] + (["flip", "cut"] if name == "get" else [])
        way = self.random.choice(ways)
        if way == "slow":
            raise ReadTimeoutError(endpoint_url="http://key:secret@server/")
        if way in ("500", "403"):
            raise refusal("InternalError" if way == "500" else "AccessDenied", int(way))
        if way == "cut":
            answer["Body"].data = answer["Body"].data[: len(answer["Body"].data) // 2]
            return answer
        return flipped(answer)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_no_photo_is_lost_to_a_bucket_that_fails_at_random(
    seed: int, alice: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = WritableBucket({f"pics/{number % 3}/{number:03}.jpg": make_jpeg(seed=number) for number in range(COUNT)})
    monkeypatch.setattr(buckets, "bucket_client", lambda: bucket)
    quick = (*Retries.__init__.__defaults__[:3], lambda seconds: None, lambda: 1.0)  # type: ignore[index]
    monkeypatch.setattr(Retries.__init__, "__defaults__", quick)
    settings.PHOTO_ROOTS = ["s3://photos"]
    library = adding.add_library(alice, "s3://photos/pics")
    originals = {key: data for key, data in bucket.objects.items() if key.endswith(".jpg")}
    run(requests.start_scan(library, alice))
    ids = dict(Photo.objects.values_list("pk", "photo_md5"))
    set_ratings(alice, list(ids), 4)
    bucket.fault = faults = Faults(seed)
    for number in range(ROUNDS):
        faults.percent = 5 + 5 * number
        key = f"pics/new/{number}.jpg"
        originals[key] = bucket.objects[key] = make_jpeg(seed=100 + number)
        begin = requests.start_scan if number % 2 else lambda *_: start_rebuild(library, alice, full=True)
        run(begin(library, alice))
        for photo in Photo.objects.exclude(photo_md5=""):
            assert photo.photo_md5 == hashlib.md5(originals[f"pics/{photo.path}"]).hexdigest(), photo.path
    assert faults.count
    faults.percent = 0
    for _ in range(2):
        run(requests.start_scan(library, alice))
    rows = {f"pics/{photo.path}": photo for photo in Photo.objects.all()}
    assert {key: photo.photo_md5 for key, photo in rows.items()} == {
        key: hashlib.md5(data).hexdigest() for key, data in originals.items()
    }
    assert {photo.state for photo in rows.values()} == {"ready"}
    known = {photo.pk: photo.photo_md5 for photo in rows.values() if photo.pk in ids}
    assert known == ids
    assert Photo.objects.filter(pk__in=ids, rating=4).count() == COUNT
    assert Favourite.objects.filter(user=alice, photo__in=ids, rating=4).count() == COUNT
    assert {key: data for key, data in bucket.objects.items() if key.endswith(".jpg")} == originals


def run(operation: Operation) -> Operation:
    done = execute(operation.pk)
    assert done is not None
    assert done.error_code != "unexpected", done.error_detail
    return done
