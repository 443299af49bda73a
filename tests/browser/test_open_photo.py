"""What can be changed of an open photo where one sees it: stars by mouse and touch, its date, and the way back."""

from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from catalog.models import Favourite, FileWrite, Photo
from tests.browser.test_captions import first_photo, open_first
from tests.browser.test_timeline import TILE, alice, library, open_tab  # noqa: F401
from tests.factories import make_jpeg, make_photo

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize(
    "device",
    [{"width": 1440}, {"width": 390, "height": 844, "has_touch": True, "is_mobile": True}],
    ids=["mouse", "touch"],
)
def test_stars_are_given_taken_and_given_back(alice, library, open_tab, device):  # noqa: F811
    page = open_tab(alice, **device).page
    act = "tap" if "has_touch" in device else "click"
    page.goto("/")
    getattr(page.locator(".tile-link").first, act)()
    row = page.locator(".photo-stars")
    getattr(row.get_by_role("button", name="3 stars"), act)()
    toast = page.locator(".toast")
    expect(toast).to_contain_text("3 stars")
    assert first_photo().rating == 3
    expect(row.locator(".is-set")).to_have_count(3)
    expect(page.locator(TILE).first.locator(".tile-star")).to_have_attribute("data-stars", "3")
    getattr(row.get_by_role("button", name="3 stars"), act)()  # the same again takes them away
    expect(toast).to_contain_text("No stars")
    assert not Favourite.objects.exists()
    getattr(toast.get_by_role("button", name="Undo"), act)()
    expect(row.locator(".is-set")).to_have_count(3)
    expect(toast).to_contain_text("3 stars")
    assert Favourite.objects.get().rating == 3
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_many_get_their_own_stars_back(alice, library, open_tab):  # noqa: F811
    page = open_tab(alice).page
    Favourite.objects.create(user=alice, photo=first_photo(), rating=2)
    page.goto("/")
    page.locator(TILE).nth(0).click(modifiers=["Control"])
    page.locator(TILE).nth(1).click(modifiers=["Control"])
    page.locator("#selection-bar").get_by_role("button", name="4 stars").click()
    expect(page.locator(".toast")).to_contain_text("4 stars for 2 photos.")
    assert sorted(Favourite.objects.values_list("rating", flat=True)) == [4, 4]
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator(".toast")).to_contain_text("The stars are as they were.")
    assert Favourite.objects.get().rating == 2 and Favourite.objects.get().photo == first_photo()


def test_the_date_is_changed_in_place_and_back(alice, library, open_tab):  # noqa: F811
    tab = open_tab(alice)
    page, _caption = open_first(tab)
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    field = page.get_by_label("Taken")
    expect(field).to_be_focused()
    field.fill("2090-01-01T10:00:00")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Photos were taken from 1826 to today")
    field.fill("2019-07-03T08:15:30")
    page.keyboard.press("Enter")
    toast = page.locator(".toast")
    expect(toast).to_contain_text("The date is saved.")
    expect(page.locator(".pswp__taken")).to_have_text("Wed, 3 Jul 2019, 08:15")
    changed = first_photo()
    assert (changed.taken_local, changed.taken_held) == (datetime(2019, 7, 3, 8, 15, 30, tzinfo=UTC), True)
    assert FileWrite.objects.get().wanted["taken"] == "2019-07-03T08:15:30"
    toast.get_by_role("button", name="Undo").click()
    expect(toast).to_contain_text("The date is as it was.")
    expect(page.locator(".pswp__taken")).to_have_text("Mon, 20 May 2024, 12:00")
    assert first_photo().taken_local == datetime(2024, 5, 20, 12, tzinfo=UTC)
    assert not Photo.objects.filter(rating__isnull=False).exists()  # its digits were no stars
    tab.complaints.clear()  # the browser notes the refusal, too


def test_a_date_typed_to_its_end_is_saved_on_leaving_the_photo(alice, library, open_tab):  # noqa: F811
    page, _caption = open_first(open_tab(alice))
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    page.get_by_label("Taken").fill("2019-07-03T08:15:30")
    page.get_by_role("button", name="Next").click()
    expect(page.locator(".toast")).to_contain_text("The date is saved.")
    expect(page.get_by_role("button", name="Change the date")).to_be_visible()
    assert first_photo().taken_local == datetime(2019, 7, 3, 8, 15, 30, tzinfo=UTC)


def test_a_picture_that_is_zoomed_into_becomes_its_original_and_its_place_leads_to_a_map(alice, library, open_tab):  # noqa: F811
    large = make_photo(library, "large.jpg", data=make_jpeg(3000, 2000), width=3000, height=2000, latitude=46.624,
                       longitude=8.041)  # fmt: skip
    page = open_tab(alice).page
    page.goto(f"/photos/{large.pk}/")
    shown = page.locator('.pswp__item[aria-hidden="false"] .pswp__img:not(.pswp__img--placeholder)')
    expect(shown).to_have_attribute("src", f"/api/v1/photos/{large.pk}/preview/?v={large.photo_md5[:8]}")
    expect(page.locator(".pswp")).to_be_focused()
    page.keyboard.press("z")
    expect(shown).to_have_attribute("src", f"/api/v1/photos/{large.pk}/original/")
    page.keyboard.press("i")
    link = page.get_by_role("link", name="Grindelwald, Switzerland · 46.62400° N, 8.04100° E")
    address = "https://www.openstreetmap.org/?mlat=46.62400&mlon=8.04100#map=15/46.62400/8.04100"
    expect(link).to_have_attribute("href", address)
    expect(link).to_have_attribute("rel", "noopener noreferrer")


def test_a_gif_moves_and_a_slideshow_goes_on_until_a_key(alice, library, open_tab):  # noqa: F811
    gif = bytes.fromhex("47494638396101000100800000ff0000ffffff2c00000000010001000002024401003b")
    make_photo(library, "moving.gif", data=gif, media_type="image/gif", taken=datetime(2024, 5, 18, 13, tzinfo=UTC))
    page = open_tab(alice).page
    page.goto(f"/photos/{Photo.objects.get(directory='2024/05', filename='IMG_1.JPG').pk}/")
    expect(page.locator(".pswp")).to_be_focused()
    page.keyboard.press("s")
    play = page.get_by_role("button", name="Slideshow (s)")
    expect(play).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".pswp__taken")).to_have_text("Sat, 18 May 2024, 13:00")
    page.keyboard.press("i")
    expect(play).to_have_attribute("aria-pressed", "false")
    expect(page.locator(".photo-panel h2")).to_have_text("moving.gif")
    expect(page.locator('.pswp__item[aria-hidden="false"] img[src*="/original/"]')).to_be_visible()
