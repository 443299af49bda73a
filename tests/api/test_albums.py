"""Albums, notes and drafts through the API: the way that pages and apps go."""

import hashlib
from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from catalog.models import Photo
from tests.factories import make_photo

from .conftest import API, Cast


def make(client: APIClient, path: str, body: Any, status: int = 201) -> Any:
    answer = client.post(API + path, body, format="json")
    assert answer.status_code == status, answer.content
    return answer.json()


@pytest.fixture
def shared(cast: Cast, alice: APIClient) -> dict[str, Any]:
    """An album of alice's with her first photo, which charlie may see; her second photo is not in it."""
    photos = [make_photo(cast.library, f"secret/{number}.jpg", has_thumbnail=True) for number in (1, 2)]
    key = make(alice, "albums/", {"title": "Rome", "order": "manual"})["id"]
    added = {"items": [{"target_type": "photo", "target_id": str(photos[0].pk)}]}
    item = make(alice, f"albums/{key}/items/", added, 200)["items"][0]
    make(alice, f"albums/{key}/members/", {"username": "charlie", "role": "viewer"})
    return {"album": key, "item": item["id"], "seen": photos[0], "hidden": photos[1]}


def test_a_member_sees_the_albums_photos_and_nothing_else(shared: Any, cast: Cast, charlie: APIClient) -> None:
    (row,) = charlie.get(f"{API}albums/").json()["results"]
    assert (row["title"], row["role"], row["item_count"], row["owner"]) == ("Rome", "viewer", 1, "alice")
    assert row["cover_photo"] == str(shared["seen"].pk)
    answer = charlie.get(f"{API}albums/{shared['album']}/items/")
    (item,) = answer.json()["results"]
    assert item["photo"]["id"] == str(shared["seen"].pk)
    assert "secret" not in answer.content.decode() and str(cast.library.pk) not in answer.content.decode()
    album = f"{API}albums/{shared['album']}/photos/"
    for what in ("", "thumbnail/", "preview/"):
        answer = charlie.get(f"{album}{shared['seen'].pk}/{what}")
        assert answer.status_code == 200, what
        assert "secret" not in str(answer.headers) and '"1.jpg' not in str(answer.headers)
        assert charlie.get(f"{album}{shared['hidden'].pk}/{what}").status_code == 404
        assert charlie.get(f"{API}photos/{shared['seen'].pk}/{what}").status_code == 404
    assert charlie.get(f"{album}{shared['seen'].pk}/original/").status_code == 403
    for path in ("photos/", "photos/?q=1", "timeline/buckets/", "libraries/", "photos/favourites/"):
        assert str(shared["seen"].pk) not in charlie.get(API + path).content.decode()
    assert make(charlie, f"albums/{shared['album']}/items/", {"items": []}, 400)
    assert charlie.patch(f"{API}albums/{shared['album']}/", {"title": "x"}, format="json").status_code == 403


def test_a_member_is_told_the_name_of_a_place(shared: Any, charlie: APIClient) -> None:
    Photo.objects.filter(pk=shared["seen"].pk).update(latitude=46.624, longitude=8.041)
    facts = charlie.get(f"{API}albums/{shared['album']}/photos/{shared['seen'].pk}/").json()
    assert facts["place_name"] == "Grindelwald, Switzerland"


def test_losing_access_ends_with_the_next_request(
    shared: Any, cast: Cast, alice: APIClient, charlie: APIClient
) -> None:
    address = f"{API}albums/{shared['album']}/photos/{shared['seen'].pk}/thumbnail/?v={shared['seen'].photo_md5[:8]}"
    first = charlie.get(address)
    assert first.status_code == 200 and "immutable" not in first["Cache-Control"]
    alice.patch(f"{API}albums/{shared['album']}/", {"allows_originals": True}, format="json")
    original = charlie.get(address.replace("thumbnail", "original"))
    assert original.status_code == 200 and '"1.jpg' not in original["Content-Disposition"]
    assert alice.delete(f"{API}albums/{shared['album']}/members/?user={cast.charlie.pk}").status_code == 204
    assert charlie.get(address, headers={"If-None-Match": first["ETag"]}).status_code == 404
    assert charlie.get(f"{API}albums/{shared['album']}/").status_code == 404


def test_a_missing_file_does_not_say_where_it_was(shared: Any, cast: Cast, charlie: APIClient) -> None:
    (cast.root / "secret" / "1.jpg").unlink()
    answer = charlie.get(f"{API}albums/{shared['album']}/photos/{shared['seen'].pk}/preview/")
    assert answer.status_code == 404 and "secret" not in answer.content.decode()


