"""Two devices of one person, with the reference client and the real server: albums with what is in them, notes and drafts."""

import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from catalog.models import Album, AlbumItem, Draft, Note
from sync.device.client import Client
from sync.device.exchange import Exchange
from sync.protocol.ids import album_item_id
from sync.protocol.messages import ChangesReply, ChangesRequest, PushReply, PushRequest
from tests.factories import make_user

from .conftest import OverTheApi, Phone

MODELS: dict[str, Any] = {"album": Album, "note": Note, "albumItem": AlbumItem, "draft": Draft}
BLOCK = {"id": "b", "type": "text", "text": "Later"}


class Line(OverTheApi):
    """Remembers what was asked and answered."""

    def __init__(self, phone: Phone) -> None:
        super().__init__(phone)
        self.pushed: list[tuple[PushRequest, PushReply]] = []
        self.pulled: list[tuple[ChangesRequest, ChangesReply]] = []

    def push(self, request: PushRequest) -> PushReply:
        self.pushed.append((request, super().push(request)))
        return self.pushed[-1][1]

    def changes(self, request: ChangesRequest) -> ChangesReply:
        self.pulled.append((request, super().changes(request)))
        return self.pulled[-1][1]


class Holder(Client):
    """A client with short names for what these tests do."""

    line: Line

    def put(self, album: str, note: str, position: str = "V") -> str:
        fields = {"albumId": album, "targetType": "note", "targetId": note, "position": position}
        return self.create("albumItem", fields, album_item_id(album, "note", note))

    def holds(self) -> dict[str, dict[str, Any]]:
        return {kind: dict(self.items(kind)) for kind in MODELS}

    def version(self, kind: str, id: str) -> int | None:
        return self.view.base_version(kind, id)

    def synced(self) -> Any:
        result = self.sync()
        assert result.success, result.errors
        return result


@pytest.fixture
def pair(db: None, tmp_path: Path) -> Iterator[tuple[Holder, Holder]]:
    """Her phone and her tablet, both of which have met the server."""
    alice = make_user("alice")
    holders = []
    for name in ("phone", "tablet"):
        line = Line(Phone(alice, name))
        holders.append(Holder(tmp_path / name, line, is_durable=False))
        holders[-1].line = line
        holders[-1].synced()
    yield holders[0], holders[1]
    for holder in holders:
        holder.close()


@pytest.fixture
def made(pair: tuple[Holder, Holder]) -> dict[str, list[str]]:
    """Two albums with the same two notes, and a draft, made on the phone; ids by kind. Both devices have them."""
    phone, tablet = pair
    albums = [phone.create("album", {"title": title, "description": "By train"}) for title in ("Rome", "Paris")]
    notes = [phone.create("note", {"content": text, "caption": "At noon"}) for text in ("Sunny", "Rain")]
    things = [phone.put(*names) for names in product(albums, notes)]
    drafts = [phone.create("draft", {"blocks": [BLOCK], "albums": albums})]
    assert phone.synced().uploaded_items == 9
    assert tablet.synced().downloaded_items >= 9
    return {"album": albums, "note": notes, "albumItem": things, "draft": drafts}


@pytest.mark.promise("S1-005", "S1-006", "S1-007", "S1-011", "S1-016", "S1-017", "S1-034", "S1-039", "S1-046")
def test_what_is_made_changed_and_deleted_on_one_is_so_on_the_other(
    pair: tuple[Holder, Holder], made: dict[str, list[str]]
) -> None:
    phone, tablet = pair
    (rome, paris), (sunny, rain), (draft,) = made["album"], made["note"], made["draft"]
    held = tablet.holds()
    assert held == phone.holds()
    assert {kind: set(things) for kind, things in held.items()} == {kind: set(ids) for kind, ids in made.items()}
    assert held["album"][rome].items() >= {"title": "Rome", "description": "By train", "owner": "alice"}.items()
    assert held["note"][sunny].items() >= {"content": "Sunny", "caption": "At noon", "type": "TEXT"}.items()
    assert (held["draft"][draft]["blocks"][0]["text"], held["draft"][draft]["albums"]) == ("Later", [rome, paris])
    pairs = [(one["albumId"], one["targetId"]) for one in held["albumItem"].values()]
    assert sorted(pairs) == sorted(product(made["album"], made["note"]))
    tablet.patch("album", rome, {"title": "Roma"})
    tablet.patch("note", rain, {"content": "It poured"})
    tablet.patch("albumItem", album_item_id(rome, "note", rain), {"position": "b"})
    tablet.delete("note", sunny)
    tablet.delete("album", paris)
    assert tablet.synced().uploaded_items == 5
    phone.synced()
    held = phone.holds()
    assert held == tablet.holds()
    assert {id: album["title"] for id, album in held["album"].items()} == {rome: "Roma"}
    assert {id: note["content"] for id, note in held["note"].items()} == {rain: "It poured"}
    assert [(one["targetId"], one["position"]) for one in held["albumItem"].values()] == [(rain, "b")]
    phone.delete("albumItem", album_item_id(rome, "note", rain))
    phone.synced()
    tablet.synced()
    assert (list(tablet.items("albumItem")), [id for id, _ in tablet.items("note")]) == ([], [rain])
    assert Album.objects.get(trashed_at=None).title == "Roma"


