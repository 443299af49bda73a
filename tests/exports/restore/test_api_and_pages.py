"""Restores by the API and on the pages: send, compare, confirm; to others they are not there."""

import io
import re
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from catalog.entries.arrivals import tell_of_arrivals
from catalog.models import Album, Photo
from exports.bundle import layout
from exports.models import Backup, Restore, WaitingFacts
from operations.running import execute
from tests.exports.conftest import Cast
from tests.factories import make_photo

from .bundles import CHANGED, album, bundle, rated, zipped

URL = "/api/v1/restores/"


@pytest.fixture
def sent(tmp_path: Path) -> bytes:
    """A backup of alice's as she sends it."""
    return zipped(bundle(tmp_path / "backup", {layout.ALBUMS: [album()]}), "backup/").read_bytes()


def run(restore_id: str) -> None:
    operation = Restore.objects.get(pk=restore_id).operation
    assert operation is not None
    execute(operation.pk)


def test_a_backup_is_sent_compared_confirmed_and_forgotten(cast: Cast, api: Any, sent: bytes) -> None:
    alice = api(cast.alice)
    made = alice.post(f"{URL}?mode=merge&name=mine.zip", sent, content_type="application/zip")
    assert made.status_code == 202
    assert (made.json()["status"], made.json()["dry_run"], made.json()["name"]) == ("queued", True, "mine.zip")
    at = f"{URL}{made.json()['id']}/"
    assert made.headers["Location"].endswith(at)
    assert alice.post(f"{at}confirm/").status_code == 409  # it is not compared yet
    run(made.json()["id"])
    compared = alice.get(at).json()
    assert (compared["status"], compared["counts"]) == ("completed", {"album": {"create": 1}})
    assert [row["action"] for row in compared["differences"]] == ["create"]
    assert b"".join(alice.get(f"{at}report/").streaming_content).count(b"\n") == 1
    assert not Album.objects.exists()
    assert alice.post(f"{at}confirm/").status_code == 202
    run(made.json()["id"])
    done = alice.get(at).json()
    assert done["completed_at"] is not None
    assert Album.objects.get().owner == cast.alice
    assert not Restore.objects.get().sent_file.exists()
    assert alice.post(f"{at}confirm/").status_code == 409
    assert [row["id"] for row in alice.get(URL).json()["results"]] == [done["id"]]
    assert alice.delete(at).status_code == 204
    assert alice.get(URL).json()["results"] == []
    assert Album.objects.exists()


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ("", b"no zip", 422),
        ("", b"", 422),
        ("?mode=all", b"PK", 400),
        ("?dry_run=maybe", b"PK", 400),
        ("?path=/etc", b"PK", 400),
    ],
)
def test_what_is_no_backup_is_refused_and_not_kept(cast: Cast, api: Any, query: str, body: bytes, status: int) -> None:
    refused = api(cast.alice).post(URL + query, body, content_type="application/zip")
    assert refused.status_code == status
    assert not Restore.objects.exists()
    folder = Restore().folder.parent
    assert not folder.exists() or list(folder.iterdir()) == []


def test_a_name_that_no_database_keeps_is_kept_without_what_is_impossible(cast: Cast, api: Any, sent: bytes) -> None:
    made = api(cast.alice).post(f"{URL}?name=mine%00.zip", sent, content_type="application/zip")
    assert (made.status_code, made.json()["name"]) == (202, "mine\ufffd.zip")


def test_restores_of_others_are_not_there(cast: Cast, api: Any, browser: Any, sent: bytes) -> None:
    key = api(cast.alice).post(URL, sent, content_type="application/zip").json()["id"]
    for theirs, none in (
        (f"{URL}{key}/", f"{URL}{uuid.uuid4()}/"),
        (f"/restores/{key}/", f"/restores/{uuid.uuid4()}/"),
    ):
        charlie = api(cast.charlie) if theirs.startswith(URL) else browser(cast.charlie)
        for verb, more in (("get", ""), ("get", "report/"), ("post", "confirm/"), ("delete", ""), ("post", "forget/")):
            seen, unseen = (getattr(charlie, verb)(address + more) for address in (theirs, none))
            assert seen.status_code == unseen.status_code
            assert seen.status_code in (404, 405)
    assert api(cast.charlie).get(URL).json()["results"] == []
    assert api(None).get(URL).status_code == 401
    assert Restore.objects.get().user == cast.alice


