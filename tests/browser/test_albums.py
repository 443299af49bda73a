"""Albums in a real browser: adding from the timeline, opening, arranging by keyboard and pointer, drafts that are not lost."""

import uuid

import pytest
from playwright.sync_api import expect

from catalog.albums import albums, drafts, items, members
from catalog.models import Album, Draft
from tests.factories import make_library, make_photo, make_user

from .conftest import DESK, PHONE

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def alice(transactional_db, settings, tmp_path, monkeypatch):
    """The owner of six photos."""
    monkeypatch.setattr("operations.wake_up.enqueue", lambda operation: 0)
    settings.PHOTO_ROOTS = [str(tmp_path / "photos")]
    alice = make_user("alice")
    library = make_library(alice, tmp_path / "photos" / "family")
    alice.shots = [make_photo(library, f"IMG_{number}.jpg") for number in range(6)]
    return alice


@pytest.fixture
def album(alice):
    """Her album of all six, in their order."""
    album = albums.create(alice, uuid.uuid4(), {"title": "Rome"})
    items.add(alice, album.pk, [items.Target(items.PHOTO, photo.pk) for photo in alice.shots])
    return album


def order_of(album) -> list[uuid.UUID]:
    return list(album.items.live().order_by("position", "pk").values_list("photo", flat=True))


def saved(visitor, act) -> None:
    """Do `act`, and wait for the answer to the change that it sends."""
    with visitor.page.expect_response(lambda answer: answer.request.method in ("POST", "PATCH")) as answer:
        act()
    assert answer.value.ok


