"""The place of an open photo: typed or pasted, taken away, and taken back by the toast."""

import pytest
from playwright.sync_api import expect

from tests.browser.test_captions import first_photo
from tests.browser.test_keywords import picture
from tests.browser.test_timeline import alice, library, open_tab, wait_until  # noqa: F401

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def place() -> tuple[float | None, float | None]:
    photo = first_photo()
    return photo.latitude, photo.longitude


@pytest.mark.parametrize("width", [390, 1440])
def test_it_is_said_in_place(alice, library, open_tab, width):  # noqa: F811
    page = open_tab(alice, width=width).page
    page.goto(f"/photos/{first_photo().pk}/")
    expect(page.locator(".pswp")).to_be_focused()
    page.keyboard.press("p")
    field = page.get_by_label("Place", exact=True)
    expect(field).to_be_focused()
    page.keyboard.type("48.8583, 2.2945")  # digits are keys of the photo, too
    page.keyboard.press("Enter")
    shown = page.locator(".place-field a")
    expect(shown).to_contain_text("48.85830° N, 2.29450° E")
    assert place() == (48.8583, 2.2945)
    picture(page, f"place-{width}")
    page.get_by_role("button", name="Change the place").click()
    field.fill("https://www.openstreetmap.org/#map=17/-22.9519/-43.2105")
    picture(page, f"place-editing-{width}")
    page.get_by_role("button", name="Save the place").click()
    expect(shown).to_contain_text("22.95190° S, 43.21050° W")
    page.get_by_role("button", name="Change the place").click()
    page.get_by_role("button", name="Remove the place").click()
    expect(shown).to_have_text("Not known")
    assert place() == (None, None)
    page.get_by_role("button", name="Undo").click()
    expect(shown).to_contain_text("22.95190° S")
    assert place() == (-22.9519, -43.2105)
    assert first_photo().rating is None
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
