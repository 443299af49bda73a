"""Restoring and rebuilding: stars, favourites and files agree afterwards, and what was given meanwhile stays."""

import os
from datetime import datetime
from pathlib import Path

import pytest

from catalog.edits.dates import Setting, plan, set_dates
from catalog.edits.ratings import set_ratings
from catalog.entries import counts
from catalog.history.copies import opened
from catalog.history.restore import start_restore
from catalog.libraries import adding
from catalog.models import Favourite, Library, Photo
from catalog.scanning.rebuild import start_rebuild
from operations.models import State
from operations.running import execute
from tests.catalog.scanning.test_scan import scan
from tests.factories import make_jpeg, make_photo

pytestmark = pytest.mark.django_db
PAST = 1_600_000_000
XMP = """<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>
<rdf:Description rdf:about='' xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmp:Rating='{}'/></rdf:RDF></x:xmpmeta>"""


@pytest.fixture
def root(tmp_path, settings) -> Path:
    settings.PHOTO_ROOTS = [str(tmp_path)]
    root = tmp_path / "photos"
    root.mkdir()
    for number in range(6):
        put(root / f"{number}.jpg", make_jpeg(seed=number))
    return root


def put(file: Path, data: bytes, time: int = PAST) -> None:
    file.write_bytes(data)
    os.utime(file, (time, time))


def added(alice, root: Path, ratings: str) -> Library:
    library = adding.add_library(alice, str(root), ratings=ratings)
    scan(library)
    return library


def stars(library: Library) -> dict[str, tuple]:
    """Rating, whether it is held, and the owner's favourite, of what has any of them."""
    liked = dict(Favourite.objects.filter(user=library.owner).values_list("photo__filename", "rating"))
    rows = Photo.objects.filter(library=library).values_list("filename", "rating", "rating_held")
    found = {name: (rating, held, liked.get(name)) for name, rating, held in rows}
    return {name: row for name, row in found.items() if row != (None, False, None)}


def photo(library: Library, name: str) -> Photo:
    return Photo.objects.get(library=library, filename=name)


def restored(library: Library, md5: str = "") -> dict:
    operation = execute(start_restore(library, library.owner, md5, enqueue=False).pk)
    assert operation.state == State.COMPLETED, (operation.error, operation.error_detail)
    library.refresh_from_db()
    return operation.result


def rebuilt(library: Library, **options) -> dict:
    operation = execute(start_rebuild(library, library.owner, enqueue=False, **options).pk)
    assert operation.state == State.COMPLETED, (operation.error, operation.error_detail)
    library.refresh_from_db()
    return operation.result


def assert_snapshot_says_the_same(library: Library) -> None:
    library.refresh_from_db()
    assert library.snapshot_revision == library.revision
    with opened(library, library.snapshot_md5) as (snapshot,):
        said = {entry.photo_id: entry.rating for entry in snapshot.entries()}
        given = {one.photo_id for one in snapshot.given() if one.has_rating}
    present = Photo.objects.filter(library=library).exclude(state="missing")
    assert said == {str(key): rating for key, rating in present.values_list("pk", "rating")}
    assert given == {str(key) for key in present.filter(rating_held=True).values_list("pk", flat=True)}


def test_where_the_catalog_alone_has_them_stars_and_favourites_are_those_of_the_snapshot(alice, root):
    library = added(alice, root, "database")
    none_yet = library.snapshot_md5
    set_ratings(alice, [photo(library, "1.jpg").pk, photo(library, "2.jpg").pk], 4)
    scan(library)
    first, given = library.snapshot_md5, stars(library)
    set_ratings(alice, [photo(library, "1.jpg").pk], 2)
    set_ratings(alice, [photo(library, "2.jpg").pk], 0)
    set_ratings(alice, [photo(library, "3.jpg").pk], 5)
    restored(library, first)
    assert stars(library) == given == {"1.jpg": (4, True, 4), "2.jpg": (4, True, 4)}
    scan(library)
    assert stars(library) == given
    assert_snapshot_says_the_same(library)
    restored(library, none_yet)
    scan(library)
    assert stars(library) == {}
    rebuilt(library)
    assert stars(library) == {}
    restored(library, first)
    rebuilt(library, full=True)
    assert stars(library) == given
    assert_snapshot_says_the_same(library)


def test_xmp_files_are_read_again_where_the_snapshot_says_something_else(alice, root):
    put(root / "1.jpg.xmp", XMP.format(3).encode())
    library = added(alice, root, "sidecar")
    first = library.snapshot_md5
    assert stars(library) == {"1.jpg": (3, False, 3)}
    put(root / "1.jpg.xmp", XMP.format(5).encode(), PAST + 100)
    scan(library)
    assert stars(library) == {"1.jpg": (5, False, 5)}
    restored(library, first)
    assert stars(library) == {"1.jpg": (3, False, 3)}
    scan(library)
    assert stars(library) == {"1.jpg": (5, False, 5)}
    assert_snapshot_says_the_same(library)


@pytest.mark.parametrize("again", [restored, rebuilt])
def test_stars_that_wait_for_their_file_stay_with_the_photo(alice, root, again):
    library = added(alice, root, "file")
    set_ratings(alice, [photo(library, "1.jpg").pk], 4)
    again(library)
    scan(library)
    assert stars(library) == {"1.jpg": (4, True, 4)}
    assert photo(library, "1.jpg").writes.get().wanted == {"rating": 4}


