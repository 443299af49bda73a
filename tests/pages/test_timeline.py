"""The timeline's pages: who may see them, what they hand to the script, and the plain list."""

import json
import re
import uuid
from datetime import UTC, datetime
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from catalog.models import Favourite, Library, Photo
from tests.factories import make_library, make_photo, make_photos, make_user

pytestmark = pytest.mark.django_db
QUERIES_OF_A_PAGE = 8  # session, user, the frame's operations, libraries; one more for each of the page's own


@pytest.fixture
def library(cast) -> Library:
    """Alice's library, which bob may see."""
    return cast.library


def handed_over(response, name: str) -> object:
    """Return what the page hands to the script in `data-<name>`."""
    match = re.search(rf'data-{name}="([^"]*)"', response.content.decode())
    assert match, f"the page has no data-{name}"
    return json.loads(unescape(match[1]))


def addresses(library: Library, photo: Photo) -> list[str]:
    """Return the address of every page of the timeline."""
    return [
        reverse("catalog:timeline"),
        reverse("catalog:favourites"),
        reverse("catalog:photo-list"),
        reverse("catalog:library-timeline", args=[library.pk]),
        reverse("catalog:photo", args=[photo.pk]),
    ]


def test_pages_are_shown_to_those_who_may_see_and_want_a_sign_in(library, alice, bob):
    photo = make_photo(library)
    for address in addresses(library, photo):
        assert alice.get(address).status_code == 200, address
        assert bob.get(address).status_code == 200, address
        answer = Client().get(address)
        assert answer.status_code == 302, address
        assert answer["Location"].startswith(reverse("accounts:login")), address


def test_pages_only_read(library, alice):
    for address in addresses(library, make_photo(library)):
        assert alice.post(address).status_code == 405, address


def test_a_stranger_cannot_tell_a_photo_from_none(library, charlie):
    photo = make_photo(library)
    for there, not_there in (
        (reverse("catalog:photo", args=[photo.pk]), reverse("catalog:photo", args=[uuid.uuid4()])),
        (
            reverse("catalog:library-timeline", args=[library.pk]),
            reverse("catalog:library-timeline", args=[uuid.uuid4()]),
        ),
    ):
        assert charlie.get(there).status_code == 404
        assert charlie.get(not_there).status_code == 404
    assert photo.filename not in charlie.get(reverse("catalog:photo-list")).content.decode()


def test_the_script_is_told_which_photos_to_ask_for(library, alice):
    assert handed_over(alice.get(reverse("catalog:timeline")), "filters") == {}
    assert handed_over(alice.get(reverse("catalog:favourites")), "filters") == {"favourite": "true"}
    page = alice.get(reverse("catalog:library-timeline", args=[library.pk]))
    assert handed_over(page, "filters") == {"library": str(library.pk)}


def test_names_cannot_break_out_of_the_page(library, alice):
    library.name = "\"><script>alert(1)</script>' & co"
    library.save()
    page = alice.get(reverse("catalog:timeline"))
    assert handed_over(page, "libraries") == {str(library.pk): library.name}
    assert "<script>alert" not in page.content.decode()


def test_an_opened_photo_brings_its_place_and_its_surroundings(library, alice, cast):
    photo = make_photo(library, taken=datetime(2023, 4, 5, 6, 7, tzinfo=UTC))
    Favourite.objects.create(user=cast.alice, photo=photo)
    page = alice.get(reverse("catalog:photo", args=[photo.pk]))
    opened = handed_over(page, "photo")
    assert (opened["bucket"], opened["taken_local"]) == ("2023-04-05", "2023-04-05T06:07:00")
    assert opened["stars"] == 5 and opened["is_shown"] is True
    page = alice.get(reverse("catalog:photo", args=[photo.pk]), {"favourite": "true"})
    assert handed_over(page, "filters") == {"favourite": "true"}
    page = alice.get(reverse("catalog:photo", args=[photo.pk]), {"library": str(library.pk)})
    assert handed_over(page, "filters") == {"library": str(library.pk)}


def test_another_person_s_star_is_not_shown_as_mine(library, bob, cast):
    photo = make_photo(library)
    Favourite.objects.create(user=cast.alice, photo=photo)
    assert handed_over(bob.get(reverse("catalog:photo", args=[photo.pk])), "photo")["stars"] == 0


def test_a_broken_and_an_undated_photo_can_be_linked_to(library, alice):
    photo = make_photo(library, taken=None, state=Photo.State.BROKEN, is_shown=False, problem="It ends too early.")
    opened = handed_over(alice.get(reverse("catalog:photo", args=[photo.pk])), "photo")
    assert opened["bucket"] == "undated"
    assert (opened["is_shown"], opened["problem"]) == (False, "It ends too early.")


def test_bad_input_is_said_in_a_sentence(library, alice):
    photo = make_photo(library)
    for address, query in (
        (reverse("catalog:photo-list"), {"cursor": "nonsense"}),
        (reverse("catalog:photo-list"), {"library": "nonsense"}),
        (reverse("catalog:photo", args=[photo.pk]), {"library": "nonsense"}),
    ):
        assert alice.get(address, query).status_code == 400, (address, query)


def test_the_plain_list_reaches_every_photo_once(library, alice):
    made = {str(photo.pk) for photo in make_photos(library, 205, same_moment=True)}
    address, seen = reverse("catalog:photo-list"), []
    for _ in range(3):
        text = alice.get(address).content.decode()
        seen += re.findall(r'href="/photos/([0-9a-f-]{36})/"', text)
        following = re.search(r'href="(\?[^"]*cursor=[^"]*)"', text)
        if following:
            address = reverse("catalog:photo-list") + unescape(following[1])
    assert following is None
    assert len(seen) == len(made) and set(seen) == made


