"""The timeline in a real browser: scrolling, opening, stars, keys, the address, and what goes wrong."""

import re
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from accounts.models import User
from catalog.models import Favourite, Library, Membership, Photo, TrashItem
from operations.models import Operation
from operations.running import execute
from tests.catalog.browsing.test_video_renditions import make_film
from tests.factories import make_jpeg, make_library, make_photo, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
MOST_TILES = 400
TILE = ".tile"


@pytest.fixture
def alice() -> User:
    """She owns the library."""
    return make_user("alice")


@pytest.fixture
def library(alice: User, tmp_path) -> Library:
    """Twelve photos in three months, and one without a date."""
    library = make_library(alice, tmp_path / "holidays")
    for month in (5, 4, 3):
        for number in range(4):
            make_photo(
                library,
                f"2024/{month:02}/IMG_{number}.JPG",
                data=make_jpeg(300, 200, seed=month * 10 + number),
                taken=datetime(2024, month, 20 - number, 12, tzinfo=UTC),
                width=300,
                height=200,
                has_thumbnail=True,
                camera_make="Canon",
                camera_model="Canon EOS 6D",
            )
    make_photo(library, "scan.jpg", data=make_jpeg(200, 300, seed=99), taken=None, width=200, height=300)
    return library


class Tab:
    """A signed-in tab that notes every complaint of the browser."""

    def __init__(self, browser: Browser, site: str, user: User, **options: Any) -> None:
        self.site = site
        self.complaints: list[str] = []
        self.context = browser.new_context(base_url=site, **options)
        client = Client()
        client.force_login(user)
        self.context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": site}])
        self.page = self.new_page()

    def new_page(self) -> Page:
        """Open another page of the same person."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("request", self._note_foreign)
        return page

    def _note_foreign(self, request: Any) -> None:
        if not request.url.startswith((self.site, "data:", "blob:")):
            self.complaints.append(f"asked another host: {request.url}")


@pytest.fixture
def open_tab(chromium: Browser, live_server: Any) -> Iterator[Any]:
    """Return a function that opens a tab for a user; at the end no tab may have complained."""
    tabs: list[Tab] = []

    def open_for(user: User, width: int = 1440, height: int = 900, **options: Any) -> Tab:
        tab = Tab(chromium, live_server.url, user, viewport={"width": width, "height": height}, **options)
        tabs.append(tab)
        return tab

    yield open_for
    # A busy server may put off a picture (503); the page asks again by itself.
    complaints = [words for tab in tabs for words in tab.complaints if "503 (Service Unavailable)" not in words]
    for tab in tabs:
        tab.context.close()
    assert not complaints


def add_many(library: Library, count: int, *, first: datetime, ratio: tuple[int, int] = (3, 2)) -> None:
    """Add rows of photos without files or thumbnails, four hours apart."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    photos = []
    for number in range(count):
        taken = first - timedelta(hours=4 * number)
        photos.append(
            Photo(
                library=library, directory="many", filename=f"{number:06}.jpg", size_bytes=1, mtime_ns=1,
                head_md5=f"{number:032x}", photo_md5=f"{number:032x}", state=Photo.State.READY, needs_digest=False,
                media_type="image/jpeg", width=ratio[0] * 100, height=ratio[1] * 100, placeholder="#607080",
                taken_local=taken, taken_at=taken, taken_day=int(taken.strftime("%Y%m%d")), taken_source="exif",
                added_at=now,
            )
        )  # fmt: skip
    Photo.objects.bulk_create(photos, batch_size=500)


