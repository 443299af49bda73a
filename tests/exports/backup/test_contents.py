"""What is in a backup: all that a person made, nothing of anybody else's, each file once, the same every time."""

import json
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from catalog.albums import drafts
from catalog.models import Album, Draft, Note
from changes.scopes import current_epoch
from exports.backup.requests import start_backup
from exports.bundle.decoding import decode
from exports.bundle.layout import LIST_FILES, list_files
from exports.models import Backup
from exports.refusals import ExportRefused
from operations.models import State
from tests.factories import PASSWORD

from .conftest import FILM, PICTURE, World, backed_up, read, run

PICTURE_PATH = "2024/2024-05-17T10-30-00Z_{}.jpg"


@pytest.mark.promise("S1-001", "S1-002", "S1-003", "S1-050", "S1-051", "S1-052", "S1-057", "S1-049")
@pytest.mark.promise("S1-013", "S1-053", "S1-072")
def test_a_backup_has_all_that_a_person_made(world: World) -> None:
    alice, epoch = world.cast.alice, current_epoch()
    backup = backed_up(alice)
    for file in list_files(of_server=False):
        for entry in read(backup, file.name):
            decode(entry, file.entry, file.name)
            assert set(entry) <= set(file.entry.__annotations__), file.name
    (album,), (note,), (draft,) = (read(backup, name) for name in ("albums.json", "notes.json", "drafts.json"))
    assert (album["title"], album["description"], album["owner"]) == ("Rome", "ünï", "alice")
    assert album["members"] == [{"username": "bob", "role": "editor"}]
    assert {note["content"], note["notedAt"]} == {"Hello", "2024-05-17T12:30:00+02:00"}
    row = Draft.objects.get()
    assert [block["type"] for block in draft["blocks"]] == ["text", "image", "video", "audio", "camera"]
    assert draft["albums"] == row.albums
    assert len(draft["albums"]) == 2
    assert draft["blocks"][0]["text"] == "first line"
    assert draft["blocks"][4]["place"] == {"latitude": 41.9, "longitude": 12.5, "name": "Rome"}
    found = {(item["targetType"], item["addedBy"]) for item in read(backup, "album_items.json")}
    assert found == {("photo", "alice"), ("note", "alice"), ("photo", "bob")}
    (library,) = read(backup, "libraries.json")
    assert library["id"] == str(world.cast.library.pk)
    assert library["members"] == [{"username": "bob", "role": "viewer"}]
    metadata = json.loads((backup.path / "metadata.json").read_bytes())
    assert metadata["stats"] == {
        "albumCount": 1, "noteCount": 1, "draftCount": 1, "mediaCount": 2, "ratingCount": 2, "photoCount": 2
    }  # fmt: skip
    assert metadata["counts"] == {file.name: len(read(backup, file.name)) for file in list_files(of_server=False)}
    assert (metadata["userId"], metadata["version"], metadata["scope"]) == (str(alice.pk), "1.0", "person")
    assert (metadata["username"], metadata["epoch"]) == ("alice", epoch)
    made = backup.completed_at - datetime.fromisoformat(metadata["exportDate"])
    assert timedelta() <= made < timedelta(minutes=10)
    counts = backup.album_count, backup.note_count, backup.draft_count, backup.rating_count, backup.media_count
    assert counts == (1, 1, 1, 2, 2)
    assert backup.verified_at is not None


@pytest.mark.promise("S1-004", "S1-054", "S1-058", "S1-060", "S1-X08", "S1-X09", "S1-073")
def test_a_content_is_there_once_however_often_it_is_held(world: World) -> None:
    backup = backed_up(world.cast.alice)
    files = read(backup, "media_manifest.json")
    assert {(one["photo_md5"], one["size_bytes"]) for one in files} == {
        (world.picture.md5, len(PICTURE)),
        (world.film.md5, len(FILM)),
    }
    paths = {one["photo_md5"]: one["exportPath"] for one in files}
    assert paths[world.picture.md5] == PICTURE_PATH.format(world.picture.md5), "of the note, which is the earlier one"
    assert (backup.path / "media" / paths[world.picture.md5]).read_bytes() == PICTURE
    (note,), (draft,) = read(backup, "notes.json"), read(backup, "drafts.json")
    assert note["mediaPath"] == note["attachments"][0]["mediaPath"] == paths[world.picture.md5]
    assert [block["mediaPath"] for block in draft["blocks"]] == [
        None, paths[world.picture.md5], paths[world.film.md5], None, None
    ]  # fmt: skip
    on_disk = {str(path.relative_to(backup.path / "media")) for path in (backup.path / "media").rglob("*.*")}
    assert on_disk == set(paths.values())


def test_what_was_said_of_photos_is_there_and_who_said_it(world: World) -> None:
    backup = backed_up(world.cast.alice)
    said = {entry["photoId"]: entry for entry in read(backup, "ratings.json")}
    rated, captioned = said[str(world.photos[0].pk)], said[str(world.photos[1].pk)]
    assert (rated["rating"], rated["caption"], rated["favourites"]) == (4, None, {"alice": 4})
    assert rated["ratedAt"]
    assert (captioned["caption"], captioned["rating"]) == ("Rome, “from above”\nwith a line break", None)
    assert captioned["ratedAt"] is None
    assert {entry["id"] for entry in read(backup, "photos.json")} == {
        str(world.photos[0].pk),
        str(world.photos[3].pk),
    }


