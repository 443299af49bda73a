"""Write captions of photos: the one way in which they are changed by people.

The catalog says so at once; the file, or an XMP file beside it, follows as the library's setting for stars wants it.
"""

import operator
from collections.abc import Mapping
from uuid import UUID

from django.db import transaction

from accounts.models import User
from catalog.edits import giving
from catalog.models import FileWrite, Photo
from operations.database_conflicts import retried_on_conflict
from photolala.lib.captions import tidy_caption

_CAPTION: giving.Kind[str] = giving.Kind(
    kind=FileWrite.Kind.CAPTION,
    name="caption",
    held="caption_held",
    moment="captioned_at",
    columns=lambda text: {"caption": text},
    said=lambda photo: photo.caption,
    are_same=operator.eq,
)


def set_caption(user: User, photo: Photo | UUID, text: str) -> str:
    """Give the photo, which the caller found changeable for `user`, the caption `text`; return it as it is kept.

    The empty text takes the caption away. Raises BadCaption, also for one that is too long (nothing is ever cut), and
    Photo.DoesNotExist if the photo is gone.
    """
    caption = tidy_caption(text)
    photo_id = photo.pk if isinstance(photo, Photo) else photo
    if not set_captions(user, {photo_id: caption}):
        raise Photo.DoesNotExist
    return caption


@retried_on_conflict
def set_captions(user: User, texts: Mapping[UUID, str]) -> list[UUID]:
    """Give each of these photos, which the caller found changeable for `user`, its caption; return which there are.

    One transaction: all or none of them. Raises BadCaption for a text that is none, before anything is changed.
    """
    captions = {photo_id: tidy_caption(text) for photo_id, text in texts.items()}
    with transaction.atomic():
        held = giving.hold_by_library(list(captions))
        for library, photos in held:
            giving.give(_CAPTION, library, photos, captions, user)
    return sorted(photo.pk for _, photos in held for photo in photos)


@retried_on_conflict
def undo_caption(photo: Photo, user: User) -> str:
    """Take the last written caption back; return the caption that the photo has then. Raises NothingToUndo.

    A file in which nothing else was written since gets back the very bytes that it had.
    """
    return giving.undo(
        _CAPTION,
        photo,
        user,
        "",
        "There is no caption of this photo that could be taken back: none was written, or the file was changed since.",
    )
