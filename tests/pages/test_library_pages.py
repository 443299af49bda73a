"""The pages of one library: folders, problems, facts, members and settings."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from catalog.models import Favourite, Library, Membership, Photo, Snapshot
from catalog.pages.folders import crumbs
from catalog.scanning.requests import start_scan
from operations.models import Operation, State
from operations.running import execute
from photolala.lib.paths import escape_path
from tests.factories import make_library, make_photo, make_photos


def base(cast):
    return f"/libraries/{cast.library.pk}"


def test_folders_show_what_lies_in_them_with_counts(cast, alice, bob):
    make_photo(cast.library, "2024/05/a.jpg")
    make_photo(cast.library, "2024/06/b.jpg")
    make_photo(cast.library, "top.jpg")
    for browser in (alice, bob):
        page = browser.get(f"{base(cast)}/folders/").content.decode()
        assert "top.jpg" in page
        assert '<span class="name">2024</span><span class="muted small numbers">2</span>' in page
        inner = browser.get(f"{base(cast)}/folders/", {"directory": "2024/05"}).content.decode()
        assert "a.jpg" in inner
        assert "b.jpg" not in inner
        assert 'href="?directory=2024"' in inner


@pytest.mark.parametrize("name", ["a & b", "100% <i>", "ein\nzwei", "Übung ?#+", "back\\slash", b"\xff\xfe"])
def test_odd_folder_names_can_be_opened(cast, alice, name):
    text = escape_path(name)
    make_photo(cast.library, f"{text}/inside.jpg", on_disk=False)
    response = alice.get(f"{base(cast)}/folders/", {"directory": text})
    assert response.status_code == 200
    assert "inside.jpg" in response.content.decode()
    assert "<i>" not in response.content.decode()


def test_broken_photos_show_their_reason_and_missing_ones_do_not_show(cast, alice):
    make_photo(cast.library, "x/bad.jpg", state="broken", is_shown=False, problem="Its data ends after 7 bytes.")
    make_photo(cast.library, "x/gone.jpg", state="missing", is_shown=False)
    page = alice.get(f"{base(cast)}/folders/", {"directory": "x"}).content.decode()
    assert "Its data ends after 7 bytes." in page
    assert "gone.jpg" not in page


def test_long_folders_come_in_pages_that_meet_exactly(cast, alice):
    names = {photo.filename for photo in make_photos(cast.library, 250)}
    seen: list[str] = []
    address = f"{base(cast)}/folders/"
    while address:
        response = alice.get(address)
        seen += [row["filename"] for row in response.context["page"].rows]
        cursor = response.context["page"].next_cursor
        address = f"{base(cast)}/folders/?directory=&cursor={cursor}" if cursor else ""
    assert len(seen) == 250
    assert set(seen) == names


@pytest.mark.parametrize("page", ["folders", "problems"])
def test_a_bad_cursor_is_a_bad_request_in_words(cast, alice, page):
    response = alice.get(f"{base(cast)}/{page}/", {"cursor": "nonsense"})
    assert response.status_code == 400
    assert "Start again without it" in response.content.decode()


@pytest.mark.parametrize("directory", ["nowhere", "../holidays", "a\0b", "/etc"])
def test_a_folder_that_is_not_there_is_not_found(cast, alice, directory):
    make_photo(cast.library, "a/b.jpg")
    assert alice.get(f"{base(cast)}/folders/", {"directory": directory}).status_code == 404


def test_the_way_to_a_folder():
    assert crumbs("") == []
    assert crumbs("a/b/c") == [("a", "a"), ("b", "a/b"), ("c", "a/b/c")]


def test_problems_are_listed_by_kind_with_reason_and_place(cast, alice):
    make_photo(cast.library, "x/bad.jpg", state="broken", is_shown=False, problem="Its data ends after 7 bytes.")
    make_photo(cast.library, "x/torn.jpg", state="damaged", problem="The lower half is missing.")
    gone = datetime(2024, 1, 1, tzinfo=UTC)
    make_photo(cast.library, "x/gone.jpg", state="missing", is_shown=False, missing_since=gone)
    make_photo(cast.library, "x/good.jpg")
    for state, there, reason in (
        ("broken", "bad.jpg", "Its data ends after 7 bytes."),
        ("damaged", "torn.jpg", "The lower half is missing."),
        ("missing", "gone.jpg", "2 years ago</time>."),
    ):
        page = alice.get(f"{base(cast)}/problems/", {"state": state}).content.decode()
        assert there in page
        assert reason in page
        assert "good.jpg" not in page
    assert "bad.jpg" in alice.get(f"{base(cast)}/problems/").content.decode()
    assert alice.get(f"{base(cast)}/problems/", {"state": "ready"}).status_code == 400


def test_no_problems_is_said(cast, alice):
    assert "No problems" in alice.get(f"{base(cast)}/problems/").content.decode()


def test_many_problems_come_in_pages(cast, alice):
    make_photos(cast.library, 130, state="broken", is_shown=False)
    first = alice.get(f"{base(cast)}/problems/").context["page"]
    second = alice.get(f"{base(cast)}/problems/", {"state": "broken", "cursor": first.next_cursor}).context["page"]
    assert (len(first.rows), len(second.rows), second.next_cursor) == (100, 30, None)
    assert len({row["id"] for row in first.rows + second.rows}) == 130


def test_facts_name_kinds_snapshots_and_members_but_the_root_only_to_its_owner(cast, alice, bob):
    make_photo(cast.library, "a.jpg", size_bytes=2_000_000)
    Snapshot.objects.create(
        library=cast.library,
        md5="0" * 32,
        entry_count=12_340,
        size_bytes=5_000_000,
        published_at=datetime(2024, 5, 17, tzinfo=UTC),
        in_cache=True,
        in_root=True,
    )
    page = alice.get(f"{base(cast)}/about/").content.decode()
    for text in (
        "JPEG picture",
        "12,340",
        "5.0 MB",
        "beside the photos and in the cache",
        "bob (viewer)",
        cast.library.root,
    ):
        assert text in page
    assert cast.library.root not in bob.get(f"{base(cast)}/about/").content.decode()


@pytest.mark.parametrize("page", ["folders", "problems", "about", "settings"])
@pytest.mark.parametrize("count", [2, 20])
def test_query_budgets(cast, alice, django_assert_max_num_queries, page, count):
    make_photos(cast.library, count, state="damaged")
    with django_assert_max_num_queries(9):
        assert alice.get(f"{base(cast)}/{page}/").status_code == 200


def test_settings_are_saved(cast, alice):
    form = {"name": "Travels", "time_zone": "Asia/Tokyo", "ratings": "database"}
    assert alice.post(f"{base(cast)}/settings/save/", form).status_code == 302
    cast.library.refresh_from_db()
    assert (cast.library.name, cast.library.time_zone, cast.library.ratings) == ("Travels", "Asia/Tokyo", "database")


@pytest.mark.parametrize(
    "change", [{"name": ""}, {"time_zone": "../etc/passwd"}, {"ratings": "x"}, {"name": "x" * 201}]
)
def test_bad_settings_change_nothing(cast, alice, change):
    form = {"name": "Travels", "time_zone": "Asia/Tokyo", "ratings": "database", **change}
    response = alice.post(f"{base(cast)}/settings/save/", form)
    assert response.status_code == 422
    assert "errorlist" in response.content.decode()
    cast.library.refresh_from_db()
    assert (cast.library.name, cast.library.ratings) == ("Holidays", "file")


def test_members_come_change_and_go(cast, alice, charlie):
    assert charlie.get(f"{base(cast)}/about/").status_code == 404
    for role in ("viewer", "editor"):
        alice.post(f"{base(cast)}/members/", {"username": "charlie", "role": role})
        assert Membership.objects.get(user=cast.charlie).role == role
    assert charlie.get(f"{base(cast)}/about/").status_code == 200
    alice.post(f"{base(cast)}/members/remove/", {"username": "charlie"})
    assert charlie.get(f"{base(cast)}/about/").status_code == 404
    page = alice.post(f"{base(cast)}/members/remove/", {"username": "charlie"}, follow=True).content.decode()
    assert "was no member any more" in page


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"username": "nobody", "role": "viewer"}, "no user called"),
        ({"username": "alice", "role": "viewer"}, "needs no membership"),
        ({"username": "charlie", "role": "owner"}, "one of viewer, editor"),
        ({}, "no user called"),
    ],
)
def test_impossible_members_are_refused_with_the_reason(cast, alice, form, words):
    response = alice.post(f"{base(cast)}/members/", form)
    assert response.status_code == 422
    assert words in response.content.decode()
    assert Membership.objects.count() == 2


def test_forgetting_needs_the_name_and_never_touches_a_photo(cast, alice):
    photo = make_photo(cast.library, "a.jpg")
    Favourite.objects.create(user=cast.bob, photo=photo)
    file = Path(cast.library.root, "a.jpg")
    before = file.read_bytes()
    response = alice.post(f"{base(cast)}/forget/", {"name": "holiday"})
    assert response.status_code == 422
    assert "Nothing was forgotten" in response.content.decode()
    assert Photo.objects.count() == 1
    page = alice.post(f"{base(cast)}/forget/", {"name": "Holidays"}, follow=True).content.decode()
    assert "are untouched in" in page
    assert not Library.objects.exists()
    assert file.read_bytes() == before


def test_another_library_of_the_same_name_stays(cast, alice):
    other = make_library(cast.alice, cast.folder / "other", name="Holidays")
    alice.post(f"{base(cast)}/forget/", {"name": "Holidays"})
    assert list(Library.objects.all()) == [other]


def test_the_schedule_is_saved_and_stays_when_the_form_does_not_say(cast, alice):
    form = {"name": "Holidays", "time_zone": "UTC", "ratings": "file"}
    schedule = {"scan_every_hours": "6", "verify_every_days": "30", "is_watched": "1"}
    assert alice.post(f"{base(cast)}/settings/save/", {**form, **schedule}).status_code == 302
    for sent in (form, {**form, "scan_every_hours": "5"}):
        alice.post(f"{base(cast)}/settings/save/", sent)
        library = Library.objects.get(pk=cast.library.pk)
        assert (library.scan_every_hours, library.verify_every_days, library.is_watched) == (6, 30, True)
    page = alice.get(f"{base(cast)}/settings/").content.decode()
    assert '<option value="6" selected>every six hours</option>' in page
    assert '<option value="30" selected>every 30 days</option>' in page
    alice.post(f"{base(cast)}/settings/save/", {**form, "scan_every_hours": "0", "is_watched": "0"})
    library = Library.objects.get(pk=cast.library.pk)
    assert (library.scan_every_hours, library.is_watched) == (0, False)


def test_the_librarys_page_says_that_much_is_gone_and_takes_the_owners_word(cast, alice, bob, dora):
    for number in range(10):
        make_photo(cast.library, f"{number}.jpg")
    execute(start_scan(cast.library, cast.alice).pk)
    for number in range(5):
        (Path(cast.library.root) / f"{number}.jpg").unlink()
    execute(start_scan(cast.library, cast.alice).pk)
    assert "a question waits" in alice.get("/libraries/").content.decode()
    page = alice.get(f"{base(cast)}/folders/").content.decode()
    assert "Mark 5 photos as missing" in page
    assert page.count("5 of 10 photos are gone") == 1  # not said a second time by the notice of what waits
    assert "Mark 5 photos as missing" in dora.get(f"{base(cast)}/folders/").content.decode()
    shown_to_viewer = bob.get(f"{base(cast)}/folders/").content.decode()
    assert "5 of 10 photos are gone" in shown_to_viewer
    assert "Mark 5 photos" not in shown_to_viewer
    assert cast.library.root not in shown_to_viewer
    assert Photo.objects.filter(state="missing").count() == 0

    assert bob.post(f"{base(cast)}/scan/", {"confirm_gone": "1"}).status_code == 404
    assert dora.post(f"{base(cast)}/scan/", {"confirm_gone": "1"}).status_code == 302
    execute(Operation.objects.get(state=State.PENDING).pk)
    assert Photo.objects.filter(state="missing").count() == 5
    assert "photos are gone" not in alice.get(f"{base(cast)}/folders/").content.decode()


def test_a_folder_that_cannot_be_reached_is_said_on_the_librarys_page(cast, alice):
    Path(cast.library.root).rename(f"{cast.library.root}-unplugged")
    execute(start_scan(cast.library, cast.alice).pk)
    page = alice.get(f"{base(cast)}/folders/").content.decode()
    assert "The folder cannot be reached" in page
    assert "as missing" not in page
    Path(f"{cast.library.root}-unplugged").rename(cast.library.root)
    alice.post(f"{base(cast)}/scan/")
    execute(Operation.objects.get(state=State.PENDING).pk)
    assert "The folder cannot be reached" not in alice.get(f"{base(cast)}/folders/").content.decode()


def test_the_facts_tell_how_many_files_scans_need_not_read(cast, alice):
    for number in range(4):
        make_photo(cast.library, f"{number}.jpg").delete()
    assert "0 files" in alice.get(f"{base(cast)}/about/").content.decode()
    for _ in range(3):
        execute(start_scan(cast.library, cast.alice).pk)
    page = alice.get(f"{base(cast)}/about/").content.decode()
    assert "4 files. The last 3 scans knew 8 already, which were not read again, and read 4" in page