def test_nothing_of_others_is_in_it(world: World) -> None:
    for user, never in (
        (world.cast.alice, ["bob's own", "secret place"]),
        (world.cast.bob, ["Hello", "“from above”", "ünï"]),
    ):
        backup = backed_up(user)
        text = b"".join(path.read_bytes() for path in backup.path.rglob("*.json")).decode()
        assert not [words for words in [*never, "thrown away", PASSWORD, user.password] if words in text]
    (entry,) = [one for one in read(backup, "ratings.json") if one["photoId"] == str(world.photos[2].pk)]
    assert entry["favourites"] == {"bob": 3}, "bob's star in alice's library is his"
    assert entry["rating"] is None


@pytest.mark.promise("S1-048", "S1-059", "S1-047")
def test_the_same_things_give_the_same_bytes(world: World) -> None:
    before = list(Album.objects.values()), list(Note.objects.order_by("pk").values()), list(Draft.objects.values())
    first, second = backed_up(world.cast.alice), backed_up(world.cast.alice)
    assert before == (
        list(Album.objects.values()),
        list(Note.objects.order_by("pk").values()),
        list(Draft.objects.values()),
    )
    differ = {
        str(path.relative_to(first.path))
        for path in first.path.rglob("*.*")
        if path.is_file() and path.read_bytes() != (second.path / path.relative_to(first.path)).read_bytes()
    }
    assert differ == {"metadata.json", "manifest.json"}
    one, other = (json.loads((backup.path / "metadata.json").read_bytes()) for backup in (first, second))
    assert one.pop("exportDate") < other.pop("exportDate")
    assert one == other
    for file in LIST_FILES:
        if not file.of_server and file.sorted_by == ("id",):
            ids = [entry["id"] for entry in read(first, file.name)]
            assert ids == sorted(ids), file.name


@pytest.mark.promise("S1-012")
def test_making_one_writes_to_no_table_but_those_of_operations_and_backups(world: World) -> None:
    backup = start_backup(world.cast.alice)
    with CaptureQueriesContext(connection) as captured:
        assert run(backup).state == State.COMPLETED
    writes = re.compile(r"\s*(?:INSERT (?:OR \w+ )?INTO|UPDATE|DELETE FROM|REPLACE INTO) \"(\w+)\"", re.IGNORECASE)
    written = {found[1] for one in captured if (found := writes.match(one["sql"]))}
    assert written <= {"operations_operation", "exports_backup"} and "exports_backup" in written
    read_from = " ".join(one["sql"] for one in captured)
    assert all(f'FROM "catalog_{name}"' in read_from for name in ("album", "note", "draft", "albumitem", "media"))


@pytest.mark.promise("S1-X10")
def test_at_one_moment_all_bytes_are_the_same_and_a_draft_keeps_all_its_albums(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, wanted = world.cast.alice, [str(uuid4()) for _ in range(3)]
    for number in range(5):
        drafts.create(alice, UUID(int=99 - number), {"blocks": [], "albums": wanted})
    moment = datetime(2026, 11, 29, 9, 30, tzinfo=UTC)
    monkeypatch.setattr("exports.backup.run.timezone", SimpleNamespace(now=lambda: moment))
    first, second = backed_up(alice), backed_up(alice)
    names = [path.relative_to(first.path) for path in first.path.rglob("*.*") if path.is_file()]
    assert [name for name in names if (first.path / name).read_bytes() != (second.path / name).read_bytes()] == []
    assert json.loads((first.path / "metadata.json").read_bytes())["exportDate"] == "2026-11-29T09:30:00Z"
    entries = read(first, "drafts.json")
    assert [entry["id"] for entry in entries] == sorted(entry["id"] for entry in entries)
    assert [entry["albums"] for entry in entries if entry["albums"] == wanted] == [wanted] * 5


def test_an_empty_backup_is_one(cast: Any) -> None:
    backup = backed_up(cast.charlie)
    assert [read(backup, file.name) for file in list_files(of_server=False)] == [[]] * len(list_files(of_server=False))
    assert not (backup.path / "issues.txt").exists()


def test_the_whole_server_is_for_administrators(world: World) -> None:
    admin = User.objects.create_superuser("root", password=PASSWORD)
    with pytest.raises(ExportRefused, match="Only an administrator"):
        start_backup(world.cast.alice, "server")
    backup = backed_up(admin, "server")
    for file in list_files(of_server=True):
        for entry in read(backup, file.name):
            decode(entry, file.entry, file.name)
    people = {entry["username"]: entry for entry in read(backup, "users.json")}
    assert set(people) == {"alice", "bob", "charlie", "root"}
    assert people["alice"]["password"] == world.cast.alice.password
    assert {entry["content"] for entry in read(backup, "notes.json")} == {"Hello", "bob's own"}
    assert len(read(backup, "libraries.json")) == 2
    (picture,) = [one for one in read(backup, "media_manifest.json") if one["photo_md5"] == world.picture.md5]
    assert picture["exportPath"].startswith("2023/2023-01-01T00-00-00Z_"), "bob's note is the earliest"
    assert all(note["mediaPath"] == picture["exportPath"] for note in read(backup, "notes.json"))
    assert set(Backup.objects.visible_to(admin)) == {backup}
    waiting = start_backup(admin, "server")
    User.objects.filter(pk=admin.pk).update(is_superuser=False)
    admin.refresh_from_db()
    assert not Backup.objects.visible_to(admin).exists()
    operation = run(waiting)
    assert (operation.state, operation.error_code) == (State.FAILED, "administrators_only")