def test_pages_say_what_the_wall_clock_said_wherever_the_server_is(library, alice):
    """A server's zone is that of its machine: it is not that of the photos."""
    for path in ("a/1.jpg", "b/2.jpg"):
        make_photo(library, path, data=b"the same", taken=datetime(2020, 1, 2, 22, 30, tzinfo=UTC))
    with timezone.override("Asia/Tokyo"):
        assert "2 Jan 2020, 22:30" in alice.get(reverse("catalog:photo-list")).content.decode()
        assert "2020-01-02 22:30" in alice.get(reverse("catalog:duplicates")).content.decode()


@pytest.mark.parametrize("count", [2, 20])
def test_pages_ask_a_bounded_number_of_queries(
    count, library, alice, cast, tmp_path, django_assert_max_num_queries: DjangoAssertNumQueries
):
    photos = make_photos(library, count)
    for number in range(count):
        make_library(cast.alice, tmp_path / f"more-{number}", name=f"More {number}")
    for address in addresses(library, photos[0]):
        with django_assert_max_num_queries(QUERIES_OF_A_PAGE):
            alice.get(address)


def test_only_the_module_names_are_inline_and_the_policy_knows_them(library, alice):
    page = alice.get(reverse("catalog:timeline"))
    text = page.content.decode()
    inline = re.findall(r"<script(?![^>]*\bsrc=)([^>]*)>", text)
    assert len(inline) == 1 and 'type="importmap"' in inline[0]
    nonce = re.search(r'nonce="([^"]+)"', inline[0])[1]
    assert f"'nonce-{nonce}'" in page["Content-Security-Policy"]
    names = json.loads(re.search(r"<script type=\"importmap\"[^>]*>(.*?)</script>", text, re.DOTALL)[1])["imports"]
    assert all(address.startswith("/static/") for address in names.values())
    assert not re.search(r"\sstyle=|\son[a-z]+=", text)


def test_who_has_no_library_is_told_what_to_do(cast):
    newcomer = Client()
    newcomer.force_login(make_user("emma"))
    text = newcomer.get(reverse("catalog:timeline")).content.decode()
    assert "Add a library" in text and reverse("catalog:library-add") in text


def test_a_librarys_timeline_can_show_photos_of_so_many_stars(cast, alice):
    Library.objects.filter(pk=cast.library.pk).update(photo_count=1)
    photo = make_photo(cast.library, "a.jpg", rating=4)
    address = reverse("catalog:library-timeline", args=[cast.library.pk])
    page = alice.get(address, {"rating": "4"})
    assert handed_over(page, "filters") == {"library": str(cast.library.pk), "rating": "4"}
    assert f'href="{address}?rating=4" aria-current="true"' in page.content.decode()
    assert "No photo here has 4 stars" in page.content.decode()  # hidden unless there are none
    opened = alice.get(reverse("catalog:photo", args=[photo.pk]), {"library": str(cast.library.pk), "rating": "4"})
    assert handed_over(opened, "filters") == {"library": str(cast.library.pk), "rating": "4"}
    assert f'data-home-url="{address}?rating=4"' in opened.content.decode()
    assert handed_over(alice.get(address), "filters") == {"library": str(cast.library.pk)}
    assert alice.get(address, {"rating": "9"}).status_code == 400


def test_favourites_can_be_narrowed_to_so_many_stars_and_more(alice, cast):
    address = reverse("catalog:favourites")
    page = alice.get(address, {"min_favourite": "3"})
    assert handed_over(page, "filters") == {"favourite": "true", "min_favourite": "3"}
    assert (
        f'href="{address}?min_favourite=3" aria-current="true" aria-label="3 stars and more"' in page.content.decode()
    )
    assert "No photo here has 3 stars and more" in page.content.decode()
    photo = make_photo(cast.library)
    opened = alice.get(reverse("catalog:photo", args=[photo.pk]), {"favourite": "true", "min_favourite": "3"})
    assert f'data-home-url="{address}?min_favourite=3"' in opened.content.decode()
    assert alice.get(address, {"min_favourite": "0"}).status_code == 400


def test_who_may_only_look_is_not_offered_to_change_dates(alice, bob, cast):
    address = reverse("catalog:library-timeline", args=[cast.library.pk])
    assert (handed_over(alice.get(address), "can-edit"), handed_over(bob.get(address), "can-edit")) == (True, False)


@pytest.mark.promise("S2-072")
def test_the_rating_filter_stands_over_everything_and_utilities_show_the_favourites(alice, cast):
    photo = make_photo(cast.library, "rated.jpg", rating=4)
    address = reverse("catalog:timeline")
    page = alice.get(address, {"rating": "4"})
    assert handed_over(page, "filters") == {"rating": "4"}
    text = page.content.decode()
    assert f'href="{address}?rating=4" aria-current="true"' in text
    assert f'<a href="{reverse("catalog:favourites")}">' in text.split("Utilities")[1].split("</details>")[0]
    opened = alice.get(reverse("catalog:photo", args=[photo.pk]), {"rating": "4"})
    assert f'data-home-url="{address}?rating=4"' in opened.content.decode()
    assert alice.get(address, {"rating": "9"}).status_code == 400
