"""Backups through the API and on the page: for whose they are, and nobody else."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from exports.bundle.files import ZipFiles
from exports.bundle.verify import verify
from exports.downloads import MOST_DOWNLOADS
from exports.models import Backup, BackupSchedule, ExportDownload
from operations.models import Operation, State
from operations.running import execute
from photolala.lib.process import identity
from tests.factories import make_user

from .conftest import World, backed_up

API = "/api/v1/backups/"


def bytes_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_a_backup_by_the_api_from_asking_to_deleting(world: World, api: Any, tmp_path: Path) -> None:
    alice = api(world.cast.alice)
    asked = alice.post(API, {}, format="json")
    assert (asked.status_code, asked.json()["status"]) == (202, "queued")
    address = f"{API}{asked.json()['id']}/"
    assert asked["Location"].endswith(address)
    again = alice.post(API, {}, format="json")
    assert (again.status_code, again.json()["operation"]) == (409, asked.json()["operation"])
    assert alice.get(f"{address}download/").status_code == 409
    assert alice.delete(address).status_code == 409
    execute(asked.json()["operation"])
    body = alice.get(address).json()
    assert (body["status"], body["note_count"], body["media_count"], body["problem"]) == ("completed", 1, 2, "")
    assert (body["progress"]["fraction"], body["is_encrypted"]) == (1.0, False)
    assert body["verified_at"]
    assert [one["id"] for one in alice.get(API).json()["results"]] == [body["id"]]
    whole = alice.get(body["download"])
    data = bytes_of(whole)
    assert whole["Content-Disposition"].endswith('.zip"')
    (tmp_path / "sent.zip").write_bytes(data)
    with ZipFiles(tmp_path / "sent.zip", tmp_path) as files:
        assert not verify(files).problems
    rest = alice.get(body["download"], headers={"Range": "bytes=100-", "If-Range": whole["ETag"]})
    assert (rest.status_code, bytes_of(rest)) == (206, data[100:])
    verification = alice.post(f"{address}verify/")
    assert verification.status_code == 202
    assert alice.post(f"{address}verify/").status_code == 409
    assert alice.delete(address).status_code == 409
    execute(verification.json()["id"])
    assert alice.delete(address).status_code == 204
    assert alice.get(address).status_code == 404
    assert not Backup.objects.exists()


@pytest.mark.promise("S1-065")
def test_pages_and_apps_are_told_again_and_again_how_far_it_is(world: World, api: Any) -> None:
    alice, bob = api(world.cast.alice), api(world.cast.bob)
    asked = alice.post(API, {}, format="json").json()
    heard: list[tuple[str, float | None]] = []

    def listen(operation: Operation) -> None:
        (told,) = alice.get("/api/v1/events/poll").json()["operations"]
        one = alice.get(f"{API}{asked['id']}/").json()
        assert (told["id"], one["status"]) == (asked["operation"], "running")
        if not heard or heard[-1][0] != told["phase"]:
            heard.append((told["phase"], one["progress"]["fraction"]))
        assert bob.get("/api/v1/events/poll").json()["operations"] == []

    execute(asked["operation"], on_progress=listen)
    assert heard == [
        ("Collecting albums", 0.1),
        ("Collecting notes", 0.3),
        ("Collecting drafts", 0.5),
        ("Preparing the backup", 0.7),
        ("Copying media", 0.7),
        ("Verifying", 0.9),
    ]
    assert alice.get(f"{API}{asked['id']}/").json()["status"] == "completed"


def test_others_find_nothing_and_change_nothing(world: World, api: Any, browser: Any) -> None:
    backup = backed_up(world.cast.alice)
    Backup.objects.update(key_file="the key")
    unknown = uuid4()
    for user in (world.cast.charlie, world.cast.bob, make_user("root", is_superuser=True)):
        client, page = api(user), browser(user)
        for verb, rest in (
            ("get", ""),
            ("delete", ""),
            ("post", "verify/"),
            ("get", "download/"),
            ("head", "download/"),
        ):
            theirs, none = (getattr(client, verb)(f"{API}{key}/{rest}") for key in (backup.pk, unknown))
            assert (theirs.status_code, bytes_of(theirs)) == (404, bytes_of(none))
        for verb, rest in (("get", "download/"), ("get", "key/"), ("post", "verify/"), ("post", "delete/")):
            assert getattr(page, verb)(f"/backups/{backup.pk}/{rest}").status_code == 404
        assert client.get(API).json()["results"] == []
        assert str(backup.pk) not in page.get("/backups/").content.decode()
    backup.refresh_from_db()
    assert backup.path.exists()
    assert Operation.objects.count() == 1


def test_an_encrypted_one_is_sent_as_it_is_with_its_key(world: World, browser: Any) -> None:
    alice = browser(world.cast.alice)
    words = "correct horse battery staple"
    assert alice.post("/backups/start/", {"scope": "person", "passphrase": words}).status_code == 302
    backup = Backup.objects.get()
    assert execute(backup.operation_id).state == State.COMPLETED  # type: ignore[union-attr]
    backup.refresh_from_db()
    answer = alice.get(f"/backups/{backup.pk}/download/")
    assert bytes_of(answer) == backup.path.read_bytes()
    assert answer["Content-Disposition"].endswith('.zip.age"')
    key = alice.get(f"/backups/{backup.pk}/key/")
    assert (key.content.decode(), key["Cache-Control"]) == (backup.key_file, "no-store")
    assert words not in str([*Operation.objects.values(), *Backup.objects.values()])


def test_ten_downloads_at_once(world: World, api: Any) -> None:
    backup = backed_up(world.cast.alice)
    open_one = {"user": world.cast.alice, "export_name": backup.name, "size_bytes": 1, "server": identity()}
    ExportDownload.objects.bulk_create(ExportDownload(**open_one) for _ in range(MOST_DOWNLOADS))
    assert api(world.cast.alice).get(f"{API}{backup.pk}/download/").status_code == 429


def test_the_page_says_how_safe_things_are_and_changes_the_schedule(world: World, browser: Any) -> None:
    alice = browser(world.cast.alice)
    assert "there is no verified backup yet" in alice.get("/backups/").content.decode()
    backup = backed_up(world.cast.alice)
    text = alice.get("/backups/").content.decode()
    assert "the last verified backup was made <time" in text
    assert f"/backups/{backup.pk}/download/" in text
    assert 'value="server"' not in text
    wanted = {"scope": "person", "every_days": 7, "keep_daily": 1, "keep_weekly": 2, "keep_monthly": 3}
    assert alice.post("/backups/schedule/", {**wanted, "passphrase": "short"}).status_code == 422
    assert alice.post("/backups/schedule/", {**wanted, "keep_daily": 999}).status_code == 422
    assert alice.post("/backups/schedule/", {**wanted, "scope": "server"}).status_code == 422
    assert not BackupSchedule.objects.exists()
    assert alice.post("/backups/schedule/", wanted).status_code == 302
    saved = BackupSchedule.objects.get()
    assert (saved.every_days, saved.keep_daily, saved.keep_weekly, saved.keep_monthly) == (7, 1, 2, 3)
    assert alice.post("/backups/start/", {"scope": "server"}).status_code == 422
    assert alice.post(f"/backups/{backup.pk}/verify/").status_code == 302
    assert alice.post(f"/backups/{backup.pk}/delete/").status_code == 302
    assert Backup.objects.count() == 1, "it is just being verified"


def test_the_schedule_by_the_api(cast: Any, api: Any) -> None:
    alice = api(cast.alice)
    assert alice.get(f"{API}schedule/").json()["every_days"] == 0
    wanted = {"every_days": 1, "keep_daily": 3, "keep_weekly": 2, "keep_monthly": 1}
    assert alice.put(f"{API}schedule/", wanted, format="json").json() == {
        **wanted,
        "recipient": "",
        "destination": None,
    }
    refused = alice.put(f"{API}schedule/", {**wanted, "recipient": "age1nonsense"}, format="json")
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:photolala:problem:bad_recipient")
    assert api(cast.bob).get(f"{API}schedule/").json()["every_days"] == 0
    forbidden = alice.post(API, {"scope": "server"}, format="json")
    assert (forbidden.status_code, forbidden.json()["type"]) == (403, "urn:photolala:problem:administrators_only")