def test_selected_photos_of_an_album_are_taken_out_and_put_into_another(visit, alice, album):
    visitor = visit(alice)
    visitor.go(f"/albums/{album.pk}/")
    page = visitor.page
    photos, bar = page.locator(".album-photo"), page.locator("#selection-bar")
    page.get_by_role("button", name="Select", exact=True).click()
    photos.nth(1).click()
    photos.nth(3).click(modifiers=["Shift"])
    expect(bar).to_contain_text("3 photos selected")
    bar.get_by_role("button", name="Add to an album").click()
    page.locator("#album-dialog").get_by_label("New album").fill("Paris")
    page.locator("#album-dialog").get_by_role("button", name="Create").click()
    expect(page.locator(".toast")).to_contain_text("3 photos in “Paris”.")
    expect(bar).to_be_hidden()
    photos.nth(0).click(modifiers=["Control"])
    photos.nth(2).click()
    saved(visitor, lambda: bar.get_by_role("button", name="Remove from this album").click())
    expect(photos).to_have_count(4)
    shots = [photo.pk for photo in alice.shots]
    assert order_of(album) == [shots[1], *shots[3:]]
    expect(page.get_by_role("button", name="Select", exact=True)).to_be_focused()
    expect(page.locator("[data-photo-count]")).to_have_text("4 photos")
    photos.nth(3).click()
    expect(page.locator(".pswp")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(f"**/photos/{shots[4]}/")
    page.keyboard.press("Escape")
    page.wait_for_url(f"**/albums/{album.pk}/")
    saved(visitor, lambda: page.get_by_role("button", name="Undo").click())
    expect(photos).to_have_count(6)
    expect(page.locator("[data-photo-count]")).to_have_text("6 photos")
    assert order_of(album) == shots and order_of(Album.objects.get(title="Paris")) == shots[1:4]
    assert visitor.wrong() == []


def test_photos_are_added_from_the_selection_and_from_an_open_photo(visit, alice, album):
    visitor = visit(alice)
    visitor.go("/")
    tiles = visitor.page.locator(".tile-link")
    tiles.first.wait_for()
    tiles.first.focus()
    visitor.page.keyboard.press("Space")
    visitor.page.set_viewport_size({"width": 1024, "height": 900})
    expect(visitor.page.get_by_role("button", name="Move to the trash")).to_be_in_viewport(ratio=1)
    visitor.page.set_viewport_size({"width": DESK, "height": 900})
    visitor.page.get_by_role("button", name="Add to an album").click()
    dialog = visitor.page.locator("#album-dialog")
    expect(dialog.get_by_role("button", name="Rome")).to_contain_text("6 items")
    dialog.get_by_label("New album").fill("Paris")
    dialog.get_by_role("button", name="Create").click()
    expect(visitor.page.locator(".toast")).to_contain_text("1 photo in “Paris”.")
    expect(visitor.page.locator("#selection-bar")).to_be_hidden()
    tiles.first.click()
    expect(visitor.page.locator(".pswp")).to_be_focused()
    visitor.page.keyboard.press("ArrowRight")
    visitor.page.keyboard.press("a")
    saved(visitor, dialog.get_by_role("button", name="Paris").click)
    expect(dialog).to_be_hidden()
    paris = Album.objects.get(title="Paris")
    assert set(order_of(paris)) <= {photo.pk for photo in alice.shots} and len(order_of(paris)) == 2
    assert visitor.wrong() == []


def test_an_album_is_arranged_by_keyboard_button_and_pointer(visit, alice, album):
    visitor = visit(alice)
    visitor.go(f"/albums/{album.pk}/")
    page, shots = visitor.page, [photo.pk for photo in alice.shots]
    page.get_by_role("button", name="Arrange").click()
    page.locator(".album-item").nth(2).locator("[data-act=earlier]").focus()
    saved(visitor, lambda: page.keyboard.press("Alt+ArrowLeft"))
    assert order_of(album) == [shots[0], shots[2], shots[1], *shots[3:]]
    saved(visitor, lambda: page.keyboard.press("Alt+End"))
    assert order_of(album) == [shots[0], shots[1], *shots[3:], shots[2]]
    saved(visitor, lambda: page.locator(".album-item").nth(1).locator("[data-act=earlier]").click())
    assert order_of(album)[:2] == [shots[1], shots[0]]
    first, last = (page.locator(".album-item").nth(place).bounding_box() for place in (0, 4))
    page.mouse.move(first["x"] + first["width"] / 2, first["y"] + first["height"] - 20)
    page.mouse.down()
    page.mouse.move(last["x"] + last["width"] - 5, last["y"] + last["height"] - 20, steps=8)
    saved(visitor, page.mouse.up)
    assert order_of(album) == [shots[0], *shots[3:], shots[1], shots[2]]
    saved(visitor, lambda: page.locator(".album-item").nth(1).locator("[data-act=cover]").click())
    album.refresh_from_db()
    assert album.cover_id == shots[3]
    saved(visitor, lambda: page.locator(".album-item").nth(0).locator("[data-act=remove]").click())
    assert shots[0] not in order_of(album)
    saved(visitor, lambda: page.get_by_role("button", name="Undo").click())
    assert order_of(album)[0] == shots[0]
    assert visitor.wrong() == []


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_a_member_opens_photos_with_addresses_of_their_own(visit, alice, album, width):
    bob = make_user("bob")
    members.set_member(alice, album.pk, bob, "viewer")
    visitor = visit(bob, width)
    visitor.go(f"/albums/{album.pk}/")
    page = visitor.page
    page.locator(".album-photo").nth(1).click()
    expect(page.locator(".pswp")).to_be_focused()
    page.wait_for_url(f"**/albums/{album.pk}/photos/{alice.shots[1].pk}/")
    expect(page.locator(".pswp__button--star")).to_be_hidden()
    expect(page.locator(".pswp__button--download")).to_be_hidden()
    page.keyboard.press("ArrowRight")
    page.wait_for_url(f"**/photos/{alice.shots[2].pk}/")
    page.keyboard.press("i")
    expect(page.locator(".photo-panel")).to_contain_text("Size")
    page.keyboard.press("Escape")
    page.wait_for_url(f"**/albums/{album.pk}/")
    visitor.go(f"/albums/{album.pk}/photos/{alice.shots[4].pk}/")
    expect(page.locator(".pswp")).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert visitor.wrong() == []


def test_what_was_typed_survives_a_server_that_cannot_be_reached_and_another_device(visit, alice, album):
    draft = drafts.create(alice, uuid.uuid4(), {})
    visitor = visit(alice)
    visitor.go(f"/drafts/{draft.pk}/")
    page = visitor.page
    page.route("**/api/v1/drafts/**", lambda route: route.abort())
    page.get_by_label("Text, block 1").fill("Never lose this.")
    expect(page.locator("[data-saved]")).to_contain_text("It is kept in this browser.")
    page.unroute("**/api/v1/drafts/**")
    visitor.complaints.clear()  # of the request that was cut off
    page.reload()
    expect(page.get_by_label("Text, block 1")).to_have_value("Never lose this.")
    expect(page.locator("[data-saved]")).to_have_text("Saved")
    assert Draft.objects.get().blocks[0]["text"] == "Never lose this."
    page.route("**/api/v1/drafts/**", lambda route: route.abort())
    page.get_by_label("Text, block 1").fill("Never lose this, here.")
    expect(page.locator("[data-saved]")).to_contain_text("It is kept in this browser.")
    elsewhere = [{**Draft.objects.get().blocks[0], "text": "Nor that, of another device."}]
    drafts.patch(alice, draft.pk, {"blocks": elsewhere})
    page.unroute("**/api/v1/drafts/**")
    visitor.complaints.clear()
    page.reload()
    expect(page.get_by_label("Text, block 1")).to_have_value("Nor that, of another device.")
    expect(page.get_by_label("Text, block 2")).to_have_value("Never lose this, here.")
    page.locator("[data-act=remove]").last.click()
    expect(page.locator("[data-saved]")).to_have_text("Saved")
    page.route("**/api/v1/drafts/**", lambda route: route.abort())
    page.get_by_label("Text, block 1").fill("Nor that, of another device. And more.")
    expect(page.locator("[data-saved]")).to_contain_text("It is kept in this browser.")
    part = [{**Draft.objects.get().blocks[0], "text": "Nor that, of another device. And"}]
    drafts.patch(alice, draft.pk, {"blocks": part})  # a part was sent, and the answer was lost
    page.unroute("**/api/v1/drafts/**")
    visitor.complaints.clear()
    page.reload()
    expect(page.get_by_label("Text, block 1")).to_have_value("Nor that, of another device. And more.")
    expect(page.locator(".draft-block")).to_have_count(1)
    expect(page.locator("[data-saved]")).to_have_text("Saved")
    page.get_by_label("Text, block 1").fill("Never lose this.")
    page.get_by_label("Rome").check()
    page.get_by_role("button", name="Publish").click()
    page.wait_for_url("**/notes/*/")
    expect(page.locator(".note-text")).to_have_text("Never lose this.")
    assert album.items.filter(note__content="Never lose this.").exists()
    assert visitor.wrong() == []
