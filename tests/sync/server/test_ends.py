"""What a person may no longer see ends on their devices with the next pull, which says so; strangers get and learn nothing.

With real libraries and albums, and where it is about what a device holds with the reference client over the API.
"""

import uuid
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Device
from catalog.albums import albums, items, notes
from catalog.albums import members as album_members
from catalog.albums.items import NOTE, PHOTO, Target
from catalog.edits.stars import star
from catalog.libraries import members as library_members
from catalog.models import Album, AlbumItem, Library, Note, Photo, favourite_id
from sync.device.client import Client
from sync.device.status import ErrorType
from sync.models import Conflict
from sync.protocol.ids import album_item_id
from tests.factories import make_library, make_photos, make_user

from .conftest import SYNC, OverTheApi, Phone

pytestmark = pytest.mark.django_db
UNKNOWN = str(uuid.UUID(int=77))


class Shared:
    """alice's library and album, both shown to bob: a photo and a note in the album, a second photo in the library only."""

    def __init__(self, folder: Path) -> None:
        self.alice, self.bob = make_user("alice"), make_user("bob")
        self.library: Library = make_library(self.alice, folder / "alice", members={self.bob: "viewer"})
        self.photo, self.other = make_photos(self.library, 2)
        self.album, self.note = uuid.uuid4(), uuid.uuid4()
        albums.create(self.alice, self.album, {"title": "secret"})
        notes.create(self.alice, self.note, {"content": "secret"})
        items.add(self.alice, self.album, [Target(PHOTO, self.photo.pk), Target(NOTE, self.note)])
        album_members.set_member(self.alice, self.album, self.bob, "editor")
        self.phone = Phone(self.bob)
        self.client = Client(folder / "bob.sqlite", OverTheApi(self.phone), is_durable=False)
        assert self.client.sync().success

    def held(self) -> dict[str, set[str]]:
        """Return the ids of what bob's device has, by kind."""
        kinds = ("album", "albumItem", "note", "photo", "library")
        return {kind: set(ids) for kind in kinds if (ids := list(self.client.view.ids(kind)))}

    def asked(self, scope: str, path: str = "changes/", **params: str) -> tuple[int, str]:
        answer = self.phone.client.get(SYNC + path, {"scope": scope, **params})
        return answer.status_code, answer.json().get("type", "").rsplit(":", 1)[-1]


@pytest.fixture
def shared(tmp_path: Path) -> Any:
    made = Shared(tmp_path)
    yield made
    made.client.close()


def test_an_album_that_is_not_shared_any_more_goes_from_the_device_with_what_only_it_showed(shared: Shared) -> None:
    scope, phone = f"album:{shared.album}", shared.phone
    cursor = phone.get("changes/", scope=scope)["cursor"]
    assert shared.held()["note"] == {str(shared.note)}
    album_members.remove_member(shared.alice, shared.album, shared.bob)
    for path in ("changes/", "digest/"):
        assert shared.asked(scope, path) == (410, "scope_ended")
    assert shared.asked(scope, cursor=cursor) == (410, "scope_ended")
    info = phone.get("info/")
    assert scope not in {one["scope"] for one in info["scopes"]}
    assert scope in {one["scope"] for one in info["ended"]}
    assert scope not in {one["scope"] for one in phone.get("events/")["scopes"]}
    version = "9" * 18
    said = [("album", shared.album, {"title": "x"}), ("note", shared.note, {"content": "x"})]
    said += [("albumItem", album_item_id(str(shared.album), NOTE, str(shared.note)), {"position": "z"})]
    for type, id, fields in said:
        result = phone.result(phone.edit("patch", id, version, type=type, **fields))
        assert (result["status"], result["reason"]) == ("rejected", "gone")
        assert phone.result(phone.edit("delete", id, version, type=type))["status"] == "noop"
    assert shared.client.sync().success
    held = shared.held()
    assert set(held) == {"photo", "library"} and held["photo"] == {str(shared.photo.pk), str(shared.other.pk)}
    assert scope not in shared.client.store.scopes()
    assert Album.objects.get().title == Note.objects.get().content == "secret"


