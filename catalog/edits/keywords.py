"""Give photos keywords, and take them away: the one way in which they are changed by people.

The catalog says so at once; the file, or an XMP file beside it, follows as the library's setting for stars wants it.
"""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from django.db import transaction

from accounts.models import User
from catalog.edits import giving
from catalog.models import FileWrite, Photo
from operations.database_conflicts import retried_on_conflict
from photolala.lib.keywords import BadKeyword, tidy_keywords

MOST_AT_ONCE = 10_000
_KEYWORDS: giving.Kind[list[str]] = giving.Kind(
    kind=FileWrite.Kind.KEYWORDS,
    name="keywords",
    held="keywords_held",
    moment="keyworded_at",
    columns=lambda words: {"keywords": words},
    said=lambda photo: list(photo.keywords),
    are_same=lambda one, other: set(one) == set(other),
)


def set_keywords(user: User, photo: Photo | UUID, words: Sequence[str]) -> list[str]:
    """Let the photo, which the caller found changeable for `user`, have these keywords; return them as they are kept.

    None at all takes them away. Raises BadKeyword (nothing is ever cut), and Photo.DoesNotExist if the photo is gone.
    """
    keywords = tidy_keywords(words)
    photo_id = photo.pk if isinstance(photo, Photo) else photo
    if not set_many_keywords(user, {photo_id: keywords}):
        raise Photo.DoesNotExist
    return keywords


@retried_on_conflict
def set_many_keywords(user: User, lists: Mapping[UUID, Sequence[str]]) -> list[UUID]:
    """Let each of these photos, which the caller found changeable for `user`, have its keywords; return which there are.

    One transaction: all or none of them. Raises BadKeyword before anything is changed.
    """
    keywords = {photo_id: tidy_keywords(words) for photo_id, words in lists.items()}
    with transaction.atomic():
        held = giving.hold_by_library(list(keywords))
        for library, photos in held:
            giving.give(_KEYWORDS, library, photos, keywords, user)
    return sorted(photo.pk for _, photos in held for photo in photos)


@retried_on_conflict
def change_keywords(
    user: User, photo_ids: Collection[UUID], add: Sequence[str] = (), remove: Sequence[str] = ()
) -> tuple[list[UUID], dict[UUID, str]]:
    """Give all these photos, which the caller found changeable for `user`, keywords, and take others away.

    Each keeps what else it has, as it is when it is locked. Returns the photos that say so now, and, with a sentence, those
    that would have too many: they are left as they are. One transaction. Raises BadKeyword before anything is changed.
    """
    return _change(user, dict.fromkeys(photo_ids, tidy_keywords(add)), set(tidy_keywords(remove)) | set(remove))


@retried_on_conflict
def add_keywords(user: User, lists: Mapping[UUID, Sequence[str]]) -> tuple[list[UUID], dict[UUID, str]]:
    """Give each of these photos, which the caller found changeable for `user`, its own keywords besides what it has.

    Otherwise as `change_keywords`.
    """
    return _change(user, {photo_id: tidy_keywords(words) for photo_id, words in lists.items()}, set())


def _change(user: User, added: Mapping[UUID, Sequence[str]], removed: set[str]) -> tuple[list[UUID], dict[UUID, str]]:
    done: list[UUID] = []
    refused: dict[UUID, str] = {}
    with transaction.atomic():
        for library, photos in giving.hold_by_library(list(added)):
            wanted: dict[UUID, list[str]] = {}
            for photo in photos:
                words = [word for word in photo.keywords if word not in removed]
                words += [word for word in added[photo.pk] if word not in words and word not in removed]
                if words == photo.keywords:
                    done.append(photo.pk)
                    continue
                try:
                    wanted[photo.pk] = tidy_keywords(words)
                except BadKeyword as error:
                    refused[photo.pk] = str(error)
            changed = [photo for photo in photos if photo.pk in wanted]
            if changed:
                giving.give(_KEYWORDS, library, changed, wanted, user)
            done += wanted
    return done, refused


@retried_on_conflict
def undo_keywords(photo: Photo, user: User) -> list[str]:
    """Take back the last keywords that were written; return those that the photo has then. Raises NothingToUndo.

    A file in which nothing else was written since gets back the very bytes that it had.
    """
    return giving.undo(
        _KEYWORDS,
        photo,
        user,
        [],
        "There are no keywords of this photo that could be taken back: none were written, or the file was changed since.",
    )
