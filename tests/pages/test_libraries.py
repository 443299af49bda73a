"""The list of libraries, adding one by the folder chooser, scanning one."""

import re
from pathlib import Path

import pytest
from django.utils import timezone

from catalog.models import Library
from operations.models import Operation
from tests.factories import make_library

FORM = {"name": "", "time_zone": "Europe/Berlin", "ratings": "sidecar"}


def test_the_list_shows_counts_sizes_ages_and_health(cast, alice):
    Library.objects.filter(pk=cast.library.pk).update(
        photo_count=12_340, size_bytes=41_234_567_890, problem_count=3, missing_count=1, scanned_at=timezone.now()
    )
    page = re.sub("<[^>]+>", "", alice.get("/libraries/").content.decode())
    for text in ("12,340 photos · 41.2 GB", "scanned just now", "3 problems", "1 missing", "shared with 2 people"):
        assert text in page


def test_a_member_sees_whose_it_is_and_the_outsider_nothing(cast, bob, charlie):
    assert "shared by alice" in bob.get("/libraries/").content.decode()
    page = charlie.get("/libraries/").content.decode()
    assert "No library yet" in page
    assert "Holidays" not in page


def test_the_list_shows_the_running_scan(cast, alice):
    Operation.objects.create(
        owner=cast.alice, kind="scan", state="running", active_key=cast.library.scan_key, done=300, total=1_200
    )
    assert "300 of 1,200 photos" in alice.get("/libraries/").content.decode()


@pytest.mark.parametrize("count", [2, 20])
def test_the_list_needs_the_same_queries_for_many(cast, alice, django_assert_max_num_queries, count):
    for number in range(count):
        make_library(cast.alice, cast.folder / f"more {number}", name=f"More {number}")
    with django_assert_max_num_queries(6):
        assert alice.get("/libraries/").status_code == 200


def test_the_chooser_walks_from_the_roots_down(cast, alice):
    (cast.folder / "weddings & more" / "2024").mkdir(parents=True)
    (cast.folder / ".hidden").mkdir()
    assert str(cast.folder) in alice.get("/libraries/add/").content.decode()
    page = alice.get("/libraries/add/", {"folder": str(cast.folder)}).content.decode()
    assert "weddings &amp; more" in page
    assert "weddings+%26+more" in page
    assert ".hidden" not in page
    assert "2024" in alice.get("/libraries/add/", {"folder": str(cast.folder / "weddings & more")}).content.decode()


@pytest.mark.parametrize("folder", ["/etc", "/", "relative", "/no/such", "\0", "{root}/../..", "{root}/holidays"])
def test_the_chooser_never_shows_what_may_not_be_added(cast, charlie, folder):
    secret = cast.library.root + "/private"
    Path(secret).mkdir()
    response = charlie.get("/libraries/add/", {"folder": folder.replace("{root}", str(cast.folder))})
    assert response.status_code == 422
    assert "private" not in response.content.decode()
    assert "passwd" not in response.content.decode()


def test_without_roots_the_page_says_what_the_administrator_must_do(cast, alice, settings):
    settings.PHOTO_ROOTS = []
    page = alice.get("/libraries/add/").content.decode()
    assert "PHOTOLALA_ROOTS" in page
    assert "Add and scan" not in page
    assert alice.post("/libraries/add/", {**FORM, "folder": str(cast.folder)}).status_code == 422


@pytest.mark.usefixtures("no_bell")
def test_adding_makes_the_library_and_starts_its_scan(cast, alice):
    (cast.folder / "weddings").mkdir()
    response = alice.post("/libraries/add/", {**FORM, "folder": str(cast.folder / "weddings")})
    library = Library.objects.get(name="weddings")
    assert (response.status_code, response["Location"]) == (302, f"/libraries/{library.pk}/")
    assert (library.owner, library.time_zone, library.ratings) == (cast.alice, "Europe/Berlin", "sidecar")
    scan = Operation.objects.get()
    assert (scan.kind, scan.owner, scan.params["library"]) == ("scan", cast.alice, str(library.pk))
    assert "Waiting for a worker" in alice.get(response["Location"]).content.decode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"folder": ""}, "Open the folder"),
        ({"folder": "/etc"}, "not among those"),
        ({"folder": "{root}/holidays"}, "already"),
        ({"folder": "{root}/weddings", "ratings": "everywhere"}, "must be among the choices"),
        ({"folder": "{root}/weddings", "time_zone": "Moon/Base"}, "must be among the choices"),
    ],
)
def test_what_cannot_be_added_is_refused_with_the_reason(cast, alice, change, words):
    (cast.folder / "weddings").mkdir()
    form = {**FORM, **{name: value.replace("{root}", str(cast.folder)) for name, value in change.items()}}
    response = alice.post("/libraries/add/", form)
    assert response.status_code == 422
    page = response.content.decode()
    assert words in page
    assert page.count('class="form-error"') == 1
    assert Library.objects.count() == 1
    assert not Operation.objects.exists()


@pytest.mark.usefixtures("no_bell")
def test_owner_and_editor_may_scan_but_a_viewer_not(cast, alice, bob, dora):
    address = f"/libraries/{cast.library.pk}/scan/"
    assert bob.post(address).status_code == 404
    assert not Operation.objects.exists()
    assert dora.post(address, {"next": "//evil.example"})["Location"] == f"/libraries/{cast.library.pk}/"
    page = alice.post(address, follow=True).content.decode()
    assert "under way already" in page
    assert Operation.objects.count() == 1
    assert "Scan now" not in page
