"""The pages in a real browser: nothing overflows, nothing is refused by the policy, progress moves, scripts are optional."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from catalog.albums import albums, drafts, items, members, notes
from catalog.models import Album, Draft, Library, Note, SimilarGroup
from exports.models import Backup, Export, ExportDestination, Restore, WaitingFacts
from operations.models import Operation
from tests.factories import PASSWORD, make_library, make_photo, make_photos, make_user

from .conftest import DESK, PHONE

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
AXE = Path(__file__).parents[1] / "contract/clients/typescript/node_modules/axe-core/axe.min.js"
ALL_RULES = {"resultTypes": ["violations"]}
COLOURS = {**ALL_RULES, "runOnly": ["color-contrast"]}
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
CLIPPED = """
[...document.querySelectorAll("main *, nav a, nav summary")]
  .filter((element) => !element.children.length && element.textContent.trim() && element.clientWidth > 0)
  .filter((element) => getComputedStyle(element).display !== "inline" && !element.closest(".visually-hidden, .tile"))
  .filter((element) => element.scrollWidth > element.clientWidth + 1)
  .map((element) => element.textContent.trim())
"""


@pytest.fixture
def alice(transactional_db, settings, tmp_path, monkeypatch):
    """The owner of a library that has a bit of everything."""
    monkeypatch.setattr("operations.wake_up.enqueue", lambda operation: 0)
    settings.PHOTO_ROOTS = [str(tmp_path / "photos")]
    alice = make_user("alice", is_staff=True)
    bob = make_user("bob-with-a-rather-long-user-name")
    name = "The photographs of the whole family, and of all the others who were there"
    library = make_library(alice, tmp_path / "photos" / "family", name=name, members={bob: "viewer"})
    for number in range(8):
        make_photo(library, f"2024/A folder with quite a long name of its own/IMG_{number}.jpg")
    make_photo(library, "2024/" + "x" * 120 + ".jpg", state="broken", is_shown=False, problem="Torn " * 40)
    make_photo(library, "2024/part.jpg", state="damaged", problem="The lower half is missing.")
    make_photo(library, "2024/gone.jpg", state="missing", is_shown=False)
    Library.objects.update(
        photo_count=1_234_567,
        size_bytes=41_234_567_890,
        problem_count=2,
        missing_count=1,
        warning="It is read-only. " * 5,
    )
    album = albums.create(alice, uuid4(), {"title": "A fortnight of " + "walks " * 20, "description": "Word " * 60})
    note = notes.create(alice, uuid4(), {"content": "x" * 200 + " and some words. " * 20, "place": {"name": "Bamberg"}})
    shown = [items.Target(items.PHOTO, photo.pk) for photo in library.photos.filter(is_shown=True)]
    items.add(alice, album.pk, [*shown, items.Target(items.NOTE, note.pk)])
    members.set_member(alice, album.pk, bob, "editor")
    drafts.create(alice, uuid4(), {"albums": [str(album.pk)]})
    alike = [str(photo.pk) for photo in library.photos.filter(state="ready")]
    library.photos.filter(pk__in=alike).update(
        look=SimilarGroup.objects.create(user=alice, number=1, look=77, photos=alike).look
    )
    albums.delete(alice, albums.create(alice, uuid4(), {"title": "y" * 200}).pk)
    destination = ExportDestination.objects.create(
        owner=alice, name="The disk in the cellar, " + "shelf " * 20, folder=str(tmp_path / "disk"), has_records=True
    )
    destination.libraries.add(library)
    records = Path(destination.folder) / "ExportRecords"
    records.mkdir(parents=True)
    (records / "export-records.jsonl").write_text("torn\n" * 3)
    return alice


@pytest.fixture
def operations(alice):
    """One of every kind of operation; returns them by state."""
    now = timezone.now()
    common = {"owner": alice, "kind": "scan", "subject": "The photographs of the whole family"}
    lease = now + timedelta(hours=1)
    values = {
        "running": {"phase": "Reading photos", "done": 12_340, "total": 49_360, "rate": 617.0, "started_at": now},
        "failed": {"error_code": "confirm_gone", "error": "9,120 photos are gone. " * 8, "result": {"gone": 9_120}},
        "interrupted": {"done": 310, "total": 1_000},
        "completed": {"result": {"found": 12, "problems": [{"path": "y" * 200, "reason": "Torn."}]}},
    }
    return {
        state: Operation.objects.create(**common, state=state, lease_until=lease, **more)
        for state, more in values.items()
    }


@pytest.fixture
def exports(alice):
    """One that waits, one to be downloaded and one that failed."""
    library = Library.objects.get()
    for state in ("pending", "completed", "failed"):
        operation = Operation.objects.create(owner=alice, kind="export", state=state, error="The disk is full. " * 9)
        Backup.objects.create(
            user=alice,
            operation=Operation.objects.create(owner=alice, kind="backup", state=state, error="The disk is full. " * 9),
            completed_at=timezone.now() if state == "completed" else None,
            problem="media/2024/2024-05-17T10-30-00Z_" + "a" * 32 + ".jpg: its bytes are not those that were written.",
            key_file="x",
        )
        Export.objects.create(
            user=alice,
            library=library,
            library_name=library.name,
            format="json",
            operation=operation,
            photo_count=8,
            completed_at=timezone.now() if state == "completed" else None,
        )
    fields = {"title": {"here": "Rome " * 20, "backup": "Roma", "wins": "backup"}}
    kinds = {"kind": "album", "action": "update", "id": str(library.pk), "name": "Rome", "reason": "", "fields": fields}
    for is_done in (False, True):
        restore = Restore.objects.create(
            user=alice,
            source_name="photolala-backup-2024-05-17.zip",
            counts={"album": {"update": 1, "trash": 1}, "photo": {"waiting": 1}},
            differences=[kinds],
            difference_count=1_200,
            problems=[{"what": "media/2024/" + "long" * 20, "reason": "The file is not in the backup."}],
            compared_at=timezone.now(),
            completed_at=timezone.now() if is_done else None,
        )
    WaitingFacts.objects.create(
        user=alice, restore=restore, photo_id=library.pk, library_id=library.pk, path="2024/" + "name" * 30
    )


def addresses(operations):
    """Return all pages."""
    home = f"/libraries/{Library.objects.get().pk}"
    return [
        "/",
        "/favourites/",
        "/search/",
        "/search/?q=long+name",
        f"/search/?q=not+{'x' * 180}+colour:red",
        "/libraries/",
        "/libraries/add/",
        "/duplicates/",
        "/duplicates/similar/",
        f"{home}/folders/?directory=2024",
        *[f"{home}/problems/?state={state}" for state in ("broken", "damaged", "missing")],
        f"{home}/about/",
        f"{home}/settings/",
        "/operations/",
        *[f"/operations/{operation.pk}/" for operation in operations.values()],
        "/me/",
        "/sync/",
        "/albums/",
        "/albums/trash/",
        *[
            f"/albums/{album.pk}/{page}"
            for album in Album.objects.filter(trashed_at=None)
            for page in ("", "settings/")
        ],
        "/notes/",
        *[f"/notes/{note.pk}/" for note in Note.objects.all()],
        *[f"/drafts/{draft.pk}/" for draft in Draft.objects.all()],
        "/exports/",
        "/backups/",
        f"/destinations/{ExportDestination.objects.get().pk}/",
        "/restores/",
        *[f"/restores/{restore.pk}/" for restore in Restore.objects.all()],
        f"/destinations/{ExportDestination.objects.get().pk}/lacking/2024/5/",
    ]


@pytest.mark.parametrize("width", [PHONE, 768, DESK])
def test_every_page_fits_and_is_for_those_who_hear_it_or_see_little(visit, alice, operations, exports, width):
    visitor = visit(alice, width)
    for address in addresses(operations):
        assert visitor.go(address).status == 200
        visitor.page.wait_for_load_state("load")
        for scheme in ("light", "dark"):
            visitor.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # colours at once
            assert visitor.page.evaluate(TOO_WIDE) <= 0, (address, scheme)
            assert visitor.page.evaluate(CLIPPED) == [], (address, scheme)
            if width != 768:
                assert barriers(visitor, COLOURS if scheme == "dark" else ALL_RULES) == [], (address, scheme)
        # Pictures of the made-up rows cannot all be drawn; everything else must be without a complaint.
        assert [line for line in visitor.wrong() if "Failed to load resource" not in line] == [], address
    visitor.go("/")
    visitor.page.locator(".tile-link").first.focus()
    visitor.page.keyboard.press("Space")
    expect(visitor.page.locator("#selection-bar")).to_be_visible()
    assert barriers(visitor) == []
    visitor.page.get_by_role("button", name="Add to an album").click()
    expect(visitor.page.locator("#album-dialog .album-choices button")).to_have_count(1)
    assert barriers(visitor) == []


def barriers(visitor, options=ALL_RULES) -> list[str]:
    """Return what axe-core finds on the page as it is now: rule, and the first place."""
    if visitor.page.evaluate("window.axe === undefined"):
        visitor.page.evaluate(AXE.read_text())
    found = visitor.page.evaluate("options => axe.run(document, options)", options)["violations"]
    return [f"{one['id']}: {one['nodes'][0]['target']} {one['nodes'][0]['failureSummary']}" for one in found]


def test_the_sign_in_page_works_by_keyboard_alone(visit, alice):
    visitor = visit()
    visitor.go("/libraries/")
    expect(visitor.page.locator("[name=username]")).to_be_focused()
    visitor.page.keyboard.type("alice")
    visitor.page.keyboard.press("Tab")
    visitor.page.keyboard.type(PASSWORD)
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.locator("h1")).to_have_text("Libraries")
    visitor.page.keyboard.press("Tab")
    expect(visitor.page.get_by_text("Skip to content")).to_be_in_viewport()
    assert visitor.wrong() == []


def test_progress_moves_by_itself_and_ends_by_itself(visit, alice, operations):
    visitor = visit(alice)
    operation = operations["running"]
    visitor.go(f"/operations/{operation.pk}/")
    visitor.page.evaluate("window.notReloaded = true")
    expect(visitor.page.locator("main progress").first).to_have_attribute("value", "0.2500")
    visitor.page.get_by_role("button", name="Cancel").focus()
    Operation.objects.filter(pk=operation.pk).update(done=24_680)
    expect(visitor.page.locator("main progress").first).to_have_attribute("value", "0.5000")
    expect(visitor.page.locator("main")).to_contain_text("24,680 of 49,360 photos · 50 %")
    expect(visitor.page.get_by_role("button", name="Cancel")).to_be_focused()
    expect(visitor.page.locator(".thin-progress")).to_have_attribute("href", f"/operations/{operation.pk}/")
    Operation.objects.filter(pk=operation.pk).update(state="completed", finished_at=timezone.now())
    expect(visitor.page.locator("main .badge").first).to_have_text("done")
    expect(visitor.page.locator(".thin-progress")).to_be_hidden()
    assert visitor.page.evaluate("window.notReloaded") is True
    assert visitor.wrong() == []


def test_a_scan_that_fails_says_so_by_itself_and_can_be_started_again(visit, alice, operations):
    library = Library.objects.get()
    Operation.objects.exclude(pk=operations["running"].pk).delete()
    Operation.objects.update(active_key=library.scan_key)
    visitor = visit(alice)
    visitor.go(f"/libraries/{library.pk}/about/")
    expect(visitor.page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(visitor.page.get_by_role("button", name="Scan now")).to_have_count(0)
    expect(visitor.page.locator(".notices")).to_be_hidden()
    Operation.objects.update(state="failed", active_key="", error="The disk is away.", finished_at=timezone.now())
    expect(visitor.page.get_by_text("The disk is away.")).to_be_visible()
    visitor.page.get_by_role("button", name="Scan now").click()
    expect(visitor.page.get_by_text("Waiting for a worker").first).to_be_visible()
    assert visitor.page.url.endswith(f"/libraries/{library.pk}/about/")
    assert visitor.wrong() == []


def test_the_folder_chooser_keeps_what_was_typed(visit, alice, settings):
    root = Path(settings.PHOTO_ROOTS[0])
    (root / "weddings" / "2024").mkdir(parents=True)
    visitor = visit(alice, PHONE)
    visitor.go("/libraries/add/")
    visitor.page.get_by_label("Name", exact=True).fill("Our weddings")
    zone = visitor.page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")
    visitor.page.get_by_label("Time zone").select_option("Antarctica/Troll")
    visitor.page.get_by_role("button", name=f"Use {zone}, as this browser").click()
    expect(visitor.page.get_by_label("Time zone")).to_have_value(zone)
    for name in (str(root), "weddings", "2024"):
        visitor.page.locator("#chooser .listing").get_by_role("link", name=name, exact=True).click()
        expect(visitor.page.locator("#chooser [aria-current]")).to_have_text(name.rpartition("/")[2])
    visitor.page.get_by_role("button", name="Add and scan").click()
    expect(visitor.page.locator("h1")).to_have_text("Our weddings")
    library = Library.objects.get(name="Our weddings")
    assert (library.root, library.time_zone) == (str(root / "weddings" / "2024"), zone)
    expect(visitor.page.locator("main")).to_contain_text("Waiting for a worker")


def test_a_library_can_be_added_and_forgotten_without_scripts(visit, alice, settings):
    root = Path(settings.PHOTO_ROOTS[0])
    (root / "weddings").mkdir()
    visitor = visit(alice, script=False)
    visitor.go("/libraries/add/")
    for name in (str(root), "weddings"):
        visitor.page.locator("#chooser .listing").get_by_role("link", name=name, exact=True).click()
    visitor.page.get_by_role("button", name="Add and scan").click()
    library = Library.objects.get(name="weddings")
    visitor.go(f"/libraries/{library.pk}/settings/")
    visitor.page.get_by_label("To confirm, type the name").fill("weddings")
    visitor.page.get_by_role("button", name="Forget the library").click()
    expect(visitor.page.locator(".notices")).to_contain_text("untouched")
    assert not Library.objects.filter(name="weddings").exists()


def test_more_of_a_folder_comes_without_leaving_it(visit, alice):
    library = Library.objects.get()
    make_photos(library, 150)
    visitor = visit(alice)
    visitor.go(f"/libraries/{library.pk}/folders/")
    expect(visitor.page.locator(".tile")).to_have_count(120)
    visitor.page.get_by_role("link", name="More", exact=True).click()
    expect(visitor.page.locator(".tile")).to_have_count(150)
    expect(visitor.page.get_by_role("link", name="More", exact=True)).to_have_count(0)


def test_the_look_changes_at_once_and_stays(visit, alice):
    visitor = visit(alice)
    visitor.go("/me/")
    look = "getComputedStyle(document.documentElement).colorScheme"
    assert visitor.page.evaluate(look) == "light dark"
    with visitor.page.expect_response("**/me/theme/"):
        visitor.page.get_by_label("Dark", exact=True).check()
    assert visitor.page.evaluate(look) == "dark"
    visitor.go("/libraries/")
    assert visitor.page.evaluate(look) == "dark"
    assert visitor.wrong() == []


def test_the_short_bar_reaches_everything_on_a_phone(visit, alice):
    visitor = visit(alice, PHONE)
    visitor.go("/libraries/")
    bar = visitor.page.get_by_role("navigation", name="Main, short")
    assert bar.evaluate("bar => bar.children.length") == 5
    bar.get_by_text("More").click()
    bar.get_by_role("link", name="Operations").click()
    expect(visitor.page.locator("h1")).to_have_text("Operations")
