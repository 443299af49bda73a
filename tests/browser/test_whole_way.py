"""The whole way in real processes: sign in, add a library, scan, scroll, open, star, export, download."""

import hashlib
import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.corpus import CORPUS
from tests.drills.scanning import Installation
from tests.drills.test_up import Running
from tests.photos import make_library

pytestmark = pytest.mark.browser
SCAN_SECONDS = 120


def sign_in(page: Page) -> None:
    page.goto("/")
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password").fill("a-good-password-1")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Favourites").first).to_be_visible()


def add_library(page: Page, photos: Path) -> None:
    page.goto("/libraries/")
    page.get_by_role("link", name="Add a library").first.click()
    page.locator("#chooser").get_by_role("link", name=str(photos.parent)).click()
    page.locator("#chooser").get_by_role("link", name=photos.name).click()
    expect(page.get_by_text(f"Chosen: {photos}")).to_be_visible()
    page.get_by_role("button", name="Add and scan").click()


def wait_for_scan(page: Page) -> int:
    """Watch the operations until the scan is done; return how many photos the timeline holds."""
    page.goto("/operations/")
    for _ in range(SCAN_SECONDS * 2):
        (scan,) = [one for one in page.request.get("/api/v1/operations/").json()["results"] if one["kind"] == "scan"]
        if scan["state"] != "running" and scan["state"] != "pending":
            assert scan["state"] == "completed", scan
            break
        page.wait_for_timeout(500)
    page.reload()
    expect(page.get_by_role("link", name="Scan: Family")).to_be_visible()
    return sum(bucket["count"] for bucket in page.request.get("/api/v1/timeline/buckets/").json())


def scroll_and_open(page: Page) -> str:
    """Scroll through the timeline, open a photo, go to the next by key, and star it by key; return its id."""
    page.goto("/")
    expect(page.locator(".tile").first).to_be_visible()
    for _ in range(6):
        page.mouse.wheel(0, 1200)
        page.wait_for_timeout(100)
    assert page.locator(".tile").count() <= 400
    page.mouse.wheel(0, -20_000)
    page.locator(".tile-link").nth(1).click()
    expect(page).to_have_url(re.compile("/photos/"))
    expect(page.locator(".pswp")).to_be_focused()  # it listens to keys from then on
    first = page.url
    page.keyboard.press("ArrowRight")
    expect(page).not_to_have_url(first)
    photo_id = page.url.rstrip("/").rpartition("/")[2]
    # Files that have stars already are the owner's favourites from the start.
    rated = page.request.get("/api/v1/photos/favorites/").json()["count"]
    with page.expect_response(lambda response: "/favorite/" in response.url) as answered:
        page.keyboard.press("f")
    assert answered.value.json() == {"photo_id": photo_id, "rating": 5, "favorited": True}
    page.keyboard.press("Escape")
    page.goto("/favourites/")
    expect(page.locator(".tile").first).to_be_visible()
    favourites = page.request.get("/api/v1/photos/favorites/").json()
    assert (favourites["count"], favourites["results"][0]["id"]) == (rated + 1, photo_id)
    wait_for_write(page)
    return photo_id


def wait_for_write(page: Page) -> None:
    """Wait until the star is in its file, or cannot be: an export of what is being written would list it as changed."""
    for _ in range(SCAN_SECONDS):
        states = ("pending", "writing")
        if not any(page.request.get(f"/api/v1/writes/?state={state}").json()["results"] for state in states):
            return
        page.wait_for_timeout(1000)
    raise AssertionError("The star was not written.")


def export_and_download(page: Page, tmp_path: Path, count: int, starred: str) -> None:
    """Export the catalog with its originals, download the ZIP, and compare it with what the timeline showed."""
    page.goto("/exports/")
    page.get_by_text("With the original files").click()
    page.get_by_role("button", name="Export", exact=True).click()
    download_link = page.get_by_role("link", name="Download")
    expect(download_link).to_be_visible(timeout=SCAN_SECONDS * 1000)
    with page.expect_download() as started:
        download_link.click()
    archive = zipfile.ZipFile(started.value.path())
    assert archive.testzip() is None
    (catalog,) = [name for name in archive.namelist() if name.endswith("photos.json")]
    rows = json.loads(archive.read(catalog))
    assert len(rows) >= count
    (row,) = [row for row in rows if row["id"] == starred]
    assert row["favorite_count"] == 1
    (media,) = row["media_files"]
    (entry,) = [name for name in archive.namelist() if name.endswith(media)]
    assert hashlib.md5(archive.read(entry)).hexdigest() == row["photo_md5"]


@pytest.mark.parametrize("real", [False, True], ids=["generated files", "the corpus"])
def test_from_signing_in_to_a_downloaded_export(tmp_path: Path, chromium: Browser, real: bool) -> None:
    photos = tmp_path / "photos" / "Family"
    if real and (CORPUS / "library").is_dir():
        shutil.copytree(CORPUS / "library", photos)
    else:
        make_library(photos, 260, per_folder=40, size=(300, 200))
    running = Running(Installation(tmp_path / "data", tmp_path / "photos"))
    try:
        running.wait_for_web()
        context = chromium.new_context(
            base_url=f"http://127.0.0.1:{running.port}", viewport={"width": 1440, "height": 900}, accept_downloads=True
        )
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if "Content Security Policy" in line.text else None)
        sign_in(page)
        add_library(page, photos)
        count = wait_for_scan(page)
        assert count == 260 if photos.joinpath("2000").is_dir() else count > 300
        starred = scroll_and_open(page)
        export_and_download(page, tmp_path, count, starred)
        assert errors == []
    finally:
        said = running.stop()
        print(said)  # shown when something failed
    assert "Traceback" not in said, said
