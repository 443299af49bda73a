"""Point 3: who knows the MD5 of a photo learns nothing of it: pictures, facts and answers are for those who have the bytes."""

import hashlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from PIL import Image
from rest_framework.test import APIClient

from accounts.models import User
from catalog.browsing.duplicates import duplicate_groups
from catalog.cache import tree
from catalog.doctor import examine
from catalog.entries import read_here
from catalog.files import trash
from catalog.history.restore import start_restore
from catalog.importing import requests, uploads
from catalog.libraries import adding
from catalog.media.pool import DecoderPool
from catalog.media.results import DigestResult
from catalog.models import HashCache, Library, Photo, PhotoMetadata
from catalog.scanning.rebuild import start_rebuild
from catalog.scanning.redraw import draw_again
from catalog.snapshots.schema import EntryRow
from operations.models import Operation, State
from operations.running import execute, start
from photolala.lib.paths import escape_path
from tests.api.conftest import API, client_of
from tests.api.test_media import body_of
from tests.catalog.browsing.test_video_renditions import make_film
from tests.catalog.history.test_adopt import entry, plant
from tests.factories import make_jpeg, make_library

pytestmark = pytest.mark.django_db
PAST = 1_600_000_000
PICTURES = ("thumbnail", "preview")
NOBODYS = hashlib.md5(b"a photo that is nowhere").hexdigest()


def put(root: Path, path: str, data: bytes) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    os.utime(file, (PAST, PAST))
    return file


def scan(library: Library, **params: Any) -> Operation:
    params = {"library": str(library.pk), **params}
    operation = execute(start("scan", library.owner, active_key=library.scan_key, params=params, enqueue=False).pk)
    assert operation is not None
    library.refresh_from_db()
    return operation


@pytest.fixture
def cache(settings: Any, tmp_path: Path) -> Path:
    settings.PHOTO_ROOTS = [str(tmp_path / "photos")]
    folder = tmp_path / "cache"
    backend = {"BACKEND": "catalog.cache.storage.AtomicFolderStorage", "OPTIONS": {"location": str(folder)}}
    settings.STORAGES = {**settings.STORAGES, "cache": backend}
    return folder


@pytest.fixture
def hers(alice: User, tmp_path: Path, cache: Path) -> Library:
    """Alice's library, scanned, with all pictures in the cache of all."""
    library = make_library(alice, tmp_path / "photos" / "hers")
    root = Path(library.root)
    for number in range(2):
        put(root, f"{number}.jpg", make_jpeg(400, 300, seed=number))
    assert scan(library).state == State.COMPLETED
    client = client_of(alice)
    for photo in Photo.objects.filter(library=library):
        assert client.get(f"{API}photos/{photo.pk}/preview/").status_code == 200
    return library


@pytest.fixture
def film(hers: Library) -> Photo:
    """A film in Alice's library, made playable."""
    make_film(Path(hers.root) / "film.avi", frames=5, sound=False)
    assert scan(hers).state == State.COMPLETED
    film = Photo.objects.get(library=hers, filename="film.avi")
    client = client_of(hers.owner)
    assert client.get(f"{API}photos/{film.pk}/preview/").status_code == 200
    convert(client, film)
    return film


def convert(client: APIClient, photo: Photo) -> Operation | None:
    assert client.post(f"{API}photos/{photo.pk}/rendition/").json()["state"] == "converting"
    return execute(Operation.objects.get(kind="rendition", state=State.PENDING).pk)


def entries_of(library: Library, *, photo_md5: str = "") -> list[EntryRow]:
    """Return a catalog that names a library's photos, or others of the same shape with one MD5 that nobody has."""
    photos = Photo.objects.filter(library=library).order_by("directory", "filename")
    return [
        entry(
            photo.filename,
            size_bytes=photo.size_bytes,
            mtime_ns=photo.mtime_ns,
            head_md5=photo.head_md5,
            photo_md5=photo_md5 or photo.photo_md5,
            media_type=photo.media_type,
        )
        for photo in photos
    ]


