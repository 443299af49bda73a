"""Stars: the owner's go into the files, other people's are their own, and no byte changes that need not."""

import hashlib
import json
import os
from pathlib import Path

import pytest
from rest_framework.test import APIClient

from catalog.cache import tree
from catalog.cache.tree import cache
from catalog.edits import undo
from catalog.edits.ratings import set_ratings
from catalog.edits.stars import star
from catalog.entries import pending_writes
from catalog.identity.aliases import current_md5
from catalog.media.exiftool import ExifTool
from catalog.models import (
    Alias,
    Favourite,
    FileWrite,
    HashCache,
    Library,
    Photo,
    PhotoMetadata,
    QueuedStar,
)
from catalog.scanning.rebuild import start_rebuild
from operations.models import State
from operations.running import execute
from tests.catalog.scanning.test_scan import scan
from tests.factories import make_jpeg, make_library

pytestmark = pytest.mark.django_db


@pytest.fixture
def library(alice, tmp_path) -> Library:
    library = make_library(alice, tmp_path / "photos")
    for number in range(3):
        (Path(library.root) / f"{number}.jpg").write_bytes(make_jpeg(seed=number))
    past = 1_700_000_000
    for file in Path(library.root).iterdir():
        os.utime(file, (past, past))
    scan(library)
    return library


def write_all(library):
    operation = pending_writes.start_writing(library, library.owner)
    assert operation is not None
    operation = execute(operation.pk)
    assert operation.state == State.COMPLETED, (operation.error, operation.error_detail)
    return operation.result


_exiftool = ExifTool()
"""One for all questions of tests; to start it takes a quarter of a second."""


def tags_of(path: Path) -> dict:
    """What exiftool says of a file: one of the tests' own, which writes nothing."""
    said = _exiftool.ask(["-json", "-G1", "-n", "-a", str(path)], 60)
    (tags,) = json.loads(said[said.index("[{") :])
    assert "ExifTool:Error" not in tags, tags
    return tags