def test_the_pages_lead_from_the_backup_to_what_was_restored(cast: Cast, browser: Any, sent: bytes) -> None:
    alice = browser(cast.alice)
    assert "Choose the ZIP file" in alice.post("/restores/send/", {"mode": "merge"}).content.decode()
    answer = alice.post(
        "/restores/send/", {"mode": "merge", "backup": SimpleUploadedFile("mine.zip", sent)}, follow=True
    )
    assert "Waiting for a worker" in answer.content.decode()
    key = str(Restore.objects.get().pk)
    run(key)
    page = alice.get(f"/restores/{key}/").content.decode()
    assert "Restore 1 thing<" in page
    assert "Rome" in page
    alice.post(f"/restores/{key}/confirm/")
    run(key)
    assert "1 thing was restored" in alice.get(f"/restores/{key}/").content.decode()
    assert "restored" in alice.get("/restores/").content.decode()
    alice.post(f"/restores/{key}/forget/")
    assert not Restore.objects.exists()


def test_own_backups_that_the_server_keeps_are_there_to_choose_below_backups(cast: Cast, browser: Any) -> None:
    def kept(user: Any, **fields: Any) -> Backup:
        return Backup.objects.create(user=user, completed_at=timezone.now(), **fields)

    own, hers = kept(cast.charlie), kept(cast.alice)
    no_choice = [
        kept(cast.charlie, packaging="zip", recipient="age1x"),
        kept(cast.charlie, parent="/elsewhere"),
        kept(cast.charlie, scope="server"),
        Backup.objects.create(user=cast.charlie),
    ]
    charlie = browser(cast.charlie)
    page = charlie.get("/restores/").content.decode()
    assert re.findall(r'<option value="([0-9a-f-]{36})"', page) == [str(own.pk)]
    assert re.findall(r'class="crumbs small"><li><a href="([^"]+)"', page) == ["/backups/"]
    assert re.findall(r'<a href="([^"]+)" aria-current="page"', page) == ["/backups/"] * 2  # wide and narrow
    answer = charlie.post("/restores/send/", {"mode": "merge", "kept": own.pk})
    assert answer.url == f"/restores/{Restore.objects.get().pk}/"
    assert charlie.post("/restores/send/", {"mode": "merge", "kept": hers.pk}).status_code == 404
    assert [charlie.post("/restores/send/", {"mode": "merge", "kept": one.pk}).status_code for one in no_choice] == [
        422,
        422,
        404,
        422,
    ]


def test_what_is_hostile_in_a_backup_is_text_on_the_page(cast: Cast, browser: Any, tmp_path: Path) -> None:
    path = zipped(bundle(tmp_path / "evil", {layout.ALBUMS: [album("<script>alert(1)</script>")]}))
    alice = browser(cast.alice)
    alice.post("/restores/send/", {"mode": "merge", "backup": SimpleUploadedFile("<b>.zip", path.read_bytes())})
    key = str(Restore.objects.get().pk)
    run(key)
    page = alice.get(f"/restores/{key}/").content.decode()
    assert "<script>alert" not in page
    assert "<b>.zip" not in page


def test_what_waits_joins_when_photos_arrive_and_costs_one_query_otherwise(
    cast: Cast, api: Any, tmp_path: Path, django_assert_num_queries: Any
) -> None:
    photo = make_photo(cast.library, "one.jpg")
    entry = rated(photo, caption="The square", captionedAt=CHANGED)
    Photo.objects.all().delete()
    data = zipped(bundle(tmp_path / "backup", {layout.RATINGS: [entry]})).read_bytes()
    made = api(cast.alice).post(f"{URL}?dry_run=false", io.BytesIO(data).read(), content_type="application/zip")
    run(made.json()["id"])
    assert api(cast.alice).get(f"{URL}{made.json()['id']}/").json()["waiting_count"] == 1
    tell_of_arrivals(cast.library)
    assert WaitingFacts.objects.count() == 1  # it is not here yet
    again = make_photo(cast.library, "two.jpg", data=(cast.root / "one.jpg").read_bytes())
    tell_of_arrivals(cast.library)
    again.refresh_from_db()
    assert again.caption == "The square"
    with django_assert_num_queries(1):
        tell_of_arrivals(cast.library)
