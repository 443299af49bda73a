"""Write captions of photos: the one way in which they are changed by people.

The catalog says so at once; the file, or an XMP file beside it, follows as the library's setting for stars wants it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from catalog.entries import counts
from catalog.entries.listing import is_doubted
from catalog.entries.pending_writes import start_writing
from catalog.entries.sql import Row, update_rows
from catalog.files.queue import NothingToUndo, last_done, retarget, want_in_catalog_only
from catalog.history.given_since import moment_of_a_wish
from catalog.models import FileWrite, Library, Photo
from changes.fields import touched_in
from changes.types import scope_name
from operations.passing import done_again
from photolala.lib.captions import tidy_caption

_OPEN = [state.value for state in FileWrite.OPEN]


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


@done_again
def set_captions(user: User, texts: Mapping[UUID, str]) -> list[UUID]:
    """Give each of these photos, which the caller found changeable for `user`, its caption; return which there are.

    One transaction: all or none of them. Raises BadCaption for a text that is none, before anything is changed.
    """
    captions = {photo_id: tidy_caption(text) for photo_id, text in texts.items()}
    with transaction.atomic():
        rows = Photo.objects.select_for_update(of=("self",)).filter(pk__in=list(captions)).select_related("library")
        photos = list(rows.order_by("pk"))
        by_library: dict[Library, list[Photo]] = defaultdict(list)
        for photo in photos:
            by_library[photo.library].append(photo)
        for library, own in sorted(by_library.items(), key=lambda one: one[0].pk):
            _set(library, own, captions, user)
    return [photo.pk for photo in photos]


def _held(photo_id: UUID) -> Photo:
    return Photo.objects.select_for_update(of=("self",)).select_related("library").get(pk=photo_id)


def _set(
    library: Library, photos: Sequence[Photo], captions: Mapping[UUID, str], user: User, beside: str | None = None
) -> None:
    """Let the photos' files say `captions`; `beside` is what an XMP file, which counts first, is to say if it differs."""
    into_files = library.writes_ratings
    open_writes = {
        write.photo_id: write
        for write in FileWrite.objects.select_for_update()
        .filter(photo__in=photos, kind=FileWrite.Kind.CAPTION, state__in=_OPEN)
        .order_by("pk")
        .defer("undo_delta")
    }
    new: list[FileWrite] = []
    changed: list[Row] = []
    now = moment_of_a_wish(library)
    for photo in photos:
        wanted = {"caption": captions[photo.pk]} | ({} if beside is None else {"sidecar": beside})
        caption, write, is_held = wanted.get("sidecar", wanted["caption"]), open_writes.get(photo.pk), True
        if write is not None:
            (retarget if into_files else want_in_catalog_only)(write, wanted, user)
        elif into_files:
            is_held = not _is_said_by_file(photo) or photo.caption != caption
            if is_held:
                new.append(_intent(library, photo, user, wanted))
        changed.append({"id": photo.pk, "caption": caption, "caption_held": is_held, "captioned_at": now})
    update_rows(Photo, ("caption", "caption_held", "captioned_at"), changed)
    keys = [photo.pk for photo in photos]
    touched_in("photo", scope_name("library", library.pk), keys, ["caption"], user=user.pk)
    counts.bump_revision(library)
    FileWrite.objects.bulk_create(new)
    if into_files:
        transaction.on_commit(lambda: start_writing(library, user))


def _intent(library: Library, photo: Photo, user: User, wanted: dict[str, str]) -> FileWrite:
    return FileWrite(
        library=library,
        photo=photo,
        user=user,
        kind=FileWrite.Kind.CAPTION,
        wanted=wanted,
        previous={"caption": photo.caption} if _is_said_by_file(photo) else {},
        is_sidecar=library.ratings == Library.Ratings.SIDECAR,
        try_at=timezone.now(),
    )


def _is_said_by_file(photo: Photo) -> bool:
    """True if the row's caption is that of the file, which need not be read (again) to know it."""
    return not photo.caption_held and not photo.needs_digest and not is_doubted(photo.sidecars)


@done_again
def undo_caption(photo: Photo, user: User) -> str:
    """Take the last written caption back; return the caption that the photo has then. Raises NothingToUndo.

    A file in which nothing else was written since gets back the very bytes that it had.
    """
    with transaction.atomic():
        held = _held(photo.pk)
        write = last_done(held, FileWrite.Kind.CAPTION)
        if write is None:
            raise NothingToUndo(
                "There is no caption of this photo that could be taken back: none was written, or the file was changed "
                "since."
            )
        caption = str(write.previous.get("caption") or "")
        beside = write.previous.get("sidecar")
        _set(held.library, [held], {held.pk: caption}, user, beside)  # as the file said it, in whatever form
        caption = caption if beside is None else beside
        FileWrite.objects.filter(photo=photo, kind=write.kind, state__in=["pending"]).update(undoes=write)
    return caption
