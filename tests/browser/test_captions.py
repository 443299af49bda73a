"""The caption of an open photo as a field: by keys alone, saved on leaving it, and never lost by a refusal."""

import pytest
from playwright.sync_api import expect

from catalog.edits.captions import set_caption
from catalog.models import FileWrite, Membership, Photo
from tests.browser.test_timeline import alice, library, open_tab, wait_until  # noqa: F401
from tests.factories import make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def first_photo() -> Photo:
    return Photo.objects.get(directory="2024/05", filename="IMG_0.JPG")


def open_first(tab):
    page = tab.page
    page.goto(f"/photos/{first_photo().pk}/")
    expect(page.locator(".pswp")).to_be_focused()
    page.keyboard.press("c")
    field = page.get_by_label("Caption")
    expect(field).to_be_focused()
    return page, field


@pytest.mark.parametrize("width", [390, 1440])
def test_it_is_written_by_keys_alone(alice, library, open_tab, width):  # noqa: F811
    page, field = open_first(open_tab(alice, width=width))
    page.keyboard.type("f fine day, 5 of us?")  # these are keys of the photo, too
    page.keyboard.press("Enter")
    page.keyboard.type("at the sea")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".announcements")).to_have_text("The caption is saved.")
    photo = first_photo()
    assert (photo.caption, photo.caption_held) == ("f fine day, 5 of us?\nat the sea", True)
    assert FileWrite.objects.get().wanted == {"caption": photo.caption}
    assert not Photo.objects.filter(rating__isnull=False).exists()
    page.keyboard.type(" …")
    page.keyboard.press("Escape")  # the field's own: the photo stays open
    expect(field).to_have_value(photo.caption)
    expect(page.locator(".pswp")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(field).to_have_value("")
    page.keyboard.press("ArrowLeft")
    expect(field).to_have_value(photo.caption)
    assert first_photo().caption == photo.caption
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_leaving_it_saves(alice, library, open_tab):  # noqa: F811
    page, field = open_first(open_tab(alice))
    page.keyboard.type("By the way")
    page.get_by_role("button", name="Next").click()
    expect(field).to_have_value("")
    expect(page.locator(".announcements")).to_contain_text("saved")
    assert first_photo().caption == "By the way"
    page.keyboard.press("ArrowLeft")
    expect(field).to_have_value("By the way")
    field.fill("On closing the page")
    page.goto("about:blank")
    for _ in range(300):  # the request outlives its page, and no page is left that could tell of it
        if first_photo().caption == "On closing the page":
            break
        page.wait_for_timeout(100)
    assert first_photo().caption == "On closing the page"


def test_a_refusal_keeps_the_text_also_elsewhere(alice, library, open_tab):  # noqa: F811
    tab = open_tab(alice)
    page, field = open_first(tab)
    field.fill("x" * 10_001)
    expect(page.get_by_role("alert")).to_contain_text("at most 10,000 characters; this one has 10,001")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("It is not saved.")
    expect(page.get_by_role("alert")).to_contain_text("10,000 characters")
    page.get_by_role("button", name="Next").click()
    expect(page.locator(".toast")).to_contain_text("The caption of IMG_0.JPG is not saved")
    expect(field).to_have_value("")
    page.get_by_role("button", name="Previous").click()
    expect(field).to_have_value("x" * 10_001)
    expect(page.get_by_role("alert")).to_contain_text("It is not saved.")
    assert first_photo().caption == ""
    field.fill("Short")
    page.keyboard.press("Control+Enter")
    wait_until(page, 'document.querySelector(".announcements")?.textContent === "The caption is saved."')
    expect(page.get_by_role("alert")).to_be_hidden()
    assert first_photo().caption == "Short"
    tab.complaints.clear()  # the browser notes the refusals, too


def test_who_may_only_look_reads_it(alice, library, open_tab):  # noqa: F811
    bob = make_user("bob")
    Membership.objects.create(library=library, user=bob, role="viewer")
    set_caption(alice, first_photo(), "Hers")
    page = open_tab(bob).page
    page.goto(f"/photos/{first_photo().pk}/")
    expect(page.locator(".pswp")).to_be_focused()
    page.keyboard.press("c")
    expect(page.locator(".photo-panel dl")).to_contain_text("Hers")
    assert page.locator(".photo-panel textarea").count() == 0
