"""Albums, notes and drafts as pages: what is shown to whom, what forms change, and what strangers learn (nothing)."""

import uuid
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import reverse

from catalog.albums import albums, drafts, items, members, notes
from catalog.models import Album, AlbumMember, Draft, Note, Photo
from tests.factories import make_photo

from .conftest import Cast


@pytest.fixture
def photos(cast: Cast) -> list[Photo]:
    """Three photos of alice's library."""
    return [make_photo(cast.library, f"secret folder/IMG_{number}.JPG", has_thumbnail=True) for number in range(3)]


@pytest.fixture
def album(cast: Cast, photos: list[Photo]) -> Album:
    """Alice's album of her photos and a note."""
    album = albums.create(cast.alice, uuid.uuid4(), {"title": "Rome"})
    note = notes.create(cast.alice, uuid.uuid4(), {"content": "We walked along the river."})
    targets = [*(items.Target(items.PHOTO, photo.pk) for photo in photos), items.Target(items.NOTE, note.pk)]
    items.add(cast.alice, album.pk, targets)
    return album


def draft_of(cast: Cast, text: str) -> Draft:
    """Make a draft of one block."""
    block = {"id": str(uuid.uuid4()), "type": "text", "text": text, "attachment": None, "caption": "", "place": None}
    return drafts.create(cast.alice, uuid.uuid4(), {"blocks": [block]})


def addresses(album: Album, photo: Photo, note: Note, draft: Draft) -> Iterator[tuple[str, str]]:
    """Give (verb, address) of every page that belongs to these."""
    yield "get", reverse("albums:album", args=[album.pk])
    yield "get", reverse("albums:photo", args=[album.pk, photo.pk])
    yield "get", reverse("albums:photo", args=[album.pk, photo.pk]) + "?plain=1"
    yield "get", reverse("albums:note", args=[note.pk])
    yield "post", reverse("albums:note", args=[note.pk])
    yield "post", reverse("albums:note-delete", args=[note.pk])
    yield "get", reverse("albums:draft", args=[draft.pk])
    yield "post", reverse("albums:draft", args=[draft.pk])
    for name in ("settings", "member", "member-remove", "hand-over", "delete"):
        yield "post", reverse(f"albums:{name}", args=[album.pk])
    yield "get", reverse("albums:settings", args=[album.pk])


def test_an_album_is_made_and_refused_without_a_title(alice: Client, cast: Cast) -> None:
    answer = alice.post(reverse("albums:list"), {"title": "Rome"})
    album = Album.objects.get()
    assert answer.url == reverse("albums:album", args=[album.pk])
    assert (album.title, album.owner) == ("Rome", cast.alice)
    answer = alice.post(reverse("albums:list"), {"title": "  "})
    assert answer.status_code == 422
    assert "title must not be empty. Nothing was changed." in answer.content.decode()
    assert Album.objects.count() == 1


def test_the_list_counts_what_one_sees_and_says_who_shares(
    alice: Client, bob: Client, charlie: Client, cast: Cast, album: Album
) -> None:
    members.set_member(cast.alice, album.pk, cast.bob, "viewer")
    own, shared = (client.get(reverse("albums:list")).content.decode() for client in (alice, bob))
    assert "3 photos" in own and "1 note" in own and "shared with 1 person" in own
    assert "3 photos" in shared and "shared by alice" in shared
    assert "Rome" not in charlie.get(reverse("albums:list")).content.decode()


def test_a_member_sees_photos_without_learning_where_they_are(
    charlie: Client, cast: Cast, album: Album, photos: list[Photo]
) -> None:
    members.set_member(cast.alice, album.pk, cast.charlie, "viewer")
    page = charlie.get(reverse("albums:album", args=[album.pk])).content.decode()
    for photo in photos:
        assert f"/api/v1/albums/{album.pk}/photos/{photo.pk}/thumbnail/" in page
    assert "We walked along the river." in page
    alone = charlie.get(reverse("albums:photo", args=[album.pk, photos[0].pk]) + "?plain=1").content.decode()
    for text in ("secret folder", "IMG_", "Holidays", "Download the original"):
        assert text not in page and text not in alone
    assert "data-arrange" not in page
    assert charlie.get(reverse("catalog:photo", args=[photos[0].pk])).status_code == 404
    albums.patch(cast.alice, album.pk, {"allowsOriginals": True})
    alone = charlie.get(reverse("albums:photo", args=[album.pk, photos[0].pk]) + "?plain=1").content.decode()
    assert f"/api/v1/albums/{album.pk}/photos/{photos[0].pk}/original/" in alone


def test_nobody_else_finds_any_of_it(
    charlie: Client, anonymous: Client, cast: Cast, album: Album, photos: list[Photo]
) -> None:
    note, draft = Note.objects.get(), draft_of(cast, "Half a thought")
    before = [*Album.objects.values(), *Note.objects.values(), *Draft.objects.values()]
    for verb, address in addresses(album, photos[0], note, draft):
        assert getattr(charlie, verb)(address).status_code == 404, (verb, address)
        assert "/sign-in/" in getattr(anonymous, verb)(address).url, (verb, address)
    assert [*Album.objects.values(), *Note.objects.values(), *Draft.objects.values()] == before
    assert charlie.get(reverse("albums:photo", args=[uuid.uuid4(), photos[0].pk])).status_code == 404