@pytest.mark.promise("S1-022", "S1-025", "S1-026", "S1-038", "S1-044")
def test_everything_carries_the_version_that_the_server_gave_it(
    pair: tuple[Holder, Holder], made: dict[str, list[str]]
) -> None:
    phone, tablet = pair
    for kind, ids in made.items():
        for id in ids:
            given = MODELS[kind].objects.get(pk=id).version
            assert given and phone.version(kind, id) == tablet.version(kind, id) == given, kind
    request, reply = phone.line.pushed[-1]
    now = {row.id: row.version for row in reply.rows}
    mids = {one.mid: now[one.id] for one in request.mutations}  # type: ignore[union-attr]
    assert {result.mid: result.version for result in reply.results} == mids and len(mids) == 9
    assert abs(reply.server_time_ms - time.time() * 1000) < 600_000
    for row in reply.rows:
        assert row.data and {"createdAt", "updatedAt", "addedAt"} & set(row.data), row.type


@pytest.mark.promise("S1-027", "S1-028", "S1-029", "S1-035")
def test_an_edit_says_which_version_it_was_made_on_and_the_server_compares(
    pair: tuple[Holder, Holder], made: dict[str, list[str]]
) -> None:
    phone, tablet = pair
    edits = {"album": {"title": "Roma"}, "note": {"content": "Fog"}, "albumItem": {"position": "a"}}
    seen = {kind: phone.version(kind, made[kind][0]) for kind in edits}
    for kind, fields in edits.items():
        phone.patch(kind, made[kind][0], fields)
    phone.delete("albumItem", made["albumItem"][1])
    removed = phone.version("albumItem", made["albumItem"][1])
    phone.synced()
    request, _ = phone.line.pushed[-1]
    told = [(one.type, one.id, one.base.version) for one in request.mutations if one.base]  # type: ignore[union-attr]
    expected = [(kind, made[kind][0], seen[kind]) for kind in edits]
    assert sorted(told) == sorted([*expected, ("albumItem", made["albumItem"][1], removed)])
    tablet.delete("albumItem", made["albumItem"][0])  # as it was before the phone moved it
    assert tablet.synced().conflicts_resolved == 1
    assert (tablet.get("albumItem", made["albumItem"][0]) or {})["position"] == "a"
    tablet.delete("albumItem", made["albumItem"][0])  # as it is
    assert tablet.synced().conflicts_resolved == 0
    assert tablet.get("albumItem", made["albumItem"][0]) is None


@pytest.mark.promise("S1-009", "S1-019", "S1-037")
def test_what_waits_and_how_far_it_is_outlive_the_process(
    pair: tuple[Holder, Holder], made: dict[str, list[str]], tmp_path: Path
) -> None:
    phone, tablet = pair
    note = made["note"][0]
    asked = {request.scope: reply.cursor for request, reply in tablet.line.pulled}
    tablet.patch("note", note, {"caption": "waits"})
    tablet.close()
    tablet.line.pulled.clear()
    again = Holder(tmp_path / "tablet", tablet.line, is_durable=False)
    assert again.status().pending_uploads == {"note": 1}
    phone.patch("note", made["note"][1], {"content": "new"})
    phone.synced()
    result = again.synced()
    assert {request.scope: request.cursor for request, _ in tablet.line.pulled} == {
        request.scope: asked[request.scope] for request, _ in tablet.line.pulled
    }
    assert tablet.line.pulled and asked[f"album:{made['album'][0]}"]
    came = {row.id for _, reply in tablet.line.pulled for row in reply.changes}
    assert came == set(made["note"]) and result.uploaded_items == 1
    again.close()
    assert Note.objects.get(pk=note).caption == "waits"


def test_an_album_that_was_deleted_elsewhere_stays_while_edits_of_it_wait_and_comes_back_whole(
    pair: tuple[Holder, Holder], made: dict[str, list[str]]
) -> None:
    phone, tablet = pair
    rome = made["album"][0]
    tablet.patch("album", rome, {"title": "Roma"})
    phone.patch("album", rome, {"description": "By bus"})  # which the tablet has not seen either
    phone.synced()
    phone.delete("album", rome)
    phone.synced()
    assert phone.get("album", rome) is None and rome not in dict(phone.items("album"))
    with pytest.MonkeyPatch.context() as patch:  # as if it had been written while the pull was under way
        patch.setattr(Exchange, "_push", lambda self, info, result: False)
        tablet.synced()
    assert (tablet.get("album", rome) or {}).items() >= {"title": "Roma", "description": "By train"}.items()
    for holder in (tablet, phone, tablet):
        holder.synced()
    held = phone.holds()
    assert held == tablet.holds() and len(held["albumItem"]) == 4
    assert held["album"][rome].items() >= {"title": "Roma", "description": "By bus"}.items()
    assert phone.verify() == tablet.verify() == []


@pytest.mark.promise("S1-X06")
def test_a_note_of_which_the_servers_side_was_kept_stays_in_its_albums(
    pair: tuple[Holder, Holder], made: dict[str, list[str]]
) -> None:
    phone, tablet = pair
    note, linked = made["note"][0], {id for id, item in phone.items("albumItem") if item["targetId"] == made["note"][0]}
    phone._wall_ms = lambda: int(time.time() * 1000) - 3_600_000
    phone.patch("note", note, {"caption": "earlier"})
    tablet.patch("note", note, {"caption": "later"})
    tablet.synced()
    before = Note.objects.get(pk=note)
    assert phone.synced().conflicts_resolved == 1
    for holder in pair:
        holder.synced()
        assert (holder.get("note", note) or {})["caption"] == "later"
        assert {id for id, item in holder.items("albumItem") if item["targetId"] == note} == linked
    after = Note.objects.get(pk=note)
    assert (after.created_at, len(linked)) == (before.created_at, 2)
    assert {str(key) for key in AlbumItem.objects.live().filter(note=note).values_list("pk", flat=True)} == linked
