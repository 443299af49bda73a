"""The heads and the edge of the timeline: a month selected at once, all photos, years, the bar that stays, the undated."""

from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from catalog.browsing import timeline
from catalog.models import Photo
from tests.browser.test_timeline import TILE, add_many, alice, library, open_tab, wait_until  # noqa: F401

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_month_and_all_photos_are_selected_at_once(alice, library, open_tab):  # noqa: F811
    page = open_tab(alice).page
    page.goto("/")
    bar = page.locator("#selection-bar")
    april = page.get_by_role("checkbox", name="Select all of April 2024")
    page.locator(".bucket").nth(1).hover()
    april.click()
    expect(bar).to_contain_text("4 photos selected")
    expect(april).to_have_attribute("aria-checked", "true")
    page.locator(TILE).nth(5).click()  # one of them less
    expect(april).to_have_attribute("aria-checked", "false")
    page.locator(".tile-link").nth(5).focus()
    page.keyboard.press("m")
    expect(bar).to_contain_text("4 photos selected")
    page.keyboard.press("m")
    expect(bar).to_be_hidden()
    page.keyboard.press("Control+a")
    expect(bar).to_contain_text("13 photos selected")


def test_a_large_month_has_one_head_and_is_selected_by_it(alice, library, open_tab, monkeypatch):  # noqa: F811
    monkeypatch.setattr(timeline, "LARGEST_MONTH", 3)  # then months come in days
    page = open_tab(alice).page
    page.goto("/")
    heads = page.locator(".bucket-head")
    expect(page.locator(".bucket-rows").nth(2)).to_be_attached()
    expect(heads.first).to_have_text("May 2024 · 4 photos")
    titles = [words.split(" · ")[0] for words in heads.all_text_contents()]
    assert len(titles) == len(set(titles)) and all(len(title.split()) == 2 for title in titles)
    page.locator(".bucket").first.hover()
    page.get_by_role("checkbox", name="Select all of May 2024").click()
    expect(page.locator("#selection-bar")).to_contain_text("4 photos selected")


def test_a_year_leads_to_its_first_photo_and_the_filters_stay(alice, library, open_tab):  # noqa: F811
    add_many(library, 5_000, first=datetime(2023, 12, 31, tzinfo=UTC))
    page = open_tab(alice).page
    page.goto("/")
    filters = page.get_by_role("navigation", name="Stars")
    for year, month in (("2022", "December 2022"), ("2021", "December 2021")):
        label = page.locator(".scrubber-years span", has_text=year)
        label.click(position={"x": 10, "y": 2})  # above its middle, which is where the year before would end
        head = page.locator(".bucket-head", has_text=month)
        expect(head).to_be_in_viewport(ratio=1)
        top = "document.elementFromPoint(600, {}).closest('.bucket')?.querySelector('h2').textContent"
        wait_until(page, f"{top.format(90)}?.startsWith({month!r})")
        expect(filters).to_be_in_viewport(ratio=1)
        assert filters.bounding_box()["y"] + filters.bounding_box()["height"] <= head.bounding_box()["y"] + 1


def test_the_undated_lead_to_the_page_of_dates(alice, library, open_tab):  # noqa: F811
    Photo.objects.filter(directory="2024/05").update(taken_source="file")
    page = open_tab(alice).page
    page.goto("/")
    undated = page.locator(".bucket-head", has_text="Date unknown")
    expect(undated).to_contain_text("5 photos")
    expect(page.locator(".bucket-head").first).to_have_text("April 2024 · 4 photos")
    undated.get_by_role("button", name="Date them").click()
    expect(page.get_by_role("heading", name="When were they taken?")).to_be_visible()
    expect(page.locator(".page-head")).to_contain_text("5 photos")