def test_order_trash_and_the_way_back(shared: Any, alice: APIClient) -> None:
    album = f"albums/{shared['album']}/"
    second = {"items": [{"target_type": "photo", "target_id": str(shared["hidden"].pk)}]}
    other = make(alice, f"{album}items/", second, 200)["items"][0]["id"]
    make(alice, f"{album}items/move/", {"item_ids": [other], "after": None}, 200)

    def listed(query: str = "") -> list[str]:
        return [row["id"] for row in alice.get(f"{API}{album}items/{query}").json()["results"]]

    assert listed() == [other, shared["item"]]
    assert make(alice, f"{album}items/remove/", {"item_ids": [other]}, 200)["success_count"] == 1
    assert listed() == [shared["item"]] and listed("?trashed=true") == [other]
    make(alice, f"{album}items/restore/", {"item_ids": [other]}, 200)
    assert listed() == [other, shared["item"]]
    for order in ("taken_asc", "taken_desc", "added"):
        alice.patch(f"{API}{album}", {"order": order}, format="json")
        page = alice.get(f"{API}{album}items/?limit=1").json()
        rest = alice.get(f"{API}{album}items/", {"cursor": page["next_cursor"]}).json()
        assert [row["id"] for row in [*page["results"], *rest["results"]]] == listed()
    assert alice.delete(API + album).status_code == 204
    assert alice.get(API + album).status_code == 404
    assert [row["id"] for row in alice.get(f"{API}albums/?trashed=true").json()["results"]] == [shared["album"]]
    assert make(alice, f"{album}restore/", {}, 200)["trashed_at"] is None


def test_a_draft_with_a_file_becomes_a_note_in_an_album(shared: Any, alice: APIClient, charlie: APIClient) -> None:
    md5 = hashlib.md5(b"sound").hexdigest()
    sent = alice.post(f"{API}media/?md5={md5}", b"sound", content_type="audio/mpeg")
    assert sent.status_code == 201 and sent.json() == {"md5": md5, "media_type": "audio/mpeg", "size_bytes": 5}
    key = str(uuid4())
    block = {"id": "1", "type": "audio", "attachment": {"media_md5": md5, "name": "a.mp3"}, "text": "Listen"}
    make(alice, "drafts/", {"id": key, "blocks": [block], "albums": [shared["album"]]})
    note = make(alice, f"drafts/{key}/publish/", {}, 200)
    assert (note["type"], note["content"], note["attachments"][0]["media_md5"]) == ("AUDIO", "Listen", md5)
    file = f"{API}notes/{note['id']}/media/{md5}/"
    answer = charlie.get(file)
    assert b"".join(answer.streaming_content) == b"sound" and answer["Content-Type"] == "audio/mpeg"
    assert charlie.get(f"{API}media/{md5}/").status_code == 404  # her store is not his
    assert charlie.get(f"{API}notes/").json()["results"] == []
    assert alice.delete(f"{API}notes/{note['id']}/").status_code == 204
    assert charlie.get(file).status_code == 404
    assert alice.post(f"{API}media/", b"<svg/>", content_type="image/svg+xml").status_code in (415, 422)


def test_what_is_wrong_is_named(shared: Any, alice: APIClient) -> None:
    answer = alice.patch(f"{API}albums/{shared['album']}/", {"cover": str(shared["hidden"].pk)}, format="json")
    assert answer.status_code == 422 and "cover" in answer.json()["errors"]
    assert answer.json()["type"] == "urn:photolala:problem:missing_ref"
    answer = alice.post(f"{API}albums/", {"title": "x", "query": {"rating": 5}}, format="json")
    assert answer.status_code == 400 and "query" in answer.json()["errors"]
    answer = alice.post(f"{API}albums/", {"title": "x", "query": {"q": "taken:soon"}}, format="json")
    assert answer.status_code == 422 and "year, month or day" in answer.json()["detail"]
    made = make(
        alice,
        "album-items/",
        {"album": shared["album"], "target_type": "photo", "target_id": str(shared["hidden"].pk), "position": "B"},
    )
    assert made["position"] == "B" and Photo.objects.count() == 2


def test_a_saved_search_is_an_album_that_finds(shared: Any, alice: APIClient, charlie: APIClient) -> None:
    made = make(alice, "albums/", {"title": "One", "query": {"q": "name:1"}})
    assert (made["query"], made["item_count"]) == ({"q": "name:1"}, 0)
    (row,) = alice.get(f"{API}photos/?album={made['id']}").json()["results"]
    assert row["id"] == str(shared["seen"].pk)
    assert [one["count"] for one in alice.get(f"{API}timeline/buckets/?album={made['id']}").json()] == [1]
    assert charlie.get(f"{API}photos/?album={made['id']}").json()["results"] == []
    assert charlie.get(f"{API}albums/{made['id']}/").status_code == 404
    changed = alice.patch(f"{API}albums/{made['id']}/", {"query": {"q": "name:2"}}, format="json").json()
    assert changed["query"] == {"q": "name:2"}
    added = {"items": [{"target_type": "photo", "target_id": str(shared["seen"].pk)}]}
    answer = alice.post(f"{API}albums/{made['id']}/items/", added, format="json")
    assert answer.status_code == 422 and "saved search" in answer.json()["detail"]
    answer = alice.post(f"{API}albums/{made['id']}/members/", {"username": "charlie", "role": "viewer"}, format="json")
    assert answer.status_code == 422 and "saved search" in answer.json()["detail"]
