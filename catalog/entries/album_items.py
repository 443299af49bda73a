"""What albums and notes hold of a photo, when its row becomes another's or goes for good."""

from collections.abc import Collection
from uuid import UUID

from catalog.models import Album, AlbumItem, Attachment, Draft, Note
from catalog.models.album import album_item_id
from catalog.models.photo import PhotoQuerySet
from changes import shown

PHOTO = AlbumItem.TargetType.PHOTO


def held_by_people(photo_ids: Collection[UUID]) -> set[UUID]:
    """Return those of the photos that are in an album, or attached to a note or draft. Two queries."""
    items = AlbumItem.objects.filter(photo__in=photo_ids).order_by()
    attached = Attachment.objects.filter(photo__in=photo_ids).order_by()
    return {*items.values_list("photo", flat=True), *attached.values_list("photo", flat=True)}


def lead_items(new: UUID, old: UUID) -> None:
    """Let albums and notes that hold the photo `new` hold `old` instead: they are the same. Call it in a transaction.

    An album that has both keeps the item of `old`, in the album if either was.
    """
    items = list(AlbumItem.objects.filter(photo=new))
    ids = {item.pk: album_item_id(item.album_id, PHOTO, old) for item in items}
    there = AlbumItem.objects.in_bulk(list(ids.values()))
    AlbumItem.objects.filter(pk__in=list(ids)).delete()
    made = []
    for item in items:
        kept = there.get(ids[item.pk])
        if kept is None:
            item.pk, item.photo_id = ids[item.pk], old
            made.append(item)
        elif kept.trashed_at is not None and item.trashed_at is None:
            AlbumItem.objects.filter(pk=kept.pk).update(
                trashed_at=None, position=item.position, added_at=item.added_at, added_by=item.added_by_id
            )
    AlbumItem.objects.bulk_create(made)
    Album.objects.filter(cover=new).update(cover=old)
    _lead_attachments(new, old)
    shown.lead(PHOTO, new, old)  # both are of one library: who may share the one, may share the other


def forget_items(photo_ids: Collection[UUID] | PhotoQuerySet) -> None:
    """Take photos that are deleted for good out of all albums. Call it in the transaction that deletes them.

    Notes keep the names of what was attached: a photo that comes back from a backup is there again.
    """
    Album.objects.filter(cover__in=photo_ids).update(cover=None)
    AlbumItem.objects.filter(photo__in=photo_ids).delete()
    shown.hide_those(PHOTO, photo_ids)


def _lead_attachments(new: UUID, old: UUID) -> None:
    held = Attachment.objects.filter(photo=new)
    for note in Note.objects.filter(held__in=held):
        Note.objects.filter(pk=note.pk).update(attachments=[_led(one, new, old) for one in note.attachments])
    for draft in Draft.objects.filter(held__in=held):
        blocks = [{**block, "attachment": _led(block.get("attachment"), new, old)} for block in draft.blocks]
        Draft.objects.filter(pk=draft.pk).update(blocks=blocks)
    held.update(photo=old)


def _led(attachment: object, new: UUID, old: UUID) -> object:
    return {"photo": str(old)} if attachment == {"photo": str(new)} else attachment