def test_an_album_that_is_shared_again_comes_back_whole(shared: Shared) -> None:
    before = shared.held()
    album_members.remove_member(shared.alice, shared.album, shared.bob)
    assert shared.client.sync().success
    album_members.set_member(shared.alice, shared.album, shared.bob, "viewer")
    assert shared.client.sync().success
    assert shared.held() == before and shared.client.verify() == []


def test_a_library_of_which_one_is_no_member_any_more_goes_but_for_what_an_album_shows(shared: Shared) -> None:
    scope = f"library:{shared.library.pk}"
    star(shared.bob, shared.photo.pk, 4)
    cursor = shared.phone.get("changes/", scope=scope)["cursor"]
    library_members.remove_member(shared.library, shared.bob)
    for path in ("changes/", "digest/"):
        assert shared.asked(scope, path) == (410, "scope_ended")
    assert shared.asked(scope, cursor=cursor) == (410, "scope_ended")
    assert scope in {one["scope"] for one in shared.phone.get("info/")["ended"]}
    assert shared.client.sync().success
    held = shared.held()
    assert held["photo"] == {str(shared.photo.pk)} and "library" not in held
    assert "path" not in (shared.client.get("photo", str(shared.photo.pk)) or {})
    assert shared.client.verify() == []


def test_a_device_that_is_signed_out_gets_nothing_and_says_why(shared: Shared) -> None:
    other = Phone(shared.bob, "tablet")
    path = f"/api/v1/auth/devices/{shared.phone.device.pk}/"
    assert other.client.delete(path).status_code == 204
    shared.client.create("note", {"content": "kept"})
    for path in ("info/", "status/", f"changes/?scope=album:{shared.album}", "events/"):
        assert shared.phone.client.get(SYNC + path).status_code == 401
    assert shared.phone.send().status_code == 401
    result = shared.client.sync()
    assert [error.type for error in result.errors] == [ErrorType.AUTHENTICATION] and result.errors[0].message
    status = shared.client.status()
    assert (status.is_enabled, status.pending_uploads) == (False, {"note": 1})
    assert not Device.objects.filter(pk=shared.phone.device.pk).exists() and other.get("info/")


def told(phone: Phone, **said: Any) -> tuple[Any, ...]:
    """Push one mutation; return all that the reply and its price tell, but for the ids that were sent."""
    with CaptureQueriesContext(connection) as captured:
        reply = phone.push(phone.edit(**said))
    return {**reply["results"][0], "mid": 0}, reply["rows"], len(reply["gone"]), len(captured)


def test_a_strangers_device_gets_nothing_by_ids_cursors_and_mids_of_others(shared: Shared) -> None:
    charlie = Phone(make_user("charlie"))
    phone, item = Phone(shared.alice), album_item_id(str(shared.album), PHOTO, str(shared.photo.pk))
    scopes = {kind: f"{kind}:{key}" for kind, key in (("album", shared.album), ("library", shared.library.pk))}
    for kind, scope in {**scopes, "user": phone.scope}.items():
        cursor = phone.get("changes/", scope=scope)["cursor"]
        for path, params in (("changes/", {}), ("changes/", {"cursor": cursor}), ("digest/", {})):
            answers = []
            for name in (scope, f"{kind}:{UNKNOWN}"):
                with CaptureQueriesContext(connection) as captured:
                    answer = charlie.client.get(SYNC + path, {"scope": name, **params})
                answers.append((answer.status_code, answer.content, len(captured)))
            assert answers[0] == answers[1] and answers[0][0] == 404
    assert {one["scope"] for one in charlie.get("info/")["scopes"]} == {charlie.scope}
    assert charlie.get("info/")["ended"] == []
    version = phone.row(str(shared.note))["version"]
    phone.mid = 9000
    phone.push(phone.edit("patch", shared.note, version, type="note", caption="c"))
    charlie.mid = 10_000
    charlie.push(
        charlie.edit("delete", UNKNOWN, type="note")
    )  # its state is there from here on: both of a pair cost the same
    changes = {"album": {"title": "x"}, "note": {"content": "x"}, "albumItem": {"position": "z"}}
    ids = {"album": str(shared.album), "note": str(shared.note), "albumItem": item}
    for type, fields in changes.items():
        for op, theirs, nobodys in (("patch", version, version), ("delete", version, version), ("patch", 9001, 8001)):
            pair = [
                told(charlie, op=op, id=id, base=base, type=type, **(fields if op == "patch" else {}))
                for id, base in ((ids[type], theirs), (UNKNOWN, nobodys))
            ]
            assert pair[0] == pair[1], (type, op)
            assert pair[0][0]["status"] == ("rejected" if op == "patch" else "noop") and pair[0][1] == []
    assert "secret" not in str(charlie.get("status/"))