def touched(library):
    """What any write to a file changes; reading one (the pointer is read) changes none of these."""
    facts = {name: os.stat(Path(library.root) / name) for name in os.listdir(library.root)}
    return {name: (one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for name, one in facts.items()}


def photo(library, name):
    return Photo.objects.get(library=library, filename=name)


@pytest.mark.promise("S2-024", "S2-046", "S2-047", "S2-067", "S2-X08", "S2-X09")
def test_a_star_is_in_the_file_as_every_program_reads_it(library):
    star(library.owner, photo(library, "0.jpg").pk, 5)
    assert write_all(library)["written"] == 1
    tags = tags_of(Path(library.root) / "0.jpg")
    assert (tags["IFD0:Rating"], tags["IFD0:RatingPercent"]) == (5, 99)
    assert (tags["XMP-xmp:Rating"], tags["XMP-microsoft:RatingPercent"]) == (5, 99)
    assert not [name for name in os.listdir(library.root) if name.startswith(".photolala-write")]


@pytest.mark.promise("S2-X10")
def test_the_catalog_knows_the_new_bytes_and_the_next_scan_finds_nothing_to_do(library):
    before = photo(library, "0.jpg")
    star(library.owner, before.pk, 3)
    write_all(library)
    after = photo(library, "0.jpg")
    assert (after.pk, after.rating, after.rating_held) == (before.pk, 3, False)
    assert after.photo_md5 != before.photo_md5
    assert HashCache.objects.get(library=library, path="0.jpg").photo_md5 == after.photo_md5
    result = scan(library).result
    assert (result["unchanged"], result["changed"], result["added"]) == (3, 0, 0)
    assert photo(library, "0.jpg").rating == 3


@pytest.mark.promise("X-01")
def test_all_that_hangs_on_the_old_bytes_follows_one_star_or_nothing_does(library, monkeypatch):
    file = Path(library.root) / "0.jpg"
    old = file.read_bytes()
    before = photo(library, "0.jpg")
    with cache().open(tree.thumbnail_name(before.photo_md5)) as stream:
        picture = stream.read()

    def known():
        row = Photo.objects.values("head_md5", "size_bytes", "mtime_ns", "photo_md5", "read_md5").get(pk=before.pk)
        hashes = HashCache.objects.values("head_md5", "size_bytes", "mtime_ns", "photo_md5").get(path="0.jpg")
        return row, hashes, PhotoMetadata.objects.get(photo=before).body, Alias.objects.count()

    at_first = known()
    star(library.owner, before.pk, 5)

    def end(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("catalog.identity.rekey.note_aliases", end)
        execute(pending_writes.start_writing(library, library.owner).pk)
    assert known() == at_first
    write_all(library)
    new = file.read_bytes()
    assert new != old
    facts = {
        "head_md5": hashlib.md5(new[:4096]).hexdigest(),
        "size_bytes": len(new),
        "mtime_ns": file.stat().st_mtime_ns,
        "photo_md5": hashlib.md5(new).hexdigest(),
    }
    row, hashes, body, _ = known()
    assert (row, hashes) == ({**facts, "read_md5": facts["photo_md5"]}, facts)
    assert json.loads(body)["photoMD5"] == facts["photo_md5"]
    with cache().open(tree.metadata_name(facts["photo_md5"])) as stream:
        assert json.loads(stream.read()) == json.loads(body)
    with cache().open(tree.thumbnail_name(facts["photo_md5"])) as stream:
        assert stream.read() == picture
    assert QueuedStar.objects.get().photo_md5 == facts["photo_md5"]
    assert current_md5(library, before.photo_md5) == facts["photo_md5"]
    assert photo(library, "0.jpg").image_digest == before.image_digest != ""  # an equal file is still found to be one


@pytest.mark.promise("S2-077")
def test_a_favourite_from_the_click_into_the_file_through_a_new_catalog_and_back(library):
    client = APIClient()
    client.force_authenticate(library.owner)
    file, one = Path(library.root) / "0.jpg", photo(library, "0.jpg")
    before = file.read_bytes()

    def favourites():
        return [row["id"] for row in client.get("/api/v1/photos/favorites/").json()["results"]]

    def click():
        return client.post(f"/api/v1/photos/{one.pk}/favorite/").json()

    assert favourites() == []
    assert click() == {"photo_id": str(one.pk), "rating": 5, "favorited": True}
    assert favourites() == [str(one.pk)]
    write_all(library)
    assert tags_of(file)["IFD0:Rating"] == 5
    Photo.objects.filter(pk=one.pk).update(rating=None, rating_held=False)
    Favourite.objects.all().delete()
    assert favourites() == []
    execute(start_rebuild(library, library.owner, full=True, enqueue=False).pk)
    assert favourites() == [str(one.pk)]
    assert click() == {"photo_id": str(one.pk), "rating": 0, "favorited": False}
    assert favourites() == []
    write_all(library)
    assert file.read_bytes() == before


@pytest.mark.promise("S2-U15")
def test_taking_the_star_away_gives_back_the_very_bytes(library):
    file = Path(library.root) / "1.jpg"
    before = file.read_bytes()
    pk = photo(library, "1.jpg").pk
    for stars in (5, 2, 4):
        star(library.owner, pk, stars)
        write_all(library)
        assert tags_of(file)["XMP-xmp:Rating"] == stars
    star(library.owner, pk, 0)
    write_all(library)
    assert file.read_bytes() == before
    assert photo(library, "1.jpg").rating is None


@pytest.mark.promise("S2-045")
def test_what_was_never_rated_is_never_touched(library):
    before = touched(library)
    set_ratings(library.owner, list(Photo.objects.values_list("pk", flat=True)), 0)
    assert not FileWrite.objects.exists()
    assert write_all(library)["written"] == 0
    assert touched(library) == before


def test_another_persons_star_touches_no_file(library, bob):
    library.memberships.create(user=bob, role="editor")
    star(bob, photo(library, "0.jpg").pk, 5)
    assert not FileWrite.objects.exists()
    assert photo(library, "0.jpg").rating is None
    assert Favourite.objects.get().user == bob


def test_a_scan_does_not_overwrite_a_star_that_waits(library):
    pk = photo(library, "0.jpg").pk
    star(library.owner, pk, 4)
    (Path(library.root) / "0.jpg").write_bytes(make_jpeg(seed=99))
    scan(library)
    assert photo(library, "0.jpg").rating == 4
    write_all(library)
    assert tags_of(Path(library.root) / "0.jpg")["IFD0:Rating"] == 4
    assert not photo(library, "0.jpg").rating_held


@pytest.mark.promise("S4-072", "X-02")
def test_stars_enter_the_star_queue(library):
    first = photo(library, "0.jpg")
    star(library.owner, first.pk, 5)
    assert QueuedStar.objects.get().operation == "star"
    write_all(library)
    assert QueuedStar.objects.get().photo_md5 == photo(library, "0.jpg").photo_md5
    star(library.owner, first.pk, 0)
    assert QueuedStar.objects.get().operation == "unstar"


def test_stars_beside_the_photo(library):
    Library.objects.filter(pk=library.pk).update(ratings="sidecar")
    library.refresh_from_db()
    file = Path(library.root) / "0.jpg"
    before = file.read_bytes()
    star(library.owner, photo(library, "0.jpg").pk, 4)
    assert write_all(library)["written"] == 1
    assert file.read_bytes() == before
    assert tags_of(Path(library.root) / "0.jpg.xmp")["XMP-xmp:Rating"] == 4
    assert scan(library).result["changed"] == 0
    star(library.owner, photo(library, "0.jpg").pk, 1)
    write_all(library)
    assert tags_of(Path(library.root) / "0.jpg.xmp")["XMP-xmp:Rating"] == 1
    assert photo(library, "0.jpg").rating == 1


def test_undo_takes_back_the_last_write(library):
    pk = photo(library, "0.jpg").pk
    star(library.owner, pk, 2)
    write_all(library)
    two = (Path(library.root) / "0.jpg").read_bytes()
    star(library.owner, pk, 5)
    write_all(library)
    assert undo.undo_rating(photo(library, "0.jpg"), library.owner) == 2
    write_all(library)
    assert tags_of(Path(library.root) / "0.jpg")["IFD0:Rating"] == 2
    assert FileWrite.objects.filter(state="undone").count() == 1
    assert len((Path(library.root) / "0.jpg").read_bytes()) == len(two)
