"""Notes and drafts: texts and attachments are kept whole or refused, and publishing is one transaction."""

import io
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.core.files.storage import storages
from django.utils import timezone

from catalog.albums import albums, drafts, items, media, members, notes, trash
from catalog.albums.refusals import Refused
from catalog.models import AlbumItem, Attachment, Draft, Media, Note


def send(user, content=b"a picture", media_type="image/jpeg", **more):
    """Keep a file in the media store."""
    return media.keep(user, io.BytesIO(content).read, media_type, **more)


def attached(one):
    return {"media_md5": one.md5, "name": "IMG.JPG"}


def block(kind, number=1, **more):
    return {"id": f"b{number}", "type": kind, **more}


def refusal(verb, *arguments):
    with pytest.raises(Refused) as refused:
        verb(*arguments)
    return refused.value


def test_a_note_keeps_text_moment_place_and_attachments(cast):
    file = send(cast.alice)
    said = {
        "type": "IMAGE",
        "content": "e\u0301 " + "x" * 99_998,
        "notedAt": "2024-05-17T12:30:00+02:00",
        "place": {"latitude": 41.9, "longitude": 12.5, "name": "Rome"},
        "attachments": [{"photo": str(cast.photos[0].pk)}, attached(file)],
    }
    note = Note.objects.get(pk=notes.create(cast.alice, uuid4(), said).pk)
    assert (len(note.content), note.content[0]) == (100_000, "é")
    assert note.noted_at == datetime(2024, 5, 17, 10, 30, tzinfo=UTC) and note.noted_offset_minutes == 120
    assert note.noted_local == datetime(2024, 5, 17, 12, 30, tzinfo=UTC)
    assert note.place == {"latitude": 41.9, "longitude": 12.5, "name": "Rome"}
    assert note.attachments[1] == {
        "media_md5": file.md5, "name": "IMG.JPG", "media_type": "image/jpeg", "size_bytes": 9,
    }  # fmt: skip
    assert {(one.photo_id, one.media_id) for one in Attachment.objects.all()} == {
        (cast.photos[0].pk, None),
        (None, file.pk),
    }


@pytest.mark.parametrize(
    ("fields", "reason", "sentence"),
    [
        ({"content": "x" * 100_001}, "invalid", "content may have 100,000 characters at most; this has 100,001."),
        ({"caption": "x" * 10_001}, "invalid", "caption may have 10,000 characters at most"),
        ({"content": "a\0"}, "invalid", "NUL"),
        ({"type": "POEM"}, "invalid", "TEXT, IMAGE, VIDEO, AUDIO"),
        ({"notedAt": "2024-05-17T12:30:00"}, "invalid", "with its offset"),
        ({"notedAt": "0001-01-01T00:00:00+14:00"}, "invalid", "ends of the calendar"),
        ({"place": {"latitude": 91, "longitude": 1}}, "invalid", "from -90 to 90"),
        ({"place": {"latitude": float("nan"), "longitude": 1}}, "invalid", "latitude must be a number"),
        ({"place": {"latitude": 1}}, "invalid", "both latitude and longitude"),
        ({"attachments": [{"photo": "x"}]}, "invalid", "must be an id"),
        ({"attachments": [{"photo": str(uuid4())}]}, "missing_ref", "not for you to see"),
        ({"attachments": [{"media_md5": "0" * 32}]}, "missing_ref", "send it first"),
        ({"attachments": [{"media_md5": "../../etc"}]}, "invalid", "hexadecimal"),
        ({"attachments": [{"photo": None, "media_md5": "0" * 32}]}, "invalid", "either a photo, or a media_md5"),
        ({"owner": "bob"}, "invalid", "no field owner"),
    ],
)
def test_what_no_note_can_be(cast, fields, reason, sentence):
    note = notes.create(cast.alice, uuid4(), {"content": "as it was"})
    before = Note.objects.values().get(pk=note.pk)
    refused = refusal(notes.patch, cast.alice, note.pk, fields)
    assert refused.reason == reason and sentence in refused.detail
    assert Note.objects.values().get(pk=note.pk) == before


def test_anothers_file_cannot_be_attached_by_its_md5(cast):
    file = send(cast.alice)
    assert refusal(notes.create, cast.charlie, uuid4(), {"attachments": [attached(file)]}).reason == "missing_ref"
    assert refusal(notes.create, cast.charlie, uuid4(), {"attachments": [{"photo": str(cast.photos[0].pk)}]})


def test_notes_and_drafts_are_their_owners(cast):
    note = notes.create(cast.alice, uuid4(), {"content": "mine"})
    draft = drafts.create(cast.alice, uuid4(), {"blocks": [block("text", text="mine")]})
    for verbs, thing in ((notes, note), (drafts, draft)):
        for call in (
            lambda verbs=verbs, thing=thing: verbs.patch(cast.bob, thing.pk, {}),
            lambda verbs=verbs, thing=thing: verbs.delete(cast.bob, thing.pk),
            lambda verbs=verbs, thing=thing: verbs.restore(cast.bob, thing.pk),
        ):
            assert refusal(call).reason == "not_found"
        assert refusal(verbs.create, cast.bob, thing.pk, {}).reason == "id_taken"
        assert verbs.create(cast.alice, thing.pk, {}) == thing
    assert refusal(drafts.publish, cast.bob, draft.pk).reason == "not_found"
    assert Note.objects.get().content == "mine" and not AlbumItem.objects.exists()


