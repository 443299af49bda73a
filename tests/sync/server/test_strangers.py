"""Keywords, places, stars, drafts and saved searches: what belongs to others is what never was; who may no longer, is told so."""

import uuid
from pathlib import Path
from typing import Any

import pytest

from catalog.albums import albums, drafts
from catalog.albums import members as album_members
from catalog.edits.stars import star
from catalog.libraries import members as library_members
from catalog.models import Album, AlbumItem, Draft, Favourite, FileWrite, favourite_id
from sync.protocol.ids import album_item_id
from tests.factories import make_user

from .conftest import Phone
from .test_ends import UNKNOWN, Shared, told

pytestmark = pytest.mark.django_db
PLACE = {"latitude": 48.85, "longitude": 2.35}


@pytest.fixture
def shared(tmp_path: Path) -> Any:
    made = Shared(tmp_path)
    yield made
    made.client.close()


def facts(shared: Shared) -> tuple[Any, ...]:
    """What was given to alice's photos."""
    for photo in (shared.photo, shared.other):
        photo.refresh_from_db()
    return tuple((one.keywords, one.latitude, one.caption, one.rating) for one in (shared.photo, shared.other))


def test_a_strangers_edits_of_anything_are_answered_as_if_it_never_was(shared: Shared) -> None:
    charlie = Phone(make_user("charlie"))
    draft, search = uuid.uuid4(), uuid.uuid4()
    drafts.create(shared.alice, draft, {"blocks": [{"id": "b", "type": "text", "text": "secret"}]})
    albums.create(shared.alice, search, {"title": "secret", "query": {"q": "secret"}})
    star(shared.bob, shared.photo.pk, 4)
    before = facts(shared)
    charlie.push(charlie.edit("delete", UNKNOWN, type="note"))  # its state is there from here on
    given: dict[str, Any] = {"keywords": ["x"], "place": PLACE, "caption": "x", "rating": 1}
    said: list[tuple[str, Any, dict[str, Any]]] = [
        ("photo", shared.photo.pk, {name: value}) for name, value in given.items()
    ]
    said += [
        ("photo", shared.photo.pk, {"takenAt": "2020-01-01T12:00:00Z"}),
        ("favourite", favourite_id(shared.bob.pk, shared.photo.pk), {"photoId": str(shared.photo.pk), "rating": 1}),
        ("draft", draft, {"blocks": []}),
        ("album", search, {"query": {"q": "x"}}),
    ]
    for type, id, fields in said:
        ops = ("patch", "delete", "create") if type in {"photo", "favourite"} else ("patch", "delete")
        for op in ops:
            base, written = (None if op == "create" else "9" * 18), ({} if op == "delete" else fields)
            pair = [told(charlie, op=op, id=key, base=base, type=type, **written) for key in (id, UNKNOWN)]
            assert pair[0] == pair[1], (type, op)
            assert pair[0][0]["status"] == ("noop" if op == "delete" else "rejected") and pair[0][1] == []
    assert facts(shared) == before and not FileWrite.objects.exists()
    assert Draft.objects.get().blocks[0]["text"] == "secret" and Favourite.objects.get().rating == 4
    assert Album.objects.get(pk=search).query == {"q": "secret"}


def test_who_only_looks_at_photos_gives_them_nothing(shared: Shared) -> None:
    before = facts(shared)
    for name, value in {"keywords": ["x"], "place": PLACE, "caption": "x", "rating": 1}.items():
        result = shared.phone.result(
            shared.phone.edit("patch", shared.other.pk, "9" * 18, type="photo", **{name: value})
        )
        assert result["status"] == "missing_ref" and result["reason"] == "not_found", result
    assert facts(shared) == before and not FileWrite.objects.exists()


def test_a_saved_search_comes_to_nobody_else_and_takes_nothing(shared: Shared) -> None:
    phone, search = Phone(shared.alice), str(uuid.uuid4())
    made = phone.edit("create", search, type="album", title="secret", query={"q": "secret"})
    assert phone.result(made)["status"] == "applied"
    assert f"album:{search}" not in str(shared.phone.get("info/"))
    item = album_item_id(search, "photo", str(shared.photo.pk))
    fields = {"albumId": search, "targetType": "photo", "targetId": str(shared.photo.pk)}
    result = phone.result(phone.edit("create", item, type="albumItem", **fields))
    assert (result["status"], result["reason"]) == ("rejected", "invalid")
    (row,) = phone.get("changes/", scope=f"album:{shared.album}", types="album")["changes"]
    for device in (phone, shared.phone):  # who is an editor of the album, neither
        result = device.result(device.edit("patch", shared.album, row["version"], type="album", query={"q": "x"}))
        assert (result["status"], result["reason"]) == ("rejected", "invalid")
    assert Album.objects.get(pk=shared.album).query is None and AlbumItem.objects.filter(album=search).count() == 0


def test_what_waits_when_a_right_ends_changes_nothing_and_is_told_and_kept(shared: Shared) -> None:
    library_members.set_member(shared.library, shared.bob, "editor")
    assert shared.client.sync().success
    before = facts(shared)
    shared.client.patch("photo", str(shared.other.pk), {"keywords": ["mine"], "place": PLACE})
    shared.client.patch("album", str(shared.album), {"title": "mine, too"})
    library_members.remove_member(shared.library, shared.bob)
    album_members.remove_member(shared.alice, shared.album, shared.bob)
    result = shared.client.sync()
    assert result.success and result.refused_items == 2
    refused = shared.client.refused()
    assert {one["type"]: one["reason"] for one in refused} == {"photo": "gone", "album": "gone"}
    assert all("not shared with you any more" in str(one["detail"]) for one in refused)
    assert "mine" in str(refused) and str(PLACE["latitude"]) in str(refused)
    assert shared.held() == {} and shared.client.status().pending_uploads == {}
    assert facts(shared) == before and not FileWrite.objects.exists()
    assert Album.objects.get().title == "secret"
