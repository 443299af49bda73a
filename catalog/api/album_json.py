"""Albums, items, notes and drafts as the API writes them."""

from typing import Any

from rest_framework import serializers

from catalog.albums.kinds import moment_text
from catalog.models import Album, AlbumItem, Draft, Note, Photo
from catalog.models.photo import UNDATED
from photolala.web.parameters import utc_text
from photolala.web.views import page_body


class SavedSearchBody(serializers.Serializer[Any]):
    """A saved search."""

    q = serializers.CharField(help_text="As `q` of the photo list.")


class AlbumBody(serializers.Serializer[Any]):
    """An album."""

    id = serializers.UUIDField()
    title = serializers.CharField()
    description = serializers.CharField()
    cover = serializers.UUIDField(allow_null=True, help_text="The photo that was chosen; null: the first one.")
    cover_photo = serializers.UUIDField(allow_null=True, help_text="The photo to show for it, if there is one.")
    order = serializers.ChoiceField(Album.Order.choices)
    query = SavedSearchBody(
        allow_null=True,
        help_text="The saved search that the album is: it has no items and no members; `photos/?album=` and the timeline show "
        "what it finds. null: an album of items.",
    )
    allows_originals = serializers.BooleanField(help_text="Members may download the files themselves.")
    owner = serializers.CharField(help_text="The owner's user name.")
    role = serializers.ChoiceField(["owner", "editor", "viewer"], help_text="What one may do there.")
    item_count = serializers.IntegerField(help_text="How many one sees in it.")
    member_count = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    trashed_at = serializers.DateTimeField(allow_null=True)


class AlbumPhotoBody(serializers.Serializer[Any]):
    """What an album's members are told of a photo: nothing of where it is kept."""

    id = serializers.UUIDField()
    media_type = serializers.CharField()
    size_bytes = serializers.IntegerField()
    width = serializers.IntegerField(allow_null=True)
    height = serializers.IntegerField(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True)
    taken_at = serializers.DateTimeField(allow_null=True)
    taken_local = serializers.CharField(allow_null=True, help_text="With the offset only if the file knew it.")
    latitude = serializers.FloatField(allow_null=True)
    longitude = serializers.FloatField(allow_null=True)
    rating = serializers.IntegerField(allow_null=True)
    caption = serializers.CharField()
    placeholder = serializers.CharField(help_text="Its average colour, #rrggbb.")
    thumbnail = serializers.BooleanField()
    version = serializers.CharField()


class AlbumPhotoDetailBody(AlbumPhotoBody):
    """The same of one photo, with the name of the place."""

    place_name = serializers.CharField(
        help_text="The town there, or near there, and its country; empty where none is near, or no position is known."
    )


class PlaceBody(serializers.Serializer[Any]):
    """A place."""

    latitude = serializers.FloatField(allow_null=True)
    longitude = serializers.FloatField(allow_null=True)
    name = serializers.CharField()


class AttachmentBody(serializers.Serializer[Any]):
    """Either a photo, or a file of the media store."""

    photo = serializers.UUIDField(required=False)
    media_md5 = serializers.CharField(required=False)
    media_type = serializers.CharField(required=False)
    size_bytes = serializers.IntegerField(required=False)
    name = serializers.CharField(required=False)


