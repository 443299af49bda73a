"""Selected photos are exported to a destination from the bar of the timeline."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from accounts.models import User
from catalog.models import Library
from exports.destinations.folders import add_destination
from operations.models import Operation
from operations.running import execute
from tests.browser.test_timeline import TILE, alice, library, open_tab  # noqa: F401

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_two_selected_photos_go_to_a_destination(
    open_tab: Any,  # noqa: F811
    alice: User,  # noqa: F811
    library: Library,  # noqa: F811
    tmp_path: Path,
) -> None:
    page = open_tab(alice).page
    page.goto("/")
    for number in (0, 4):
        page.locator(TILE).nth(number).get_by_role("checkbox", name="Select").click()
    button = page.get_by_role("button", name="Export to a destination")
    button.click()
    dialog = page.get_by_role("dialog", name="Export 2 photos to")
    expect(dialog.get_by_text("There is no destination yet.")).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    destination = add_destination(alice, "Best of", "best", "{year}/{month}/")
    button.click()
    dialog.get_by_role("button", name="Best of").click()
    expect(page.get_by_text("2 photos will be copied to “Best of”.")).to_be_visible()
    execute(Operation.objects.get(kind="export_selection").pk)
    copies = list(destination.path.rglob("*.JPG"))
    assert sorted(str(path.relative_to(destination.path)) for path in copies) == [
        "2024/04/IMG_0.JPG",
        "2024/05/IMG_0.JPG",
    ]
