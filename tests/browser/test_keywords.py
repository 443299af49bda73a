"""The keywords of an open photo: added by keys, taken away by a click, taken back by the toast; and those of many at once."""

import os

import pytest
from playwright.sync_api import expect

from catalog.edits.keywords import set_keywords
from catalog.models import Membership, Photo
from catalog.words import indexing
from tests.browser.test_captions import first_photo
from tests.browser.test_timeline import alice, library, open_tab, wait_until  # noqa: F401
from tests.factories import make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def picture(page, name: str) -> None:
    """Keep a picture of the page for whoever wants to look at it."""
    if folder := os.environ.get("PHOTOLALA_TEST_PICTURES"):
        page.screenshot(path=f"{folder}/{name}.png")


@pytest.mark.parametrize("width", [390, 1440])
def test_they_are_added_and_taken_away_in_place(alice, library, open_tab, width):  # noqa: F811
    set_keywords(alice, Photo.objects.exclude(pk=first_photo().pk).first(), ["Bamberg"])
    indexing.catch_up(10)
    page = open_tab(alice, width=width).page
    page.goto(f"/photos/{first_photo().pk}/")
    expect(page.locator(".pswp")).to_be_focused()
    page.keyboard.press("k")
    field = page.get_by_role("combobox", name="Keywords")
    expect(field).to_be_focused()
    page.keyboard.type("bam")
    expect(page.locator("#photo-keywords-known option")).to_have_attribute("value", "Bamberg")
    page.keyboard.press("Control+a")
    page.keyboard.type("Sea, old town")  # s and l are keys of the photo, too
    page.keyboard.press("Enter")
    chips = page.locator(".keywords-field li")
    expect(chips).to_have_count(2)
    expect(field).to_have_value("")
    assert (first_photo().keywords, first_photo().keywords_held) == (["Sea", "old town"], True)
    picture(page, f"keywords-{width}")
    page.get_by_role("button", name="Remove the keyword Sea").click()
    expect(chips).to_have_count(1)
    assert first_photo().keywords == ["old town"]
    page.get_by_role("button", name="Undo").click()
    expect(chips).to_have_count(2)
    assert first_photo().keywords == ["old town", "Sea"]
    field.fill("x" * 201)
    page.keyboard.press("Enter")
    expect(page.locator("#photo-keywords-error")).to_contain_text("at most 200 characters")
    expect(field).to_have_value("x" * 201)
    page.keyboard.press("Escape")
    expect(field).to_have_value("")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_who_may_only_look_reads_them(alice, library, open_tab):  # noqa: F811
    set_keywords(alice, first_photo(), ["Sea", "Rome"])
    bob = make_user("bob")
    Membership.objects.create(library=library, user=bob, role="viewer")
    page = open_tab(bob).page
    page.goto(f"/photos/{first_photo().pk}/")
    expect(page.locator(".pswp")).to_be_focused()
    page.keyboard.press("i")
    expect(page.locator(".photo-panel dl")).to_contain_text("Sea, Rome")
    expect(page.locator(".keywords-field")).to_have_count(0)


def test_many_are_given_some_from_the_timeline(alice, library, open_tab):  # noqa: F811
    page = open_tab(alice).page
    page.goto("/")
    page.locator(".tile-check").first.click()
    page.get_by_role("button", name="Keywords").click()
    page.get_by_label("Add to it").fill("Sea, Rome")
    picture(page, "keywords-page")
    page.get_by_role("button", name="Change the keywords").click()
    expect(page.get_by_text("The photo has its keywords")).to_be_visible()
    assert Photo.objects.filter(keywords_held=True).get().keywords == ["Sea", "Rome"]