def test_stars_that_were_taken_away_stay_so_in_a_rebuild(alice, root):
    library = added(alice, root, "database")
    set_ratings(alice, [photo(library, "1.jpg").pk], 4)
    set_ratings(alice, [photo(library, "1.jpg").pk], 0)
    rebuilt(library)
    row = photo(library, "1.jpg")
    assert (row.rating, row.rating_held) == (None, True)  # none, not 0
    assert_snapshot_says_the_same(library)


MEANWHILE = {
    "while it reads": "catalog.scanning.rebuild.Rebuild._require_whole",
    "when it knows who is who": "catalog.scanning.rebuild_work.RebuildWork.name_new",
    "before it plans": "catalog.history.switch.planned",
    "before it switches": "catalog.history.switch.Switch.look_for_thumbnails",
}


def meanwhile(monkeypatch, moment: str, act) -> None:
    """Let `act` happen at the moment, once."""
    module, _, name = moment.rpartition(".")
    target: object = __import__("catalog")
    for part in module.split(".")[1:]:
        target = getattr(target, part)
    original = getattr(target, name)
    acts = [act]

    def first(*arguments, **options):
        while acts:
            acts.pop()()
        return original(*arguments, **options)

    monkeypatch.setattr(target, name, first)


@pytest.mark.parametrize("policy", ["database", "sidecar", "file"])
@pytest.mark.parametrize("moment", MEANWHILE)
def test_a_rebuild_ends_and_keeps_what_is_given_meanwhile(alice, root, monkeypatch, moment, policy):
    library = added(alice, root, policy)
    set_ratings(alice, [photo(library, "1.jpg").pk, photo(library, "2.jpg").pk], 4)

    def act() -> None:
        set_ratings(alice, [photo(library, "1.jpg").pk], 5)
        set_ratings(alice, [photo(library, "2.jpg").pk], 0)
        set_ratings(alice, [photo(library, "3.jpg").pk], 3)
        set_dates(alice, plan([photo(library, "3.jpg")], Setting(datetime(2001, 2, 3))))

    meanwhile(monkeypatch, MEANWHILE[moment], act)
    rebuilt(library, full=True)
    found = stars(library)
    assert (found["1.jpg"], found["3.jpg"]) == ((5, True, 5), (3, True, 3))
    assert found.get("2.jpg", (None, None, None))[::2] == (None, None)
    assert photo(library, "3.jpg").taken_text == "2001-02-03T00:00:00" and photo(library, "3.jpg").taken_held
    assert_snapshot_says_the_same(library)


def test_a_restore_ends_and_keeps_what_is_given_meanwhile(alice, root, monkeypatch):
    library = added(alice, root, "database")
    first = library.snapshot_md5
    set_ratings(alice, [photo(library, "1.jpg").pk, photo(library, "2.jpg").pk], 4)
    scan(library)
    act = lambda: set_ratings(alice, [photo(library, "1.jpg").pk], 5)  # noqa: E731
    meanwhile(monkeypatch, MEANWHILE["before it switches"], act)
    restored(library, first)
    assert stars(library) == {"1.jpg": (5, True, 5)}
    scan(library)
    assert stars(library) == {"1.jpg": (5, True, 5)}
    assert_snapshot_says_the_same(library)


def test_a_place_that_was_taken_meanwhile_is_left_to_who_took_it(alice, root, monkeypatch):
    library = added(alice, root, "database")
    first = library.snapshot_md5
    (root / "0.jpg").unlink()
    (root / "1.jpg").rename(root / "0.jpg")  # a chain: two photos want places that others have
    scan(library)

    def act() -> None:
        Photo.objects.filter(library=library, filename="1.jpg").update(filename="gone.jpg")
        Photo.objects.filter(library=library, filename="0.jpg").update(filename="moved.jpg")
        make_photo(library, "1.jpg", data=b"another", on_disk=False)
        counts.bump_revision(library)

    meanwhile(monkeypatch, MEANWHILE["before it switches"], act)
    restored(library, first)
    assert photo(library, "1.jpg").size_bytes == len(b"another")
    assert photo(library, "moved.jpg").state == Photo.State.READY
    scan(library, confirm_gone=True)
    assert_snapshot_says_the_same(library)


def test_the_image_digests_of_known_pictures_are_kept(alice, root):
    library = added(alice, root, "database")
    first = library.snapshot_md5
    before = dict(Photo.objects.values_list("photo_md5", "image_digest"))
    (root / "0.jpg").rename(root / "swap")
    (root / "1.jpg").rename(root / "0.jpg")
    (root / "swap").rename(root / "1.jpg")
    Photo.objects.filter(filename="0.jpg").update(filename="swap")
    Photo.objects.filter(filename="1.jpg").update(filename="0.jpg")
    Photo.objects.filter(filename="swap").update(filename="1.jpg")
    zero, one = photo(library, "0.jpg"), photo(library, "1.jpg")
    for row, other in ((zero, one), (one, zero)):
        fields = {name: getattr(other, name) for name in ("photo_md5", "head_md5", "image_digest", "size_bytes")}
        Photo.objects.filter(pk=row.pk).update(**fields)
    counts.bump_revision(library)
    restored(library, first)
    assert all(before.values()) and dict(Photo.objects.values_list("photo_md5", "image_digest")) == before