class NoteBody(serializers.Serializer[Any]):
    """A note."""

    id = serializers.UUIDField()
    type = serializers.ChoiceField(Note.Type.choices)
    content = serializers.CharField()
    caption = serializers.CharField()
    attachments = AttachmentBody(many=True)
    noted_at = serializers.CharField(help_text="RFC 3339, with the offset of the clock on the wall.")
    place = PlaceBody(allow_null=True)
    owner = serializers.CharField(help_text="The owner's user name.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    trashed_at = serializers.DateTimeField(allow_null=True)


class BlockBody(serializers.Serializer[Any]):
    """A block of a draft."""

    id = serializers.CharField()
    type = serializers.ChoiceField(["text", "image", "video", "audio", "camera"])
    text = serializers.CharField()
    attachment = AttachmentBody(allow_null=True)
    caption = serializers.CharField()
    place = PlaceBody(allow_null=True)


class DraftBody(serializers.Serializer[Any]):
    """A draft."""

    id = serializers.UUIDField()
    blocks = BlockBody(many=True)
    albums = serializers.ListField(child=serializers.UUIDField())
    published_as = serializers.UUIDField(allow_null=True, help_text="The note that it became.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    trashed_at = serializers.DateTimeField(allow_null=True)


class AlbumItemBody(serializers.Serializer[Any]):
    """A photo or note in an album."""

    id = serializers.UUIDField()
    album = serializers.UUIDField()
    target_type = serializers.ChoiceField(AlbumItem.TargetType.choices)
    target_id = serializers.UUIDField()
    position = serializers.CharField(help_text="A fractional key: compared as bytes.")
    added_at = serializers.DateTimeField()
    added_by = serializers.CharField(allow_null=True, help_text="A user name.")
    trashed_at = serializers.DateTimeField(allow_null=True)
    photo = AlbumPhotoBody(allow_null=True)
    note = NoteBody(allow_null=True)


AlbumPage = page_body("AlbumPage", AlbumBody)
AlbumItemPage = page_body("AlbumItemPage", AlbumItemBody)
NotePage = page_body("NotePage", NoteBody)
DraftPage = page_body("DraftPage", DraftBody)


def album_json(album: Any) -> dict[str, Any]:
    """Return an album of `browsing.album_lists.described`."""
    return {
        "id": str(album.pk),
        "title": album.title,
        "description": album.description,
        "cover": _text(album.cover_id),
        "cover_photo": _text(album.cover_photo),
        "order": album.order,
        "query": album.query,
        "allows_originals": album.allows_originals,
        "owner": album.owner.get_username(),
        "role": album.role,
        "item_count": album.item_count,
        "member_count": album.member_count,
        "created_at": utc_text(album.created_at),
        "updated_at": utc_text(album.updated_at),
        "trashed_at": utc_text(album.trashed_at),
    }


def item_json(item: AlbumItem) -> dict[str, Any]:
    """Return an item whose photo, note and adder were read with it."""
    is_photo = item.target_type == AlbumItem.TargetType.PHOTO
    return {
        "id": str(item.pk),
        "album": str(item.album_id),
        "target_type": item.target_type,
        "target_id": str(item.target_id),
        "position": item.position,
        "added_at": utc_text(item.added_at),
        "added_by": item.added_by.get_username() if item.added_by else None,
        "trashed_at": utc_text(item.trashed_at),
        "photo": album_photo_json(item.photo) if is_photo and item.photo else None,
        "note": note_json(item.note) if not is_photo and item.note else None,
    }


def album_photo_json(photo: Photo) -> dict[str, Any]:
    """Return what members are told of a photo."""
    is_dated = photo.is_dated and photo.taken_local > UNDATED
    return {
        "id": str(photo.pk),
        "media_type": photo.media_type,
        "size_bytes": photo.size_bytes,
        "width": photo.width,
        "height": photo.height,
        "duration_ms": photo.duration_ms,
        "taken_at": utc_text(photo.taken_at) if is_dated else None,
        "taken_local": photo.taken_text if is_dated else None,
        "latitude": photo.latitude,
        "longitude": photo.longitude,
        "rating": photo.rating,
        "caption": photo.caption,
        "placeholder": photo.placeholder,
        "thumbnail": photo.has_thumbnail,
        "version": photo.photo_md5[:8],
    }


def note_json(note: Note) -> dict[str, Any]:
    """Return a note whose owner was read with it."""
    return {
        "id": str(note.pk),
        "type": note.type,
        "content": note.content,
        "caption": note.caption,
        "attachments": note.attachments,
        "noted_at": moment_text(note.noted_at, note.noted_offset_minutes),
        "place": note.place,
        "owner": note.owner.get_username(),
        "created_at": utc_text(note.created_at),
        "updated_at": utc_text(note.updated_at),
        "trashed_at": utc_text(note.trashed_at),
    }


def draft_json(draft: Draft) -> dict[str, Any]:
    """Return a draft."""
    return {
        "id": str(draft.pk),
        "blocks": draft.blocks,
        "albums": draft.albums,
        "published_as": _text(draft.published_as),
        "created_at": utc_text(draft.created_at),
        "updated_at": utc_text(draft.updated_at),
        "trashed_at": utc_text(draft.trashed_at),
    }


def _text(key: Any) -> str | None:
    return str(key) if key else None