def opened(owner: User, root: Path, rows: list[EntryRow], metadata: tuple[Any, ...] = ()) -> Library:
    """Return the owner's library over a folder that brings this catalog along and has no such files: the scan asks a person."""
    root.mkdir(parents=True, exist_ok=True)
    plant(root, rows, "00000000-0000-4000-8000-000000000000", metadata)
    library = adding.add_library(owner, escape_path(os.fsencode(root)))
    operation = scan(library)
    assert operation.error_code == "confirm_gone", operation.error
    return library


def answers(client: APIClient, library: Library) -> list[Any]:
    """Return what a person is told of the photos of a library, without what they told themselves."""
    told: list[Any] = []
    for photo in Photo.objects.filter(library=library).order_by("filename"):
        facts = client.get(f"{API}photos/{photo.pk}/").json()
        told.append({name: facts[name] for name in ("state", "has_thumbnail") if name in facts})
        for kind in (*PICTURES, "rendition"):
            answer = client.get(f"{API}photos/{photo.pk}/{kind}/", HTTP_IF_NONE_MATCH=f'"{photo.photo_md5}"')
            told.append((photo.filename, kind, answer.status_code, answer.get("Retry-After"), code_in(answer)))
        if photo.media_type.startswith("video/"):
            told.append(client.post(f"{API}photos/{photo.pk}/rendition/").json())
    return told


def code_in(answer: Any) -> str:
    return "" if getattr(answer, "streaming", False) else json.loads(answer.content or b"{}").get("code", "")


def digest_never(library: Library) -> None:
    """Let a library's rows be as an earlier version had them: nothing says whether their bytes were read."""
    Photo.objects.filter(library=library).update(read_md5="")


def test_a_catalog_of_ones_own_that_names_them_gets_no_picture_and_no_other_answer_than_one_that_names_nobodys(
    hers: Library, film: Photo, bob: User, tmp_path: Path
) -> None:
    client = client_of(bob)
    told = answers(client, opened(bob, tmp_path / "photos" / "his", entries_of(hers)))
    Operation.objects.filter(kind="rendition").delete()
    nothing = answers(client, opened(bob, tmp_path / "photos" / "other", entries_of(hers, photo_md5=NOBODYS)))
    assert told == nothing
    assert not [one for one in told if isinstance(one, tuple) and one[2] in (200, 206, 304)]


def test_rows_of_before_that_name_them_get_no_picture_either(
    hers: Library, film: Photo, bob: User, tmp_path: Path
) -> None:
    library = opened(bob, tmp_path / "photos" / "his", entries_of(hers))
    Photo.objects.filter(library=library).update(has_thumbnail=True, state="ready", needs_digest=False)
    told = answers(client_of(bob), library)
    assert not [one for one in told if isinstance(one, tuple) and one[2] in (200, 206, 304)]
    put(tmp_path / "photos" / "his", "0.jpg", b"x" * Photo.objects.get(library=library, filename="0.jpg").size_bytes)
    told = answers(client_of(bob), library)
    assert not [one for one in told if isinstance(one, tuple) and one[2] in (200, 206, 304)]


def test_who_has_the_bytes_sees_them_at_once_and_is_not_asked_again(hers: Library, bob: User, tmp_path: Path) -> None:
    library = opened(bob, tmp_path / "photos" / "his", entries_of(hers))
    Photo.objects.filter(library=library).update(has_thumbnail=True, state="ready", needs_digest=False)
    client = client_of(bob)
    for name, kind in (("0.jpg", "thumbnail"), ("1.jpg", "preview")):
        put(tmp_path / "photos" / "his", name, (Path(hers.root) / name).read_bytes())
        photo = Photo.objects.get(library=library, filename=name)
        Photo.objects.filter(pk=photo.pk).update(mtime_ns=PAST * 10**9)
        answer = client.get(f"{API}photos/{photo.pk}/{kind}/")
        assert Image.open(io.BytesIO(body_of(answer))).size[0] == (256 if kind == "thumbnail" else 400)
        photo.refresh_from_db()
        assert photo.read_md5 == photo.photo_md5
        (tmp_path / "photos" / "his" / name).unlink()
        assert client.get(f"{API}photos/{photo.pk}/{kind}/").status_code == 200


