"""Saved searches as pages: saved from the results, shown as a timeline, changed, deleted and brought back."""

import pytest
from django.test import Client
from django.urls import reverse

from catalog.albums import albums
from catalog.models import Album
from tests.factories import make_photo

from .conftest import Cast


@pytest.fixture
def album(alice: Client, cast: Cast) -> Album:
    """Alice saves a search from its results."""
    make_photo(cast.library, "beach/one.jpg", has_thumbnail=True)
    page = alice.get("/search/?q=beach").content.decode()
    assert 'name="q" value="beach"' in page and "Save search" in page
    answer = alice.post(reverse("albums:list"), {"q": "beach", "title": "By the sea"})
    album = Album.objects.get()
    assert answer.url == reverse("albums:album", args=[album.pk])
    assert (album.title, album.query, album.owner) == ("By the sea", {"q": "beach"}, cast.alice)
    return album


def test_it_opens_as_a_timeline_from_its_card(alice: Client, album: Album) -> None:
    cards = alice.get(reverse("albums:list")).content.decode()
    assert "Saved search: beach" in cards and "1 photo" in cards and "/thumbnail/" in cards
    page = alice.get(reverse("albums:album", args=[album.pk])).content.decode()
    assert f"{{&quot;album&quot;: &quot;{album.pk}&quot;}}" in page
    assert 'id="timeline"' in page


def test_a_photo_that_is_opened_there_leads_back_to_it(alice: Client, album: Album, cast: Cast) -> None:
    photo = cast.library.photos.get()
    page = alice.get(reverse("catalog:photo", args=[photo.pk]), {"album": album.pk}).content.decode()
    assert f'data-home-url="{reverse("albums:album", args=[album.pk])}"' in page


def test_settings_change_the_search_and_refuse_one_that_makes_no_sense(alice: Client, album: Album) -> None:
    address = reverse("albums:settings", args=[album.pk])
    page = alice.get(address).content.decode()
    assert 'name="q" value="beach"' in page
    assert "Shared with" not in page and 'name="order"' not in page
    answer = alice.post(address, {"title": "Sea", "description": "", "q": "taken:soon"})
    assert answer.status_code == 422 and 'value="taken:soon"' in answer.content.decode()
    assert alice.post(address, {"title": "Sea", "description": "", "q": "sea"}).status_code == 302
    album.refresh_from_db()
    assert (album.title, album.query) == ("Sea", {"q": "sea"})


def test_it_is_deleted_and_brought_back_at_once(alice: Client, bob: Client, album: Album) -> None:
    answer = alice.post(reverse("albums:delete", args=[album.pk]))
    assert bob.get(answer.url).content.decode().count("Undo") == 0
    page = alice.get(answer.url).content.decode()
    assert "Undo" in page and str(album.pk) in page
    assert alice.get(reverse("albums:album", args=[album.pk])).status_code == 404
    answer = alice.post(reverse("albums:trash"), {"kind": "album", "id": str(album.pk), "back": "1"})
    assert answer.url == reverse("albums:list")
    assert alice.get(reverse("albums:album", args=[album.pk])).status_code == 200


def test_others_do_not_see_it(bob: Client, album: Album) -> None:
    for name in ("album", "settings"):
        assert bob.get(reverse(f"albums:{name}", args=[album.pk])).status_code == 404
    assert "beach" not in bob.get(reverse("albums:list")).content.decode()


def test_no_draft_goes_there(alice: Client, album: Album, cast: Cast) -> None:
    other = albums.create(cast.alice, album.pk.__class__(int=7), {"title": "Of items"})
    draft = alice.post(reverse("albums:draft-new"))
    page = alice.get(draft.url).content.decode()
    assert str(other.pk) in page and str(album.pk) not in page
