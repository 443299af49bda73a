"""Sending files in a real browser: chosen, paused, gone on with, and what became of them."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from catalog.models import Import, ImportItem, Upload
from operations.models import Operation
from operations.running import execute
from tests.factories import make_library, make_user
from tests.photos import make_jpeg

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def card(tmp_path: Path) -> list[Path]:
    return [make_jpeg(tmp_path / "card" / f"IMG_{number}.JPG", seed=number, size=(600, 400)) for number in range(5)]


def run_imports() -> None:
    for operation in Operation.objects.filter(kind="import", state="pending"):
        assert execute(operation.pk).state == "completed"


def test_chosen_files_are_sent_and_imported(visit: Any, tmp_path: Path, card: list[Path]) -> None:
    alice = make_user("alice")
    library = make_library(alice, tmp_path / "library")
    visitor = visit(alice)
    visitor.go("/imports/")
    page = visitor.page
    page.locator("[data-files]").first.set_input_files([str(path) for path in card])
    expect(page.locator("[data-words]")).to_contain_text("5 of 5 files sent")
    run_imports()
    expect(page.locator("[data-live=imports]")).to_contain_text("5 photos imported")  # by itself
    page.get_by_role("link", name="Show results").click()
    expect(page.locator("main")).to_contain_text("2024/05/IMG_0.JPG")
    assert sorted(path.name for path in (tmp_path / "library" / "2024" / "05").iterdir()) == [p.name for p in card]
    assert Import.objects.get().library == library and not Upload.objects.exists()
    assert not visitor.wrong()


def test_a_batch_says_whether_people_become_keywords(visit: Any, tmp_path: Path, card: list[Path]) -> None:
    """Also one that follows on the same page: what was chosen meanwhile holds for it."""
    alice = make_user("alice")
    make_library(alice, tmp_path / "library")
    visitor = visit(alice)
    visitor.go("/imports/")
    page = visitor.page
    for path, is_wished in ((card[0], False), (card[1], True)):
        page.get_by_label("People’s names").set_checked(is_wished)
        page.locator("[data-files]").first.set_input_files(str(path))
        expect(page.locator("[data-words]")).to_contain_text("1 of 1 file sent")
        for _ in range(100):
            if Upload.objects.filter(filename=path.name).exists():
                break
            page.wait_for_timeout(100)
        assert Upload.objects.get(filename=path.name).import_run.people_as_keywords is is_wished
    assert Import.objects.count() == 2
    assert not visitor.wrong()


def test_paused_and_gone_on_with(visit: Any, tmp_path: Path, card: list[Path]) -> None:
    alice = make_user("alice")
    make_library(alice, tmp_path / "library")
    visitor = visit(alice, width=390)
    visitor.go("/imports/")
    page = visitor.page
    held: list[Any] = []
    page.route(
        "**/api/v1/uploads/*/",
        lambda route: held.append(route) if route.request.method == "PATCH" else route.continue_(),
    )
    page.locator("[data-files]").first.set_input_files([str(path) for path in card])
    for _ in range(200):
        if len(held) == 3:
            break
        page.wait_for_timeout(100)
    page.wait_for_timeout(300)
    assert len(held) == 3  # three at a time
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("[data-words]")).to_contain_text("paused")
    page.unroute("**/api/v1/uploads/*/")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("[data-words]")).to_contain_text("5 of 5 files sent")
    assert ImportItem.objects.count() == 5
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_what_the_server_refuses_is_said(visit: Any, tmp_path: Path, card: list[Path], settings: Any) -> None:
    alice = make_user("alice")
    make_library(alice, tmp_path / "library")
    settings.UPLOAD_QUOTA_BYTES = 10
    visitor = visit(alice)
    visitor.go("/imports/")
    page = visitor.page
    page.locator("[data-files]").first.set_input_files(str(card[0]))
    expect(page.locator("[data-troubles]")).to_contain_text("as much under way as the server takes")
    expect(page.locator("[data-words]")).to_contain_text("1 not sent")