def test_a_note_in_the_trash_leaves_its_albums_and_comes_back(cast):
    note = notes.create(cast.alice, uuid4(), {"content": "mine"})
    items.add(cast.alice, cast.album.pk, [items.Target("note", note.pk)])
    shown = cast.album.items.shown_to
    notes.delete(cast.alice, note.pk)
    assert not shown(cast.alice).exists()
    assert refusal(notes.patch, cast.alice, note.pk, {"content": "x"}).reason == "not_found"
    notes.restore(cast.alice, note.pk)
    assert shown(cast.alice).count() == 1
    notes.delete(cast.alice, note.pk)
    assert trash.delete_what_is_due(timezone.now() + timedelta(days=31)) == 1
    assert not AlbumItem.objects.exists() and not Note.objects.exists()


def test_a_draft_becomes_a_note_in_its_albums(cast):
    file = send(cast.alice, media_type="video/mp4")
    blocks = [
        block("text", 1, text="One"),
        block("camera", 2, attachment=attached(file), caption="Seen"),
        block("text", 3, text="Two", place={"name": "Rome"}),
        block("image", 4, attachment={"photo": str(cast.photos[0].pk)}, caption="There"),
    ]
    draft = drafts.create(cast.alice, uuid4(), {"blocks": blocks, "albums": [str(cast.album.pk)]})
    note = drafts.publish(cast.alice, draft.pk)
    assert (note.type, note.content, note.caption) == ("VIDEO", "One\n\nTwo", "Seen\nThere")
    assert [one.get("photo", one.get("media_md5")) for one in note.attachments] == [file.md5, str(cast.photos[0].pk)]
    assert note.place["name"] == "Rome"
    assert cast.album.items.get().note == note
    assert drafts.publish(cast.alice, draft.pk) == note  # the answer was lost
    assert Note.objects.count() == 1 and Draft.objects.get().trashed_at is not None
    drafts.restore(cast.alice, draft.pk)
    assert drafts.publish(cast.alice, draft.pk) != note and Note.objects.count() == 2


def test_publishing_is_all_or_nothing(cast):
    foreign = albums.create(cast.bob, uuid4(), {"title": "Bob's"})
    members.set_member(cast.bob, foreign.pk, cast.alice, "viewer")
    to = [str(cast.album.pk), str(foreign.pk)]
    draft = drafts.create(cast.alice, uuid4(), {"blocks": [block("text", text="x")], "albums": to})
    assert refusal(drafts.publish, cast.alice, draft.pk).reason == "permission_denied"
    assert not Note.objects.exists() and not AlbumItem.objects.exists()
    assert Draft.objects.get().trashed_at is None
    empty = drafts.create(cast.alice, uuid4(), {"blocks": [block("text", text=" ")]})
    assert "nothing in this draft" in refusal(drafts.publish, cast.alice, empty.pk).detail


@pytest.mark.parametrize(
    "blocks",
    [
        "text",
        [{"id": "1"}],
        [block("poem")],
        [block("text", 1), block("text", 1)],
        [block("text", text="x" * 100_001)],
        [block("text", colour="red")],
        [block("text", number) for number in range(501)],
    ],
)
def test_what_no_draft_can_be(cast, blocks):
    assert refusal(drafts.create, cast.alice, uuid4(), {"blocks": blocks}).reason == "invalid"
    assert not Draft.objects.exists()


def test_media_are_kept_once_each_persons_apart_within_the_quota(cast):
    cast.alice.quota_bytes = sum(photo.size_bytes for photo in cast.photos) + 20
    cast.alice.save()
    first, again = send(cast.alice), send(cast.alice)
    others = send(cast.bob)
    assert first == again and first != others and Media.objects.count() == 2
    for one in (first, others):
        file, _ = media.opened(one)
        with file:
            assert file.read() == b"a picture"
    assert refusal(send, cast.alice, b"twelve bytes").reason == "quota"
    assert Media.objects.filter(owner=cast.alice).count() == 1
    for content, kind, sentence in (
        (b"", "image/jpeg", "empty"),
        (b"<svg/>", "image/svg+xml", "Pictures, videos and sound"),
        (b"x" * (media.LARGEST_BYTES + 1), "image/jpeg", "at most"),
    ):
        assert sentence in refusal(send, cast.bob, content, kind).detail
    with pytest.raises(Refused, match="damaged on its way"):
        send(cast.bob, b"other", md5="0" * 32)


def test_a_file_is_removed_30_days_after_the_last_reference(cast):
    file = send(cast.alice)
    name = media.name_of(cast.alice.pk, file.md5)
    note = notes.create(cast.alice, uuid4(), {"attachments": [attached(file)]})
    draft = drafts.create(cast.alice, uuid4(), {"blocks": [block("image", attachment=attached(file))]})
    later = timezone.now() + timedelta(days=100)
    assert media.remove_unused(later) == 0
    notes.patch(cast.alice, note.pk, {"attachments": []})
    drafts.delete(cast.alice, draft.pk)  # in the trash it still holds it
    assert media.remove_unused(later) == 0
    trash.delete_what_is_due(later)
    assert media.remove_unused(timezone.now() + timedelta(days=29)) == 0
    assert storages["media"].exists(name)
    assert media.remove_unused(timezone.now() + timedelta(days=31)) == 1
    assert not storages["media"].exists(name) and not Media.objects.exists()


def test_what_is_sent_and_never_attached_goes_too(cast):
    send(cast.alice)
    assert media.remove_unused(timezone.now() + timedelta(days=31)) == 1