def test_a_viewer_changes_nothing_and_an_editor_not_who_sees_it(bob: Client, cast: Cast, album: Album) -> None:
    members.set_member(cast.alice, album.pk, cast.bob, "viewer")
    settings = reverse("albums:settings", args=[album.pk])
    assert bob.get(settings).status_code == 404
    assert bob.post(settings, {"title": "Mine", "description": "", "order": "manual"}).status_code == 404
    members.set_member(cast.alice, album.pk, cast.bob, "editor")
    sent = {"title": "Rome, again", "description": "Spring", "order": "taken_asc", "allows_originals": "1"}
    assert bob.post(settings, sent).status_code == 302
    album.refresh_from_db()
    assert (album.title, album.order, album.allows_originals) == ("Rome, again", "taken_asc", False)
    for name in ("member", "hand-over", "delete"):
        assert bob.post(reverse(f"albums:{name}", args=[album.pk]), {"username": "charlie"}).status_code == 404
    assert bob.post(reverse("albums:member-remove", args=[album.pk])).url == reverse("albums:list")  # they may leave
    assert not AlbumMember.objects.exists()


def test_sharing_and_handing_over(alice: Client, cast: Cast, album: Album) -> None:
    member = reverse("albums:member", args=[album.pk])
    answer = alice.post(member, {"username": "nobody-here", "role": "viewer"})
    assert answer.status_code == 422 and "There is no user called “nobody-here” here." in answer.content.decode()
    assert alice.post(member, {"username": "charlie", "role": "editor"}).status_code == 302
    assert AlbumMember.objects.get().user == cast.charlie
    alice.post(reverse("albums:hand-over", args=[album.pk]), {"username": "charlie"})
    album.refresh_from_db()
    assert album.owner == cast.charlie and AlbumMember.objects.get().user == cast.alice


def test_deleted_things_are_listed_and_restored(alice: Client, cast: Cast, album: Album) -> None:
    note, draft = Note.objects.get(), draft_of(cast, "Half a thought")
    alice.post(reverse("albums:delete", args=[album.pk]))
    alice.post(reverse("albums:note-delete", args=[note.pk]))
    alice.post(reverse("albums:draft", args=[draft.pk]), {"do": "delete"})
    page = alice.get(reverse("albums:trash")).content.decode()
    for words in ("Rome", "We walked along the river.", "Half a thought"):
        assert words in page
    for kind, thing in (("album", album), ("note", note), ("draft", draft)):
        alice.post(reverse("albums:trash"), {"kind": kind, "id": str(thing.pk)})
        thing.refresh_from_db()
        assert thing.trashed_at is None
    assert alice.post(reverse("albums:trash"), {"kind": "photo", "id": str(album.pk)}).status_code == 302


def test_pages_of_an_album_follow_each_other(alice: Client, cast: Cast, album: Album) -> None:
    more = [make_photo(cast.library) for _ in range(120)]
    items.add(cast.alice, album.pk, [items.Target(items.PHOTO, photo.pk) for photo in more])
    address = reverse("albums:album", args=[album.pk])
    first = alice.get(address)
    cursor = first.context["page"]["next_cursor"]
    second = alice.get(address, {"cursor": cursor}, headers={"HX-Request": "true"})
    assert b"<html" not in second.content
    shown = [item["id"] for page in (first, second) for item in page.context["page"]["rows"]]
    assert len(shown) == len(set(shown)) == 124
    assert alice.get(address, {"cursor": "made up"}).status_code == 400


def test_a_draft_is_kept_and_published_without_scripts(alice: Client, cast: Cast, album: Album) -> None:
    answer = alice.post(reverse("albums:draft-new"))
    draft = Draft.objects.get()
    assert answer.url == reverse("albums:draft", args=[draft.pk])
    answer = alice.post(answer.url, {"do": "publish", "text": ""})
    assert answer.status_code == 422 and "There is nothing in this draft" in answer.content.decode()
    alice.post(
        reverse("albums:draft", args=[draft.pk]), {"do": "save", "text": "One\r\nTwo", "albums": [str(album.pk)]}
    )
    draft.refresh_from_db()
    assert [block["text"] for block in draft.blocks] == ["One\nTwo"] and draft.albums == [str(album.pk)]
    sent = {"do": "publish", "text": "One\r\nThree", "albums": [str(album.pk)]}
    answer = alice.post(reverse("albums:draft", args=[draft.pk]), sent)
    note = Note.objects.get(content="One\nThree")
    assert answer.url == reverse("albums:note", args=[note.pk])
    assert album.items.filter(note=note).exists()
    assert alice.get(reverse("albums:draft", args=[draft.pk])).status_code == 404


def test_a_note_is_changed_by_who_wrote_it(alice: Client, cast: Cast, album: Album) -> None:
    note = Note.objects.get()
    address = reverse("albums:note", args=[note.pk])
    assert alice.post(address, {"content": "x" * 100_001, "caption": ""}).status_code == 422
    assert alice.post(address, {"content": "By the river.", "caption": "Evening"}).status_code == 302
    note.refresh_from_db()
    assert (note.content, note.caption) == ("By the river.", "Evening")
    assert "By the river." in alice.get(reverse("albums:notes")).content.decode()
