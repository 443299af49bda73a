"""A Live Photo on the timeline: a picture and its short video are one tile, which plays, and goes to the trash whole."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import expect

from catalog.models import Photo, TrashItem
from tests.browser.test_timeline import TILE, alice, expect_open, library, open_tab  # noqa: F401
from tests.catalog.browsing.test_video_renditions import make_film
from tests.factories import make_jpeg, make_library, make_photo

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
MOMENT = datetime(2024, 6, 1, 12, tzinfo=UTC)


def test_it_is_one_tile_that_plays_and_goes_to_the_trash_whole(alice, library, open_tab, tmp_path):  # noqa: F811
    def add(place, name, data, media_type, identifier="5D2E7C1A"):
        make_photo(place, name, data=data, media_type=media_type, taken=MOMENT, content_identifier=identifier, width=320,
                   height=180)  # fmt: skip

    film = make_film(Path(library.root) / "IMG_9.MKV", codec="libvpx", sound=False).read_bytes()
    add(library, "IMG_9.HEIC", make_jpeg(320, 180), "image/jpeg")
    add(library, "IMG_9.MKV", film, "video/webm")
    other = make_library(alice, tmp_path / "other")  # the same pair elsewhere: its video stays its own
    add(other, "IMG_9.MKV", film, "video/webm")
    tab = open_tab(alice)
    page = tab.page
    page.goto("/")
    june = page.locator(".bucket").first
    expect(june.locator("h2")).to_have_text("June 2024 · 2 photos")
    expect(june.locator(TILE)).to_have_count(2)
    still = june.locator(TILE).filter(has=page.locator(".tile-badges", has_text="Live"))
    expect(still).to_have_count(1)
    video = f"/photos/{Photo.objects.get(library=library, filename='IMG_9.MKV').pk}/original/"
    still.hover()
    expect(still.locator("video")).to_have_attribute("src", f"/api/v1{video}")
    still.locator(".tile-link").click()
    expect_open(page, "Sat, 1 Jun 2024, 12:00")
    page.get_by_role("button", name="Play the Live Photo (l)").click()
    expect(page.locator(f'.pswp video[src*="{video}"]')).to_be_visible()
    page.keyboard.press("Delete")
    page.locator("#trash-dialog").get_by_role("button", name="Move to the trash").click()
    expect(page.locator(".toast")).to_contain_text("1 photo moved to the trash.")
    trashed = {(item.photo.library, item.photo.filename) for item in TrashItem.objects.all()}
    assert trashed == {(library, "IMG_9.HEIC"), (library, "IMG_9.MKV")}
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator(".toast")).to_contain_text("brought back.")
    expect(june.locator("h2")).to_have_text("June 2024 · 2 photos")


def test_a_motion_photo_plays_the_video_in_its_own_file(alice, library, open_tab, tmp_path):  # noqa: F811
    film = make_film(tmp_path / "film.mp4", codec="libvpx-vp9", sound=False).read_bytes()
    photo = make_photo(library, "PXL_1.MP.jpg", data=make_jpeg(320, 180) + film, taken=MOMENT, width=320, height=180,
                       motion_bytes=len(film))  # fmt: skip
    page = open_tab(alice).page
    page.goto("/")
    tile = page.locator(TILE).filter(has=page.locator(".tile-badges", has_text="Live"))
    expect(tile).to_have_count(1)
    with page.expect_response(f"**/api/v1/photos/{photo.pk}/motion/") as asked:
        tile.hover()
    assert asked.value.ok
    expect(tile.locator("video")).to_be_visible()
    tile.locator(".tile-link").click()
    page.get_by_role("button", name="Play the Live Photo (l)").click()
    video = page.locator(f'.pswp video[src$="/photos/{photo.pk}/motion/"]')
    expect(video).to_be_visible()
    page.wait_for_function("video => video.currentTime > 0", arg=video.element_handle())
