"""Looks of pictures: each scan tells those of new photos, and those of an earlier version's by their thumbnails."""

from pathlib import Path

import pytest

from catalog.cache import tree
from catalog.models import Photo
from catalog.scanning.later_columns import Filling
from catalog.scanning.looks import without_look
from tests.catalog.browsing.test_queries import plans_of
from tests.catalog.scanning.test_scan import (
    library,  # noqa: F401
    root,  # noqa: F401
    scan,
)
from tests.photos import make_jpeg

pytestmark = pytest.mark.django_db


@pytest.fixture
def scanned(library, root):  # noqa: F811
    for number in range(4):
        make_jpeg(root / f"{number}.jpg", seed=number, size=(96, 72))
    scan(library)
    return library


def looks() -> dict[str, int | None]:
    return dict(Photo.objects.values_list("filename", "look"))


def test_photos_of_an_earlier_version_get_theirs_from_their_thumbnails(scanned, root, monkeypatch):  # noqa: F811
    before = looks()
    assert len(set(before.values())) == 4 and all(before.values())
    Photo.objects.update(look=None)
    Photo.objects.filter(filename="1.jpg").update(media_type="video/mp4")
    Photo.objects.filter(filename="2.jpg").update(read_md5="")  # only told: the thumbnail may be another's
    monkeypatch.setattr("catalog.entries.read_here.ask_for_unread", lambda *_, **__: 0)
    monkeypatch.setattr("catalog.entries.read_here.mark_those_known", lambda *_: 0)
    with monkeypatch.context() as patch:
        patch.setattr(Filling, "_jobs", lambda *_: 1 / 0)  # no original is read
        scan(scanned)
    after = looks()
    assert (after["1.jpg"], after["2.jpg"]) == (0, None)
    for name in ("0.jpg", "3.jpg"):
        assert (after[name] ^ before[name]).bit_count() <= 2, name
    assert not without_look(scanned).exists()


def test_without_a_thumbnail_the_original_is_read(scanned):
    before = looks()
    photo = Photo.objects.get(filename="0.jpg")
    Photo.objects.update(look=None)
    tree.cache().delete(tree.thumbnail_name(photo.photo_md5))
    scan(scanned)
    assert looks()["0.jpg"] == before["0.jpg"] and None not in looks().values()


def test_those_to_be_looked_at_are_found_in_their_index(scanned):
    plans = plans_of(lambda: without_look(scanned).values_list("pk").first())
    assert "INDEX photo_look_unread (library_id=?" in plans or not plans


def test_another_file_in_its_place_gets_its_own(scanned, root):  # noqa: F811
    before = looks()
    make_jpeg(Path(root) / "0.jpg", seed=77, size=(96, 72), mtime=1_600_000_000)
    scan(scanned)
    assert looks()["0.jpg"] not in (None, before["0.jpg"]) and looks()["1.jpg"] == before["1.jpg"]
