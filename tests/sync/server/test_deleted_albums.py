"""An album in the trash goes from all devices at their next pull, and comes back; what was written into it meanwhile counts."""

from pathlib import Path
from typing import Any

import pytest

from catalog.albums import albums
from sync.device.client import Client
from sync.protocol.ids import album_item_id

from .conftest import OverTheApi, Phone
from .test_ends import Shared

pytestmark = pytest.mark.django_db


@pytest.fixture
def shared(tmp_path: Path) -> Any:
    made = Shared(tmp_path)
    yield made
    made.client.close()


@pytest.fixture
def tablet(shared: Shared, tmp_path: Path) -> Any:
    """Alice's own."""
    client = Client(tmp_path / "tablet.sqlite", OverTheApi(Phone(shared.alice)), is_durable=False)
    assert client.sync().success
    yield client
    client.close()


def test_an_album_in_the_trash_goes_from_all_devices_and_comes_back_whole(shared: Shared, tablet: Client) -> None:
    scope, id = f"album:{shared.album}", str(shared.album)
    before, cursor = shared.held(), shared.phone.get("changes/", scope=scope)["cursor"]
    hints = shared.phone.get("events/")["cursor"]
    albums.delete(shared.alice, shared.album)
    assert shared.asked(scope, cursor=cursor) == shared.asked(scope, "digest/") == (410, "scope_ended")
    assert [one["scope"] for one in shared.phone.get("info/")["ended"]] == [scope]
    assert shared.phone.get("events/", after=hints)["cursor"] != hints
    for client in (shared.client, tablet):
        assert client.sync().success and client.get("album", id) is None
    assert set(shared.held()) == {"photo", "library"}
    albums.restore(shared.alice, shared.album)
    assert shared.phone.get("info/")["ended"] == []
    for client in (shared.client, tablet):
        assert client.sync().success and client.verify() == []
    assert shared.held() == before and tablet.get("album", id) is not None


def test_who_wrote_into_an_album_that_was_deleted_meanwhile_brings_it_back(shared: Shared, tablet: Client) -> None:
    id = str(shared.album)
    tablet.patch("album", id, {"description": "longer"})
    albums.delete(shared.alice, shared.album)
    assert tablet.sync().success and tablet.refused() == []
    said = tablet.get("album", id) or {}
    assert (said.get("title"), said.get("description")) == ("secret", "longer")
    assert shared.client.sync().success and shared.client.get("album", id) == said


def test_an_album_that_is_made_filled_and_given_a_cover_offline_arrives(shared: Shared, tablet: Client) -> None:
    album, photo = tablet.create("album", {"title": "Rome"}), str(shared.photo.pk)
    fields = {"albumId": album, "targetType": "photo", "targetId": photo}
    tablet.create("albumItem", fields, album_item_id(album, "photo", photo))
    tablet.patch("album", album, {"cover": photo})
    assert tablet.sync().success and tablet.refused() == []
    said = tablet.get("album", album) or {}
    assert (said.get("title"), said.get("cover")) == ("Rome", photo)
    other = str(shared.other.pk)
    tablet.patch("album", album, {"cover": other})
    tablet.create("albumItem", {**fields, "targetId": other}, album_item_id(album, "photo", other))
    assert tablet.sync().success and tablet.refused() == []
    assert (tablet.get("album", album) or {}).get("cover") == other


def test_what_was_put_in_and_taken_out_while_an_album_was_deleted_counts_if_it_comes_back(
    shared: Shared, tablet: Client
) -> None:
    album, other = str(shared.album), str(shared.other.pk)
    note_item = album_item_id(album, "note", str(shared.note))
    photo_item = album_item_id(album, "photo", str(shared.photo.pk))
    other_item = album_item_id(album, "photo", other)
    tablet.create(
        "albumItem", {"albumId": album, "targetType": "photo", "targetId": other, "position": "z"}, other_item
    )
    tablet.delete("albumItem", note_item)
    tablet.patch("albumItem", photo_item, {"position": "x"})
    tablet.patch("album", album, {"title": "mine"})
    albums.delete(shared.alice, shared.album)
    assert tablet.sync().success and tablet.refused() == []
    held = {id: item["position"] for id, item in tablet.items("albumItem")}
    assert held == {other_item: "z", photo_item: "x"}
    assert shared.client.sync().success and shared.held()["albumItem"] == {other_item, photo_item}


def test_a_photo_that_was_taken_out_of_an_album_in_the_trash_stays_out(shared: Shared, tablet: Client) -> None:
    item = album_item_id(str(shared.album), "note", str(shared.note))
    tablet.delete("albumItem", item)
    albums.delete(shared.alice, shared.album)
    assert tablet.sync().success and tablet.refused() == [] and list(tablet.view.ids("albumItem")) == []
    albums.restore(shared.alice, shared.album)
    assert tablet.sync().success and tablet.get("albumItem", item) is None and tablet.verify() == []
    assert len(list(tablet.view.ids("albumItem"))) == 1