def test_a_stranger_cannot_name_things_of_others_in_their_own(shared: Shared) -> None:
    charlie = Phone(make_user("charlie"))
    own = str(uuid.uuid4())
    charlie.push(charlie.edit("create", own, type="album", title="mine"))
    foreign = {"photo": str(shared.photo.pk), "note": str(shared.note)}
    for kind, target in foreign.items():
        for album in (own, str(shared.album)):
            pair = []
            for id, where in ((target, album), (UNKNOWN, album if album == own else UNKNOWN)):
                fields = {"albumId": where, "targetType": kind, "targetId": id}
                pair.append(told(charlie, op="create", id=album_item_id(where, kind, id), type="albumItem", **fields))
            assert pair[0] == pair[1] and pair[0][0]["status"] == "missing_ref"
    stars = [
        told(charlie, op="create", id=favourite_id(charlie.user.pk, id), type="favourite", photoId=str(id), rating=3)
        for id in (shared.photo.pk, uuid.UUID(UNKNOWN))
    ]
    assert stars[0] == stars[1] and stars[0][0]["status"] == "missing_ref"
    covers = [told(charlie, op="patch", id=own, type="album", cover=id) for id in (foreign["photo"], UNKNOWN)]
    assert covers[0] == covers[1] and covers[0][0]["status"] != "applied"
    attached = [
        told(charlie, op="create", id=uuid.uuid4(), type="note", content="x", attachments=[{"type": "photo", "id": id}])
        for id in (foreign["photo"], UNKNOWN)
    ]
    assert attached[0] == attached[1] and attached[0][0]["status"] != "applied"
    made: list[tuple[str, uuid.UUID, dict[str, str]]]
    made = [("album", shared.album, {"title": "x"}), ("note", shared.note, {"content": "x"})]
    for type, id, fields in made:  # all that an id in use tells is that it is
        result = charlie.result(charlie.edit("create", id, type=type, **fields))
        assert (result["status"], result["reason"]) == ("rejected", "id_taken") and "secret" not in str(result)
    assert set(AlbumItem.objects.values_list("album", flat=True)) == {shared.album}
    assert Photo.objects.filter(favourites__isnull=False).count() == 0


def test_a_stranger_sees_and_decides_no_conflict_of_others(shared: Shared) -> None:
    phone, tablet, charlie = Phone(shared.alice), Phone(shared.alice, "tablet"), Phone(make_user("charlie"))
    (row,) = phone.get("changes/", scope=f"album:{shared.album}", types="album")["changes"]
    phone.push(phone.edit("patch", shared.album, row["version"], type="album", title="one secret"))
    tablet.push(tablet.edit("patch", shared.album, row["version"], type="album", title="other secret"))
    conflict = Conflict.objects.get()
    assert charlie.client.get("/api/v1/sync/conflicts/").json()["results"] == []
    answers = [
        charlie.client.post(f"/api/v1/sync/conflicts/{id}/decide/", {"decision": "mine"}, format="json")
        for id in (conflict.pk, UNKNOWN)
    ]
    assert [answer.status_code for answer in answers] == [404, 404] and answers[0].content == answers[1].content
