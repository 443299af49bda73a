"""Favourites: stars of one's own."""

from pathlib import Path

import pytest

from catalog.edits.favourites import set_favourite, set_favourites, toggle_favourite
from catalog.models import Favourite
from tests.factories import make_library, make_photos, make_user

pytestmark = pytest.mark.django_db


def test_set_toggle_and_take_away(tmp_path: Path) -> None:
    alice = make_user("alice")
    photo = make_photos(make_library(alice, tmp_path / "x"), 1)[0]
    assert toggle_favourite(alice, photo).rating == 5
    assert set_favourite(alice, photo.pk, 2).rating == 2
    assert Favourite.objects.get().rating == 2
    assert toggle_favourite(alice, photo).favorited is False
    assert set_favourite(alice, photo, 0).rating == 0
    with pytest.raises(ValueError, match="0 to 5"):
        set_favourite(alice, photo, 6)


@pytest.mark.promise("S2-044")
def test_a_thousand_at_once(tmp_path: Path) -> None:
    alice = make_user("alice")
    photos = make_photos(make_library(alice, tmp_path / "x"), 1000)
    ids = [photo.pk for photo in photos]
    set_favourite(alice, photos[0], 1)
    assert set_favourites(alice, ids, 4) == {"success_count": 1000, "error_count": 0, "errors": []}
    assert set(Favourite.objects.values_list("rating", flat=True)) == {4}
    assert set_favourites(alice, ids, 0)["success_count"] == 1000
    assert not Favourite.objects.exists()
