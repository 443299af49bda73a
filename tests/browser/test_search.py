"""Searching in a real browser: by keyboard alone, on a phone, and without scripts."""

import pytest
from playwright.sync_api import expect

from catalog.words import indexing
from tests.factories import make_library, make_photo, make_user

from .conftest import DESK, PHONE
from .test_pages import TOO_WIDE, barriers

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def alice(transactional_db, tmp_path):
    alice = make_user("alice")
    library = make_library(alice, tmp_path / "photos")
    make_photo(library, "2024/Beach walk/1.jpg", caption="Sand")
    make_photo(library, "2024/Town/2.jpg")
    # As the schedule does: a search itself waits for another's transaction half a second at most.
    indexing.catch_up_with_all(lambda: None)
    return alice


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_from_any_page_to_a_photo_and_back_by_keyboard(visit, alice, width):
    visitor = visit(alice, width)
    page = visitor.page
    visitor.go("/libraries/")
    page.keyboard.press("/")
    field = page.get_by_role("combobox", name="Search photos")
    expect(field).to_be_focused()
    page.keyboard.type("bea")
    expect(page.get_by_role("option")).to_have_text(["2024/Beach walk Folder"])
    assert page.evaluate(TOO_WIDE) <= 0
    assert barriers(visitor) == []
    page.keyboard.press("ArrowDown")
    expect(field).to_have_attribute("aria-activedescendant", "search-suggestion-0")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search/?q=*")
    expect(page.locator(".tile-link")).to_have_count(1)
    expect(field).to_have_value('folder:"2024/Beach walk"')
    page.locator(".tile-link").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".pswp")).to_be_focused()
    page.keyboard.press("Escape")  # closes the photo, not the search
    expect(page.locator(".pswp")).to_have_count(0)
    page.wait_for_url("**/search/?q=folder*")
    page.keyboard.press("Escape")
    page.wait_for_url("**/libraries/")
    assert [line for line in visitor.wrong() if "Failed to load resource" not in line] == []


def test_without_scripts_a_search_leads_to_a_plain_list(visit, alice):
    visitor = visit(alice, script=False)
    visitor.go("/")
    visitor.page.get_by_label("Search photos").fill("sand")
    visitor.page.keyboard.press("Enter")
    visitor.page.get_by_role("link", name="Show the photos page by page").click()
    expect(visitor.page.locator(".plain-grid li")).to_have_count(1)
    expect(visitor.page.locator(".plain-grid li")).to_contain_text("1.jpg")