def wait_until(page: Page, condition: str) -> None:
    """Wait until the script `condition` holds (the pages' policy forbids Playwright's own way, which evaluates text)."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"This never came true: {condition}")


def expect_open(page: Page, taken: str) -> None:
    """Expect the photo of that date to be open and to listen to keys."""
    expect(page.locator(".pswp__taken")).to_have_text(taken)
    expect(page.locator(".pswp")).to_be_focused()


def focused_label(page: Page) -> str:
    return page.evaluate("document.activeElement.getAttribute('aria-label') || ''")


def test_months_are_shown_newest_first_with_their_counts(alice, library, open_tab):
    page = open_tab(alice).page
    page.goto("/")
    expect(page.locator(".bucket-head")).to_have_text(
        [
            "May 2024 · 4 photos",
            "April 2024 · 4 photos",
            "March 2024 · 4 photos",
            "Date unknown · 1 photoDate them",
        ]
    )
    expect(page.locator(".tile-image.is-shown")).to_have_count(12)
    expect(page.locator(".bucket-head").first).to_be_in_viewport()


def test_many_photos_keep_the_page_small_and_the_last_is_reached(alice, library, open_tab):
    add_many(library, 6_000, first=datetime(2023, 12, 31, tzinfo=UTC))
    page = open_tab(alice).page
    page.goto("/")
    expect(page.locator(TILE).first).to_be_visible()
    most = 0
    page.mouse.move(600, 400)
    for _ in range(40):
        page.mouse.wheel(0, 3_000)
        most = max(most, page.locator(TILE).count())
    wait_until(page, "scrollY > 20000")
    assert 0 < most <= MOST_TILES
    page.locator(".tile-link[tabindex='0']").focus()
    page.keyboard.press("End")
    wait_until(page, "document.activeElement.getAttribute('aria-label')?.includes('Date unknown')")
    assert page.locator(TILE).count() <= MOST_TILES


def test_loading_months_above_does_not_move_what_one_looks_at(alice, library, open_tab):
    add_many(library, 3_000, first=datetime(2023, 12, 31, tzinfo=UTC), ratio=(3, 4))
    page = open_tab(alice).page
    page.goto("/#2022-12")
    head = page.locator(".bucket-head", has_text="December 2022")
    expect(head).to_be_in_viewport()
    expect(page.locator(TILE).first).to_be_attached()
    tile = page.locator(".tile-link", has=page.locator("xpath=self::*[contains(@aria-label,'30 Dec 2022')]")).first
    before = tile.bounding_box()["y"]
    page.mouse.move(600, 400)
    page.mouse.wheel(0, -100)  # brings the month above near, whose height was only a guess
    expect(page.locator(".bucket-head", has_text="January 2023")).to_be_attached()
    page.wait_for_timeout(600)
    assert abs(tile.bounding_box()["y"] - before - 100) < 2


def test_the_place_is_in_the_address_and_reload_returns_there(alice, library, open_tab):
    add_many(library, 2_000, first=datetime(2023, 12, 31, tzinfo=UTC))
    page = open_tab(alice).page
    page.goto("/#2023-06")
    expect(page.locator(".bucket-head", has_text="June 2023")).to_be_in_viewport()
    page.mouse.move(600, 400)
    page.mouse.wheel(0, 700)
    page.wait_for_timeout(500)
    top = "[...document.querySelectorAll('.tile')].filter(t => t.getBoundingClientRect().top > 50)[0]"
    label = page.evaluate(f"{top}.tile.label")
    assert re.search(r"#2023-0\d$", page.url)
    page.reload()
    wait_until(page, f"{top}?.tile.label === {label!r}")


def test_the_date_scrubber_jumps_by_keys_and_by_dragging(alice, library, open_tab):
    add_many(library, 4_000, first=datetime(2023, 12, 31, tzinfo=UTC))
    page = open_tab(alice).page
    page.goto("/")
    slider = page.get_by_role("slider", name="Date")
    expect(slider).to_have_attribute("aria-valuetext", "May 2024")
    slider.focus()
    page.keyboard.press("PageDown")
    expect(slider).to_have_attribute("aria-valuetext", "December 2023")
    page.keyboard.press("End")
    expect(page.locator(".bucket-head", has_text="Date unknown")).to_be_in_viewport()
    box = page.locator(".scrubber").bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + box["height"] / 2)
    page.mouse.down()
    expect(page.locator(".scrubber-bubble")).to_contain_text("photos")
    page.mouse.up()
    page.wait_for_url(re.compile(r"#2023-0\d|#2022-\d\d"))


def test_a_photo_opens_at_its_own_address_and_back_closes_it(alice, library, open_tab):
    page = open_tab(alice).page
    page.goto("/")
    second = page.locator(".tile-link").nth(1)
    address = second.get_attribute("href")
    second.click()
    page.wait_for_url(f"**{address}")
    expect_open(page, "Sun, 19 May 2024, 12:00")
    page.keyboard.press("ArrowRight")
    expect_open(page, "Sat, 18 May 2024, 12:00")
    third = page.locator(".tile-link").nth(2)
    assert page.url.endswith(third.get_attribute("href"))
    page.go_back()
    expect(page.locator(".pswp")).to_have_count(0)
    expect(third).to_be_focused()
    assert "/photos/" not in page.url


def test_closing_a_photo_leads_back_to_the_list_it_was_opened_from(alice, library, open_tab):
    tab = open_tab(alice)
    page = tab.page
    photo = Photo.objects.get(directory="2024/05", filename="IMG_2.JPG")
    for address in (f"/libraries/{library.pk}/folders/?directory=2024/05", "/photos/"):
        page.goto(address)
        page.locator(f'a[href*="/photos/{photo.pk}/"]').first.click()
        expect_open(page, "Sat, 18 May 2024, 12:00")
        page.keyboard.press("Escape")
        page.wait_for_url(f"{tab.site}{address}")
    page.goto(f"/photos/{photo.pk}/")  # from nowhere: the timeline
    expect_open(page, "Sat, 18 May 2024, 12:00")
    page.keyboard.press("Escape")
    page.wait_for_url(f"{tab.site}/")
    expect(page.locator(TILE).first).to_be_visible()
    assert not tab.complaints


def test_escape_closes_and_the_focus_returns_to_the_tile(alice, library, open_tab):
    page = open_tab(alice).page
    page.goto("/")
    page.locator(".tile-link").first.focus()
    page.keyboard.press("Enter")
    expect_open(page, "Mon, 20 May 2024, 12:00")
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)
    expect(page.locator(".tile-link").first).to_be_focused()
    page.wait_for_url(lambda url: "/photos/" not in url)


def test_slides_go_on_through_months_that_were_not_loaded(alice, library, open_tab):
    add_many(library, 1_500, first=datetime(2023, 12, 31, 20, tzinfo=UTC))
    Photo.objects.filter(directory="many").update(photo_md5="", has_thumbnail=False)
    july = Photo.objects.filter(directory="many", taken_local__year=2023, taken_local__month=7)
    last = july.order_by("taken_local")[0]
    tab = open_tab(alice)
    page = tab.page
    page.goto(f"/photos/{last.pk}/")
    expect_open(page, "Sat, 1 Jul 2023, 00:00")
    page.keyboard.press("ArrowRight")
    expect_open(page, "Fri, 30 Jun 2023, 20:00")
    tab.complaints.clear()  # these photos have no files: their previews are missing, which the page says


def test_small_photos_are_never_blown_up(alice, library, open_tab):
    page = open_tab(alice).page
    page.goto("/")
    page.locator(f"{TILE} a").first.click()
    for _ in range(4):  # the later ones were loaded before they became slides
        expect(
            page.locator(".pswp__item[aria-hidden=false] img.pswp__img:not(.pswp__img--placeholder)")
        ).to_be_visible()
        wait_until(
            page,
            """document.querySelector(".pswp__item[aria-hidden=false] img.pswp__img:not(.pswp__img--placeholder)")
            ?.getBoundingClientRect().width === 300""",
        )
        page.keyboard.press("ArrowRight")


def test_the_panel_tells_what_is_known(alice, library, open_tab):
    page = open_tab(alice).page
    photo = Photo.objects.get(directory="2024/05", filename="IMG_0.JPG")
    page.goto(f"/photos/{photo.pk}/")
    expect(page.locator(".pswp")).to_be_focused()
    page.keyboard.press("i")
    panel = page.get_by_role("complementary", name="About this photo")
    for words in ("IMG_0.JPG", "from the photo", "Canon EOS 6D", "300 × 200", "2024/05/IMG_0.JPG", library.name):
        expect(panel).to_contain_text(words)
    expect(page.get_by_title("Download the original")).to_have_attribute("href", f"/api/v1/photos/{photo.pk}/original/")
    expect(panel).not_to_contain_text("Stars")
    for key, words in (("4", "★★★★☆ 4 of 5"), ("f", ""), ("f", "★★★★★ 5 of 5")):
        page.keyboard.press(key)
        expect(panel.locator("dt", has_text="Stars")).to_have_count(1 if words else 0)
        if words:
            expect(panel).to_contain_text(words)


def test_a_broken_photo_says_why(alice, library, open_tab):
    reason = "The file ends after 12 bytes."
    photo = make_photo(library, data=b"\xff\xd8 broken", state=Photo.State.BROKEN, is_shown=False, problem=reason)
    page = open_tab(alice).page
    page.goto(f"/photos/{photo.pk}/")
    expect(page.locator(".photo-reason")).to_have_text(reason)
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)
    expect(page.locator(".bucket-head").first).to_be_visible()


def test_a_preview_that_cannot_be_made_says_why(alice, library, open_tab):
    photo = make_photo(library, "gone.jpg", on_disk=False, width=3000, height=2000)
    tab = open_tab(alice)
    tab.page.goto(f"/photos/{photo.pk}/")
    expect(tab.page.locator(".photo-reason").first).to_contain_text(re.compile(r"\w+ .*\."))
    tab.complaints[:] = [words for words in tab.complaints if "Failed to load resource" not in words]


@pytest.mark.promise("S2-071")
def test_the_star_on_a_tile_is_saved_and_shown(alice, library, open_tab):
    page = open_tab(alice).page
    page.goto("/")
    tile = page.locator(TILE).first
    tile.hover()
    with page.expect_response(re.compile("/favorite/")):
        tile.get_by_role("button", name="Add a star").click()
    expect(tile).to_have_class(re.compile("is-favourite"))
    photo = Photo.objects.get(directory="2024/05", filename="IMG_0.JPG")
    assert Favourite.objects.get().photo == photo
    page.reload()
    expect(page.locator(TILE).first.get_by_role("button", name="Remove the star")).to_be_visible()
    page.locator(".tile-link").first.focus()
    with page.expect_response(re.compile("/favorite/")):
        page.keyboard.press("f")
    expect(page.locator(".tile.is-favourite")).to_have_count(0)
    wait_until(page, "document.querySelector('.announcements').textContent === 'Star removed'")
    assert not Favourite.objects.exists()


def test_many_are_picked_out_by_mouse_and_keys_and_rated(alice, library, open_tab):
    page = open_tab(alice).page
    page.goto("/")
    tiles, bar = page.locator(TILE), page.locator("#selection-bar")
    expect(bar).to_be_hidden()
    tiles.nth(1).hover()
    tiles.nth(1).get_by_role("checkbox", name="Select").click()
    expect(bar).to_contain_text("1 photo selected")
    tiles.nth(6).click(modifiers=["Shift"])  # over the end of a month
    expect(bar).to_contain_text("6 photos selected")
    tiles.nth(2).click()  # while some are selected, a click opens nothing
    tiles.nth(8).click(modifiers=["Control"])
    expect(bar).to_contain_text("6 photos selected")
    expect(page.locator(".tile.is-selected")).to_have_count(6)
    with page.expect_response(re.compile("/bulk-favorite/")):
        bar.get_by_role("button", name="3 stars").click()
    expect(page.locator(".tile.is-favourite")).to_have_count(6)
    assert set(Favourite.objects.values_list("rating", flat=True)) == {3} and Favourite.objects.count() == 6
    page.keyboard.press("Escape")
    expect(bar).to_be_hidden()
    page.locator(".tile-link").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+Space")
    expect(bar).to_contain_text("2 photos selected")
    with page.expect_response(re.compile("/bulk-favorite/")):
        page.keyboard.press("5")
    assert Favourite.objects.filter(rating=5).count() == 2


def test_an_open_photo_goes_to_the_trash_and_comes_back(alice, library, open_tab):
    tab = open_tab(alice)
    page, dialog = tab.page, tab.page.locator("#trash-dialog")
    page.goto("/")
    page.locator(".tile-link").nth(1).click()
    expect_open(page, "Sun, 19 May 2024, 12:00")
    page.keyboard.press("Delete")
    expect(dialog).to_contain_text("Move 1 photo to the trash?")
    page.keyboard.press("Escape")  # the question, not the photo
    expect(dialog).to_be_hidden()
    expect(page.locator(".pswp")).to_have_count(1)
    assert not TrashItem.objects.exists()
    page.get_by_title("Move to the trash (Delete)").click()
    dialog.get_by_role("button", name="Move to the trash").click()
    expect(page.locator(".pswp")).to_have_count(0)
    expect(page.locator(TILE)).to_have_count(12)
    assert [item.photo.filename for item in TrashItem.objects.all()] == ["IMG_1.JPG"]
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(TILE)).to_have_count(13)
    assert not tab.complaints


def test_who_may_only_look_is_offered_no_trash(alice, library, open_tab):
    bob = make_user("bob")
    Membership.objects.create(library=library, user=bob, role="viewer")
    page = open_tab(bob).page
    page.goto("/")
    page.locator(".tile-link").first.click()
    expect_open(page, "Mon, 20 May 2024, 12:00")
    expect(page.get_by_title("About this photo (i)")).to_be_visible()
    expect(page.get_by_title("Move to the trash (Delete)")).to_have_count(0)
    page.keyboard.press("Delete")
    expect(page.locator("#trash-dialog")).to_be_hidden()


def test_what_is_picked_out_goes_to_the_trash_and_comes_back(alice, library, open_tab):
    page = open_tab(alice).page
    page.goto("/")
    bar, dialog = page.locator("#selection-bar"), page.locator("#trash-dialog")
    page.locator(TILE).nth(0).click(modifiers=["Control"])
    page.locator(TILE).nth(1).click()
    bar.get_by_role("button", name="Move to the trash").click()
    expect(dialog).to_contain_text("Move 2 photos to the trash?")
    dialog.get_by_role("button", name="Keep").click()
    assert not TrashItem.objects.exists()
    page.locator(".tile-link").first.focus()
    page.keyboard.press("Delete")
    dialog.get_by_role("button", name="Move to the trash").click()
    expect(page.locator(TILE)).to_have_count(11)
    expect(bar).to_be_hidden()
    assert TrashItem.objects.count() == 2
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(TILE)).to_have_count(13)
    assert not TrashItem.objects.exists()


def test_a_viewer_picks_out_but_cannot_delete(alice, library, open_tab):
    bob = make_user("bob")
    Membership.objects.create(library=library, user=bob, role="viewer")
    page = open_tab(bob).page
    page.goto("/")
    page.locator(TILE).nth(0).click(modifiers=["Control"])
    bar = page.locator("#selection-bar")
    expect(bar).to_contain_text("1 photo selected")
    expect(bar.get_by_role("button", name="Move to the trash")).to_be_hidden()
    page.locator(".tile-link").first.focus()
    page.keyboard.press("Delete")
    expect(page.locator("#trash-dialog")).to_be_hidden()


def test_beside_foreign_photos_only_own_ones_may_go_to_the_trash(alice, library, open_tab, tmp_path):
    bob = make_user("bob")
    Membership.objects.create(library=library, user=bob, role="viewer")
    make_photo(make_library(bob, tmp_path / "own"), "own.jpg", taken=datetime(2024, 5, 21, tzinfo=UTC))
    page = open_tab(bob).page
    page.goto("/")
    bar, dialog = page.locator("#selection-bar"), page.locator("#trash-dialog")
    page.locator(TILE).nth(1).click(modifiers=["Control"])
    expect(bar).to_contain_text("1 photo selected")
    for name in ("Move to the trash", "Dates"):
        expect(bar.get_by_role("button", name=name, include_hidden=True)).to_be_hidden()
    page.locator(".tile-link").nth(1).focus()
    page.keyboard.press("Delete")
    expect(dialog).to_be_hidden()
    page.locator(TILE).nth(0).click()
    bar.get_by_role("button", name="Move to the trash").click()
    expect(dialog).to_contain_text("Move 1 photo to the trash?")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.locator(".tile-link").nth(0).click()
    expect_open(page, "Tue, 21 May 2024, 00:00")
    in_lightbox = page.get_by_title("Move to the trash (Delete)")
    expect(in_lightbox).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(in_lightbox).to_be_hidden()


def test_the_dates_of_what_is_picked_out(alice, library, open_tab):
    page = open_tab(alice).page
    page.goto("/")
    page.locator(TILE).nth(0).click(modifiers=["Control"])
    page.locator(TILE).nth(1).click()
    page.get_by_role("button", name="Dates").click()
    expect(page.locator("main")).to_contain_text("2 photos that you selected")
    page.get_by_label("Hours").fill("1")
    page.get_by_role("button", name="Show what that means").click()
    page.get_by_role("button", name="Change 2 dates").click()
    expect(page.locator(".notice.is-good")).to_contain_text("2 photos have their new dates")
    assert Photo.objects.filter(taken_local__hour=13).count() == 2


def test_a_finger_that_rests_on_a_photo_picks_it_out(alice, library, open_tab):
    tab = open_tab(alice, 390, 844, has_touch=True, is_mobile=True)
    page = tab.page
    page.goto("/")
    box = page.locator(TILE).nth(1).bounding_box()
    touch = tab.context.new_cdp_session(page)
    point = {"x": box["x"] + 50, "y": box["y"] + 70}
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    page.wait_for_timeout(700)
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    bar = page.locator("#selection-bar")
    expect(bar).to_contain_text("1 photo selected")
    page.locator(TILE).nth(2).tap()
    expect(bar).to_contain_text("2 photos selected")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    expect(page.locator(".pswp")).to_have_count(0)


def test_keys_lead_to_photos_however_slow_the_machine_is(alice, library, open_tab):
    """Each look at the clock takes longer than a frame may draw."""
    add_many(library, 300, first=datetime(2023, 12, 31, tzinfo=UTC))
    tab = open_tab(alice)
    page = tab.page
    page.add_init_script(
        "{ const now = performance.now.bind(performance); let more = 0; performance.now = () => now() + (more += 20); }"
    )
    page.goto("/")
    page.locator(".tile-link").first.focus()
    page.keyboard.press("End")
    wait_until(page, "document.activeElement.getAttribute('aria-label')?.includes('Date unknown')")


def test_a_star_is_still_there_when_one_comes_back_to_it(alice, library, open_tab):
    add_many(library, 3_000, first=datetime(2023, 12, 31, tzinfo=UTC))
    page = open_tab(alice).page
    page.goto("/")
    page.locator(".tile-link").first.focus()
    with page.expect_response(re.compile("/favorite/")):
        page.keyboard.press("f")
    for key, words in (("End", "Date unknown"), ("Home", "20 May 2024")):
        page.keyboard.press(key)
        wait_until(page, f"document.activeElement.getAttribute('aria-label')?.includes({words!r})")
    assert "starred" in focused_label(page)


def test_a_star_that_cannot_be_saved_is_taken_back_with_a_word(alice, library, open_tab):
    tab = open_tab(alice)
    page = tab.page
    page.route(re.compile("/favorite/"), lambda route: route.fulfill(
        status=503, content_type="application/problem+json", body='{"detail": "The database is busy."}'
    ))  # fmt: skip
    page.goto("/")
    page.locator(".tile-link").first.focus()
    page.keyboard.press("f")
    expect(page.locator(".toast")).to_contain_text("The star was not saved. The database is busy.")
    expect(page.locator(".tile.is-favourite")).to_have_count(0)
    page.unroute(re.compile("/favorite/"))
    with page.expect_response(re.compile("/favorite/")):
        page.get_by_role("button", name="Try again").click()
    expect(page.locator(".tile.is-favourite")).to_have_count(1)
    tab.complaints.clear()


def test_a_star_given_in_the_open_photo_shows_on_its_tile_and_in_another_tab(alice, library, open_tab):
    tab = open_tab(alice)
    other = tab.new_page()
    other.goto("/")
    expect(other.locator(TILE).first).to_be_visible()
    page = tab.page
    page.goto("/")
    page.locator(".tile-link").nth(2).click()
    expect(page.locator(".pswp")).to_be_focused()
    with page.expect_response(re.compile("/favorite/")):
        page.keyboard.press("f")
    expect(page.get_by_role("button", name="Star (f)")).to_have_attribute("aria-pressed", "true")
    expect(other.locator(TILE).nth(2)).to_have_class(re.compile("is-favourite"))
    page.keyboard.press("Escape")
    expect(page.locator(TILE).nth(2)).to_have_class(re.compile("is-favourite"))


@pytest.mark.promise("S2-072")
def test_favourites_show_only_one_s_own(alice, library, open_tab):
    bob = make_user("bob")
    library.memberships.create(user=bob, role="viewer")
    mine = Photo.objects.get(directory="2024/04", filename="IMG_1.JPG")
    Favourite.objects.create(user=alice, photo=mine)
    page = open_tab(alice).page
    page.goto("/favourites/")
    expect(page.locator(TILE)).to_have_count(1)
    page.locator(".tile-link").click()
    page.wait_for_url(f"**/photos/{mine.pk}/?favourite=true")
    theirs = open_tab(bob).page
    theirs.goto("/favourites/")
    expect(theirs.get_by_role("heading", name="No favourites yet")).to_be_visible()


def test_arrow_keys_move_by_photo_and_by_row(alice, library, open_tab):
    page = open_tab(alice).page
    page.goto("/")
    page.locator(".tile-link").first.focus()
    page.keyboard.press("ArrowRight")
    assert "19 May" in focused_label(page)
    page.keyboard.press("ArrowDown")
    wait_until(page, "document.activeElement.getAttribute('aria-label')?.includes('19 Apr')")
    page.keyboard.press("ArrowUp")
    wait_until(page, "document.activeElement.getAttribute('aria-label')?.includes('19 May')")
    expect(page.locator(".tile-link[tabindex='0']")).to_have_count(1)


def test_keys_go_places_and_explain_themselves(alice, library, open_tab):
    page = open_tab(alice).page
    page.goto("/")
    page.locator(".tile-link").first.focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("f")
    page.wait_for_url("**/favourites/")
    assert not Favourite.objects.exists()
    page.keyboard.press("g")
    page.keyboard.press("l")
    page.wait_for_url("**/libraries/")


def test_photos_found_by_a_scan_appear_without_losing_the_place(alice, library, open_tab):
    page = open_tab(alice).page
    page.goto("/#2024-03")
    march = page.locator(".bucket-head", has_text="March 2024")
    expect(march).to_be_in_viewport()
    page.wait_for_timeout(1000)  # the first look at the revisions
    make_photo(library, "new.jpg", taken=datetime(2024, 5, 30, tzinfo=UTC), has_thumbnail=True, width=300, height=200)
    library.revision += 1
    library.save()
    expect(page.locator(".bucket-head", has_text="May 2024")).to_contain_text("5 photos")
    expect(march).to_be_in_viewport()


def test_a_star_given_on_another_device_appears(alice, library, open_tab):
    page = open_tab(alice).page
    with page.expect_response(re.compile("/events/poll")):
        page.goto("/")
    Favourite.objects.create(user=alice, photo=Photo.objects.get(directory="2024/05", filename="IMG_2.JPG"))
    expect(page.locator(TILE).nth(2)).to_have_class(re.compile("is-favourite"))


def test_a_phone_has_three_square_columns_and_nothing_overflows(alice, library, open_tab):
    page = open_tab(alice, 390, 844, has_touch=True, is_mobile=True).page
    page.goto("/")
    boxes = [page.locator(TILE).nth(number).bounding_box() for number in range(4)]
    assert all(abs(box["width"] - box["height"]) < 1 and abs(box["width"] - 382 / 3) < 1 for box in boxes)
    assert boxes[0]["y"] == boxes[2]["y"] < boxes[3]["y"]
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    with page.expect_response(re.compile("/favorite/")):
        page.locator(".tile-star").first.tap()
    expect(page.locator(".tile.is-favourite")).to_have_count(1)


def test_who_is_signed_out_is_told_so(alice, library, open_tab):
    tab = open_tab(alice)
    page = tab.page
    page.goto("/")
    expect(page.locator(TILE).first).to_be_visible()
    tab.context.clear_cookies(name="sessionid")
    page.locator(".tile-link").first.focus()
    page.keyboard.press("f")
    expect(page.locator(".toast")).to_contain_text("The star was not saved.")
    expect(page.locator(".tile.is-favourite")).to_have_count(0)
    tab.complaints.clear()


def test_without_scripts_the_photos_can_be_paged_through(alice, library, open_tab):
    page = open_tab(alice, java_script_enabled=False).page
    page.goto("/")
    page.get_by_role("link", name="Show the photos page by page").click()
    expect(page.locator(".plain-grid a")).to_have_count(13)
    page.locator(".plain-grid a").first.click()
    expect(page.locator("img.plain-photo")).to_be_visible()


@pytest.mark.parametrize(
    ("name", "codec", "media_type"),
    [
        ("film.avi", "mpeg4", "video/x-msvideo"),
        ("sound-only.mp4", "libx265", "video/mp4"),
    ],  # of the second it plays the sound
)
def test_a_film_that_the_browser_cannot_play_is_converted_and_played(alice, library, open_tab, name, codec, media_type):
    data = make_film(Path(library.root) / name, codec=codec).read_bytes()
    make_photo(library, name, data=data, media_type=media_type, width=320, height=180)
    Photo.objects.exclude(filename=name).delete()
    page = open_tab(alice).page
    page.goto("/")
    page.locator(TILE).first.click()
    expect(page.locator(".photo-reason")).to_contain_text("A copy that it can play is being made")
    assert execute(Operation.objects.get(kind="rendition").pk).state == "completed"
    wait_until(page, "document.querySelector('.photo-video video')?.readyState >= 2")
    assert page.evaluate("document.querySelector('.photo-video video').videoWidth") == 320


def test_three_selected_photos_are_downloaded_byte_for_byte(open_tab: Any, alice: User, library: Library) -> None:
    page = open_tab(alice).page
    page.goto("/")
    for number in (0, 1, 4):  # two of May, the newest of April
        page.locator(TILE).nth(number).get_by_role("checkbox", name="Select").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download", exact=True).click()
    assert saved.value.suggested_filename == "photos-2024.zip"
    root = Path(library.root)
    with zipfile.ZipFile(saved.value.path()) as archive:
        assert {one: archive.read(one) for one in archive.namelist()} == {
            "IMG_0.JPG": (root / "2024/05/IMG_0.JPG").read_bytes(),
            "IMG_1.JPG": (root / "2024/05/IMG_1.JPG").read_bytes(),
            "IMG_0 (1).JPG": (root / "2024/04/IMG_0.JPG").read_bytes(),
        }
    expect(page.locator("#selection-bar")).to_contain_text("3 photos selected")
    (root / "2024/05/IMG_1.JPG").unlink()
    page.get_by_role("button", name="Download", exact=True).click()
    dialog = page.get_by_role("dialog", name="1 photo cannot be downloaded")
    expect(dialog).to_contain_text("IMG_1.JPG: The file is not in its place")
    with page.expect_download() as saved:
        dialog.get_by_role("button", name="Download 2 photos").click()
    with zipfile.ZipFile(saved.value.path()) as archive:
        assert archive.namelist() == ["IMG_0.JPG", "IMG_0 (1).JPG", "missing.txt"]