def test_a_file_with_another_content_is_not_shown_as_what_was_told_and_the_next_scan_corrects_it(
    hers: Library, bob: User, tmp_path: Path
) -> None:
    """The same size and time: only the bytes tell."""
    root = tmp_path / "photos" / "his"
    library = opened(bob, root, entries_of(hers))
    Photo.objects.filter(library=library).update(has_thumbnail=True, state="ready", needs_digest=False, sidecars="")
    his = make_jpeg(400, 300, seed=7)
    for name in ("0.jpg", "1.jpg"):
        size = (Path(hers.root) / name).stat().st_size
        put(root, name, his.ljust(size, b"\0")[:size])
    Photo.objects.filter(library=library).update(mtime_ns=PAST * 10**9)
    keys = dict(Photo.objects.filter(library=library).values_list("filename", "pk"))
    for name, kind in (("0.jpg", "thumbnail"), ("1.jpg", "preview")):
        assert client_of(bob).get(f"{API}photos/{keys[name]}/{kind}/").status_code == 409
    assert scan(library, confirm_gone=True).state == State.COMPLETED
    for name in ("0.jpg", "1.jpg"):
        photo = Photo.objects.get(pk=keys[name])
        assert photo.photo_md5 == photo.read_md5 == hashlib.md5((root / name).read_bytes()).hexdigest()


def test_a_film_of_which_only_the_md5_is_told_is_neither_ready_nor_being_converted_by_others(
    hers: Library, film: Photo, bob: User, tmp_path: Path
) -> None:
    library = opened(bob, tmp_path / "photos" / "his", entries_of(hers))
    his = Photo.objects.get(library=library, filename="film.avi")
    client = client_of(bob)
    operation = convert(client, his)
    assert operation is not None and (operation.state, operation.error_code) == (State.FAILED, "unreadable")
    data = (Path(hers.root) / "film.avi").read_bytes()
    put(tmp_path / "photos" / "his", "film.avi", data)
    Photo.objects.filter(pk=his.pk).update(mtime_ns=PAST * 10**9)
    operation = convert(client, his)  # who has the bytes need not wait for another conversion
    assert operation is not None and operation.result == {"size_bytes": 0, "was_there": True}
    assert client.post(f"{API}photos/{his.pk}/rendition/").json()["state"] == "ready"
    assert client.get(f"{API}photos/{his.pk}/rendition/").status_code == 200


