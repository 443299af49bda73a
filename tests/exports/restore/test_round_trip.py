"""Backed up, restored into an empty server, and backed up again: the same bytes, but for when and in which epoch."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from catalog.albums import albums, drafts, items, media, members, notes
from catalog.edits import captions, dates, keywords, places, ratings, stars
from catalog.models import Album, Library, Photo
from changes.models import Epoch
from changes.scopes import current_epoch
from exports.backup.requests import start_backup, start_backup_to
from exports.bundle import layout
from exports.models import Restore, Scope, WaitingFacts
from exports.restore.requests import start_restore
from exports.restore.waiting import join_waiting
from operations.models import State
from operations.running import execute
from tests.exports.conftest import Cast
from tests.factories import make_photo, make_user

from .bundles import comparable

FACTS = {"rating": None, "rated_at": None, "rating_held": False, "caption": "", "captioned_at": None, "caption_held": False,
         "keywords": [], "keyworded_at": None, "keywords_held": False,
         "latitude": None, "longitude": None, "placed_at": None, "place_held": False,
         "dated_at": None, "taken_held": False, "version": None}  # fmt: skip
NEW_DATE = datetime(2023, 3, 4, 5, 6, 7)


@pytest.fixture
def world(cast: Cast) -> list[Photo]:
    """Two people with all that they can make, of photos in a library that they share."""
    alice, bob = cast.alice, cast.bob
    photos = [make_photo(cast.library, f"2024/{number}.jpg") for number in range(4)]
    ratings.set_ratings(alice, [photos[0].pk, photos[1].pk], 4)
    ratings.set_rating(alice, photos[1], 0)
    captions.set_caption(alice, photos[2], "The square, “at noon” ☀")
    keywords.set_keywords(alice, photos[2], ["Rome", "日本 & «square»"])
    keywords.set_keywords(alice, photos[1], [])
    places.set_places(alice, {photos[0].pk: (48.8583, -2.2945), photos[1].pk: None})
    dates.set_dates(alice, dates.plan([photos[3]], dates.Setting(NEW_DATE, 60)))
    stars.star(bob, photos[0].pk, 3)
    kept = media.keep(alice, io.BytesIO(b"a sound").read, "audio/mpeg")
    rome = albums.create(alice, uuid4(), {"title": "Rome", "description": "Ciao", "order": "taken_asc"})
    members.set_member(alice, rome.pk, bob, "editor")
    note = notes.create(
        alice,
        uuid4(),
        {
            "content": "Sunny",
            "attachments": [{"media_md5": kept.md5, "name": "bells.mp3"}, {"photo": str(photos[0].pk)}],
            "notedAt": "2024-05-17T12:30:00.25+02:00",
            "place": {"latitude": 41.9, "longitude": 12.5, "name": "Roma"},
        },
    )
    shown = [("photo", photos[1].pk), ("note", note.pk), ("photo", photos[0].pk)]
    items.add(alice, rome.pk, [items.Target(*target) for target in shown])
    albums.patch(alice, rome.pk, {"cover": str(photos[0].pk)})
    block = {"id": "1", "type": "audio", "attachment": {"media_md5": kept.md5, "name": "bells.mp3"}}
    drafts.create(
        alice, uuid4(), {"blocks": [block, {"id": "2", "type": "text", "text": "More"}], "albums": [str(rome.pk)]}
    )
    albums.create(alice, uuid4(), {"title": "Squares", "query": {"q": "square or rating:>=4"}})
    notes.create(bob, uuid4(), {"content": "Mine", "notedAt": "2024-01-01T00:00:00Z"})
    trashed = notes.create(alice, uuid4(), {"content": "Gone"})
    notes.delete(alice, trashed.pk)
    return list(Photo.objects.select_related("library").order_by("pk"))


def backup(user: User, folder: Path, scope: Scope, *, is_zip: bool = False) -> Path:
    folder.mkdir(exist_ok=True)
    made = start_backup_to(folder, user, scope, is_zip=is_zip)
    ended = execute(made.operation.pk)
    assert ended is not None
    assert ended.state == State.COMPLETED, ended.error
    made.refresh_from_db()
    return made.path


def restored(user: User, path: Path) -> Restore:
    started = start_restore(user, path, "merge", is_dry_run=False)
    ended = execute(started.operation.pk)
    assert ended is not None
    assert ended.state == State.COMPLETED, ended.error + ended.error_detail
    return Restore.objects.get(pk=started.pk)


def empty_server() -> None:
    """Let this be a new server whose disks hold the same photos: nobody said anything of them yet."""
    Restore.objects.all().delete()
    Library.objects.all().delete()
    for user in User.objects.all():
        user.delete()
    Epoch.objects.all().delete()


def scanned(photos: list[Photo]) -> None:
    """Do what a scan does: the rows of the photos come, with their ids, for the library has its own again."""
    for photo in photos:
        for name, value in FACTS.items():
            setattr(photo, name, value)
        photo.taken_source, photo.taken_local, photo.taken_at = (
            "exif",
            datetime(2024, 5, 17, tzinfo=UTC),
            datetime(2024, 5, 17, tzinfo=UTC),
        )
        photo.taken_offset_minutes = None
        photo.library = Library.objects.get(pk=photo.library_id)
    Photo.objects.bulk_create(photos)


@pytest.mark.parametrize("is_zip", [False, True])
@pytest.mark.promise("S1-020", "S1-078")
def test_a_person_moves_to_an_empty_server(cast: Cast, world: list[Photo], tmp_path: Path, is_zip: bool) -> None:
    first = backup(cast.alice, tmp_path / "first", Scope.PERSON)
    sent = backup(cast.alice, tmp_path / "sent", Scope.PERSON, is_zip=True) if is_zip else first
    key = cast.alice.pk
    empty_server()
    alice = make_user("alice", pk=key)
    make_user("bob")
    done = restored(alice, sent)
    assert (done.problem_count, WaitingFacts.objects.count()) == (0, 4)
    scanned(world)
    assert join_waiting() == 4
    second = backup(alice, tmp_path / "second", Scope.PERSON)
    assert comparable(second) == comparable(first)
    assert {action for of_kind in restored(alice, first).counts.values() for action in of_kind} == {"same"}


def test_a_whole_server_moves_to_an_empty_one(cast: Cast, world: list[Photo], tmp_path: Path) -> None:
    root = make_user("root", is_superuser=True, is_staff=True)
    first = backup(root, tmp_path / "first", Scope.SERVER)
    empty_server()
    root = make_user("root", pk=root.pk, is_superuser=True, is_staff=True, date_joined=root.date_joined)
    User.objects.filter(pk=root.pk).update(password=_password_in(first, "root"))
    epoch = current_epoch()
    restored(root, first)
    assert current_epoch() > epoch  # all devices start over
    scanned(world)
    join_waiting()
    second = backup(root, tmp_path / "second", Scope.SERVER)
    assert comparable(second) == comparable(first)
    alice = User.objects.get(username="alice")
    assert (alice.pk, alice.check_password("correct horse battery")) == (cast.alice.pk, True)


def _password_in(folder: Path, username: str) -> str:
    users = json.loads((folder / layout.USERS.name).read_bytes())["users"]
    return next(str(user["password"]) for user in users if user["username"] == username)


def test_an_encrypted_backup_is_restored_with_its_passphrase(
    cast: Cast, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    albums.create(cast.alice, uuid4(), {"title": "Rome"})
    secret, wrong = tmp_path / "secret", tmp_path / "wrong"
    secret.write_text("correct horse\n")
    wrong.write_text("wrong horse\n")
    call_command("backup", "--user", "alice", "--output", str(tmp_path / "out"), "--passphrase-file", str(secret))
    (path,) = (tmp_path / "out").glob("*.zip.age")
    Album.objects.all().delete()
    with pytest.raises(CommandError, match="Nothing was restored"):
        call_command("restore", str(path), "--user", "alice", "--mode", "merge", "--passphrase-file", str(wrong))
    call_command("restore", str(path), "--user", "alice", "--mode", "merge", "--passphrase-file", str(secret))
    assert Album.objects.get().title == "Rome"
    assert "1 create" in capsys.readouterr().out


def test_a_backup_that_the_server_keeps_is_restored_by_its_owner_alone(cast: Cast, api: Any) -> None:
    albums.create(cast.alice, uuid4(), {"title": "Rome"})
    kept = start_backup(cast.alice)
    assert kept.operation is not None
    execute(kept.operation.pk)
    Album.objects.all().delete()
    url = f"/api/v1/restores/?backup={kept.pk}&dry_run=false"
    assert api(cast.charlie).post(url, b"", content_type="application/zip").status_code == 404
    made = api(cast.alice).post(url, b"", content_type="application/zip")
    assert made.status_code == 202
    execute(made.json()["operation"])
    assert Album.objects.get().owner == cast.alice


def test_a_person_cannot_restore_a_server(cast: Cast, world: list[Photo], tmp_path: Path) -> None:
    root = make_user("root", is_superuser=True)
    path = backup(root, tmp_path / "all", Scope.SERVER)
    started = start_restore(cast.alice, path, "merge", is_dry_run=False)
    ended = execute(started.operation.pk)
    assert ended is not None
    assert (ended.state, ended.error_code) == (State.FAILED, "not_yours")
