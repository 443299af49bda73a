"""Point 14: a cache in a bucket that is away or ill costs waiting, no answer and no scan."""

import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from knox.models import AuthToken
from PIL import Image
from rest_framework.test import APIClient

from catalog.cache import reading
from catalog.cache.resume import resume_what_waits_for_the_cache
from catalog.entries import previews
from catalog.importing import assets
from catalog.models import Library, Photo
from catalog.scanning import requests
from operations.models import Operation
from operations.running import execute
from tests.drills.acknowledged.faulty_cache import ENDPOINT, MODE
from tests.factories import make_jpeg, make_library

pytestmark = [pytest.mark.django_db, pytest.mark.cache_in_bucket]
ILL = ("away", "refusing", "cut")


@pytest.fixture(autouse=True)
def faulty_cache(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    settings.STORAGES = {
        **settings.STORAGES,
        "cache": {"BACKEND": "tests.drills.acknowledged.faulty_cache.FaultyCache", "OPTIONS": {}},
    }
    monkeypatch.setattr(reading, "AWAY_SECONDS", 0.0)
    MODE["is"] = "well"
    yield
    MODE["is"] = "well"
    previews.decoder.close()


@pytest.fixture
def library(alice: Any, tmp_path: Path) -> Library:
    library = make_library(alice, tmp_path / "photos")
    for number in range(4):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(make_jpeg(400, 300, seed=number))
    return library


@pytest.fixture
def app(alice: Any) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {AuthToken.objects.create(alice)[1]}")
    return client


def scan(library: Library) -> Operation:
    operation = execute(requests.start_scan(library, library.owner).pk)
    assert operation is not None
    return operation


def body_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else bytes(answer.content)


def say_nothing_of_the_store(text: str) -> None:
    for word in ("SECRET", "cache.internal", ENDPOINT):
        assert word not in text


@pytest.mark.parametrize("how", ILL)
@pytest.mark.parametrize("kind", ["thumbnail", "preview"])
def test_pictures_are_drawn_from_the_originals(library: Library, app: APIClient, how: str, kind: str) -> None:
    assert scan(library).state == "completed"
    photo = Photo.objects.all()[0]
    address = f"/api/v1/photos/{photo.pk}/{kind}/"
    whole = body_of(app.get(address))
    MODE["is"] = how
    answer = app.get(address)
    assert answer.status_code == 200
    drawn = body_of(answer)
    assert Image.open(io.BytesIO(drawn)).size == Image.open(io.BytesIO(whole)).size
    assert len(drawn) == int(answer["Content-Length"])


@pytest.mark.parametrize("how", ILL)
def test_what_the_cache_alone_has_is_503_with_a_sentence(
    library: Library, app: APIClient, how: str, alice: Any
) -> None:
    assert scan(library).state == "completed"
    photo = Photo.objects.all()[0]
    library.refresh_from_db()
    addresses = [
        f"/api/v1/photos/{photo.pk}/thumbnail/",
        f"/api/v1/libraries/{library.pk}/snapshots/{library.snapshot_md5}/file",
    ]
    (Path(library.root) / photo.filename).unlink()
    MODE["is"] = how
    for address in addresses:
        answer = app.get(address)
        assert answer.status_code == 503, answer.content
        assert answer["Content-Type"] == "application/problem+json"
        assert int(answer["Retry-After"]) > 0
        problem = json.loads(answer.content)
        assert problem["type"].endswith("cache_unavailable")
        say_nothing_of_the_store(problem["detail"])


@pytest.mark.parametrize("how", ILL)
def test_metadata_come_from_the_database(library: Library, app: APIClient, how: str) -> None:
    assert scan(library).state == "completed"
    photo = Photo.objects.all()[0]
    MODE["is"] = how
    answer = app.get(f"/api/v1/photos/{photo.pk}/metadata/")
    assert answer.status_code == 200
    assert json.loads(body_of(answer))["photoMD5"] == photo.photo_md5


@pytest.mark.parametrize("how", ["away", "refusing"])
def test_renditions_are_not_there_yet_or_later(library: Library, app: APIClient, how: str) -> None:
    assert scan(library).state == "completed"
    photo = Photo.objects.all()[0]
    Photo.objects.filter(pk=photo.pk).update(media_type="video/quicktime")
    MODE["is"] = how
    for answer in (
        app.get(f"/api/v1/photos/{photo.pk}/rendition/"),
        app.post(f"/api/v1/photos/{photo.pk}/rendition/", {}, format="json"),
    ):
        assert answer.status_code == 503, answer.content
        assert json.loads(answer.content)["type"].endswith("cache_unavailable")


def test_nobody_waits_twice_for_a_store_that_is_away(
    library: Library, app: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scan(library).state == "completed"
    photo = Photo.objects.all()[0]
    monkeypatch.setattr(reading, "AWAY_SECONDS", 600.0)
    MODE["is"] = "away"
    asked: list[str] = []
    monkeypatch.setattr(
        reading, "_note", lambda storage, what, error: (asked.append(what), reading._away.note(storage))
    )
    for _ in range(3):
        assert app.get(f"/api/v1/photos/{photo.pk}/thumbnail/").status_code == 200
    assert len(asked) == 1
    reading._away.__init__()  # type: ignore[misc]


@pytest.mark.parametrize("how", ["away", "refusing"])
def test_a_scan_goes_on_by_itself(library: Library, how: str, alice: Any) -> None:
    MODE["is"] = how
    stopped = scan(library)
    assert (stopped.state, stopped.error_code) == ("failed", "cache_unavailable")
    say_nothing_of_the_store(stopped.error)
    page = Client()
    page.force_login(alice)
    say_nothing_of_the_store(page.get(f"/operations/{stopped.pk}/").content.decode())
    Operation.objects.update(updated_at=timezone.now() - timedelta(minutes=2))
    assert resume_what_waits_for_the_cache() == 0
    MODE["is"] = "well"
    assert resume_what_waits_for_the_cache() == 1
    assert resume_what_waits_for_the_cache() == 0
    done = execute(stopped.pk)
    assert done is not None and done.state == "completed"
    assert done.result["added"] == 4
    assert Photo.objects.filter(state="ready", has_thumbnail=True).count() == 4


def test_what_stops_again_and_again_waits_longer(library: Library) -> None:
    MODE["is"] = "away"
    stopped = scan(library)
    for tries in range(3):
        Operation.objects.update(updated_at=timezone.now() - timedelta(minutes=2**tries))
        MODE["is"] = "well"
        assert resume_what_waits_for_the_cache() == 1
        MODE["is"] = "away"
        again = execute(stopped.pk)
        assert again is not None and again.state == "failed"
        Operation.objects.update(updated_at=timezone.now() - timedelta(minutes=2**tries))
        MODE["is"] = "well"
        assert resume_what_waits_for_the_cache() == 0


def test_a_phone_is_told_to_come_again(alice: Any, app: APIClient, tmp_path: Path) -> None:
    library = Library.objects.create(owner=alice, source="device", root="device://x", name="Phone", ratings="database")
    asset = assets.Asset("a/1", "a.jpg", "image/jpeg", modified="1", width=10)
    assets.register(library, [asset])
    address = f"/api/v1/libraries/{library.pk}/assets/picture/?asset_id=a/1"
    MODE["is"] = "away"
    answer = app.put(address, make_jpeg(), content_type="image/jpeg")
    assert answer.status_code == 503
    assert answer["Content-Type"] == "application/problem+json"
    assets.register(library, [assets.Asset("a/1", "a.jpg", "image/jpeg", modified="2", width=20)])
    assert assets.remove(library, ["a/1"]) == 1