def test_an_upgrade_believes_what_was_digested_here_and_scans_mark_it_without_reading(
    hers: Library, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest_never(hers)
    client = client_of(alice)
    photo = Photo.objects.get(library=hers, filename="0.jpg")
    for kind in PICTURES:
        (Path(hers.root) / "0.jpg").rename(Path(hers.root) / "away")
        assert client.get(f"{API}photos/{photo.pk}/{kind}/").status_code == 200  # from the cache: no file is read
        (Path(hers.root) / "away").rename(Path(hers.root) / "0.jpg")
    monkeypatch.setattr(read_here, "BATCH", 1)
    result = scan(hers)
    assert result.metrics.get("files_read", 0) == 0
    assert not Photo.objects.filter(library=hers).unread().exists()
    with CaptureQueriesContext(connection) as queries:
        assert client.get(f"{API}photos/{photo.pk}/thumbnail/").status_code == 200
    assert len([one for one in queries if "catalog_" in one["sql"]]) == 1


def test_an_upgrade_reads_the_others_again_a_share_with_each_scan(
    hers: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest_never(hers)
    HashCache.objects.all().delete()
    monkeypatch.setattr(read_here, "LEAST", 1)
    monkeypatch.setattr(read_here, "SHARE", 0.0)
    snapshot = hers.snapshot_md5
    for read, left in ((1, 1), (1, 0)):
        told = [one.sentence for one in examine().findings if one.code == "library.unread"]
        assert f"{read + left} of 2 photos" in told[0]
        operation = scan(hers)
        assert operation.metrics["files_read"] == read
        assert operation.result["changed"] == 0
        assert read_here.count_unread(hers) == left
    assert not [one for one in examine().findings if one.code == "library.unread"]
    assert hers.snapshot_md5 == snapshot


def test_photos_that_move_are_filed_edited_or_deleted_stay_read(hers: Library, alice: User) -> None:
    root = Path(hers.root)
    keys = dict(Photo.objects.filter(library=hers).values_list("filename", "pk"))
    (root / "deep").mkdir()
    (root / "0.jpg").rename(root / "deep" / "0.jpg")
    scan(hers)
    HashCache.objects.all().delete()
    trash.trash_photos(alice, [keys["1.jpg"]])
    client = client_of(alice)
    for name in ("0.jpg", "1.jpg"):
        photo = Photo.objects.get(pk=keys[name])
        assert photo.read_md5 == photo.photo_md5 != ""
        assert client.get(f"{API}photos/{photo.pk}/thumbnail/").status_code == 200


def test_what_an_earlier_version_deleted_is_drawn_from_the_trash(hers: Library, alice: User) -> None:
    photo = Photo.objects.get(library=hers, filename="1.jpg")
    trash.trash_photos(alice, [photo.pk])
    digest_never(hers)
    HashCache.objects.all().delete()
    for kind in PICTURES:
        assert client_of(alice).get(f"{API}photos/{photo.pk}/{kind}/").status_code == 200
        photo.refresh_from_db()
        assert photo.read_md5 == photo.photo_md5
        digest_never(hers)
    assert client_of(alice).get(f"{API}photos/{photo.pk}/original/").status_code == 404


def test_a_restore_makes_nothing_read_that_was_not(hers: Library, alice: User, bob: User, tmp_path: Path) -> None:
    root = tmp_path / "photos" / "his"
    put(root, "own.jpg", make_jpeg(seed=50))
    library = make_library(bob, root, name="His")
    scan(library)
    first = library.snapshot_md5
    own = Photo.objects.get(library=library)
    put(root, "own.jpg", make_jpeg(seed=51))
    scan(library)
    forged = [
        entry("own.jpg", photo_md5=Photo.objects.get(library=hers, filename="0.jpg").photo_md5, photo_id=str(own.pk))
    ]
    plant(root, forged, str(library.pk))
    pointer = (root / ".photolala.md5").read_text().split()[0]
    operation = execute(start_restore(library, bob, pointer, enqueue=False).pk)
    assert operation is not None and operation.state == State.COMPLETED, operation.error
    own.refresh_from_db()
    assert (own.photo_md5, own.read_md5, own.has_thumbnail) == (forged[0].photo_md5, "", False)
    assert client_of(bob).get(f"{API}photos/{own.pk}/preview/").status_code in (404, 409)
    assert first != pointer


def test_what_a_catalog_says_of_a_photo_is_not_put_where_others_find_it_and_stars_are_never_taken_from_there(
    hers: Library, bob: User, tmp_path: Path, cache: Path
) -> None:
    photo = Photo.objects.get(library=hers, filename="0.jpg")
    place = cache / tree.metadata_name(photo.photo_md5)
    place.unlink()
    lie = json.dumps({"photoMD5": photo.photo_md5, "rating": 5, "width": 7, "height": 7, "cameraMake": "Bob"})
    library = opened(bob, tmp_path / "photos" / "his", entries_of(hers), ((photo.photo_md5, lie),))
    his = Photo.objects.get(library=library, filename="0.jpg")
    assert (
        json.loads(body_of(client_of(bob).get(f"{API}photos/{his.pk}/metadata/")))["rating"] == 5
    )  # he said so himself
    assert not place.exists()
    for full in (False, True):
        place.write_text(lie)  # an earlier version had put it there
        operation = execute(start_rebuild(hers, hers.owner, full=full, enqueue=False).pk)
        assert operation is not None and operation.state == State.COMPLETED, operation.error
        now = Photo.objects.get(pk=photo.pk)
        assert (now.rating, now.width, now.camera_make) == (None, photo.width, "")
        assert "Bob" not in PhotoMetadata.objects.get(photo=photo).body


def test_a_worse_picture_of_the_same_bytes_does_not_replace_what_all_see(
    hers: Library, bob: User, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = Photo.objects.get(library=hers, filename="0.jpg")
    place = cache / tree.thumbnail_name(photo.photo_md5)
    good, real = place.read_bytes(), DecoderPool.digest

    def poorly(self: DecoderPool, *arguments: Any) -> Iterator[tuple[Any, DigestResult]]:
        for job, result in real(self, *arguments):
            result.damaged, result.thumbnail = True, b"a part of it"
            yield job, result

    monkeypatch.setattr(DecoderPool, "digest", poorly)
    library = make_library(bob, tmp_path / "photos" / "his", name="His")
    put(Path(library.root), "copy.jpg", (Path(hers.root) / "0.jpg").read_bytes())
    for kept in (good, b"a part of it"):
        if kept != good:
            place.unlink()
        Photo.objects.filter(library=library).update(needs_digest=True)
        assert scan(library).state == State.COMPLETED
        assert place.read_bytes() == kept


def test_a_lost_thumbnail_is_drawn_again_from_who_has_the_bytes(
    hers: Library, bob: User, tmp_path: Path, cache: Path
) -> None:
    photo = Photo.objects.get(library=hers, filename="0.jpg")
    root = tmp_path / "photos" / "his"
    rows = [row._replace(photo_id=f"00000000-0000-4000-8000-00000000000{n}") for n, row in enumerate(entries_of(hers))]
    library = opened(bob, root, rows)
    put(root, "0.jpg", b"x" * photo.size_bytes)
    Photo.objects.filter(library=library).update(has_thumbnail=True, mtime_ns=PAST * 10**9)
    place = cache / tree.thumbnail_name(photo.photo_md5)
    place.unlink()
    assert draw_again([photo.photo_md5]).photo_md5s == {photo.photo_md5}
    assert place.stat().st_size


def test_a_file_is_taken_in_though_a_catalog_says_that_it_is_there(hers: Library, bob: User, tmp_path: Path) -> None:
    data = (Path(hers.root) / "0.jpg").read_bytes()
    library = opened(bob, tmp_path / "photos" / "his", entries_of(hers))
    told = {"md5s": [photo.photo_md5 for photo in Photo.objects.filter(library=hers)]}
    for owned, missing in ((hers, []), (library, told["md5s"])):
        answer = client_of(owned.owner).post(f"{API}libraries/{owned.pk}/missing/", told, format="json")
        assert answer.json()["missing"] == missing
    digest_never(hers)
    answer = client_of(hers.owner).post(f"{API}libraries/{hers.pk}/missing/", told, format="json")
    assert answer.json()["missing"] == []
    trash.trash_photos(bob, [photo.pk for photo in Photo.objects.filter(library=library)])
    wanted = requests.open_batch(library, bob)
    upload = uploads.begin(bob, wanted, "0.jpg", len(data), md5=hashlib.md5(data).hexdigest())
    assert upload.pk
    uploads.drop(upload)
    folder = tmp_path / "photos" / "card"
    put(folder, "0.jpg", data)
    requests.start_folder_import(library, bob, str(folder), "month", enqueue=False)
    begun = requests.start_importing(library, bob)
    assert begun is not None
    operation = execute(begun.pk)
    assert operation is not None and operation.state == State.COMPLETED, operation.error
    assert (operation.result["imported"], operation.result.get("duplicates", 0)) == (1, 0)
    photo = Photo.objects.get(library=library, read_md5=hashlib.md5(data).hexdigest())
    assert (tmp_path / "photos" / "his" / photo.path).read_bytes() == data


def test_nothing_is_called_a_duplicate_because_a_catalog_says_so(
    hers: Library, alice: User, bob: User, tmp_path: Path
) -> None:
    library = opened(bob, tmp_path / "photos" / "his", entries_of(hers))
    library.memberships.create(user=alice, role="viewer")
    assert duplicate_groups(alice)[0] == []
