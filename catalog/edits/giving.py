"""What captions and keywords have in common: the row says at once what a person gave, and an intent brings it into the file."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from catalog.entries import counts
from catalog.entries.folder_comparison import is_doubted
from catalog.entries.pending_writes import start_writing
from catalog.entries.sql import Row, update_rows
from catalog.files.queue import NothingToUndo, last_done, retarget, want_in_catalog_only
from catalog.history.given_since import moment_of_a_wish
from catalog.models import FileWrite, Library, Photo
from changes.fields import touched_in
from changes.types import scope_name

Value = TypeVar("Value")
_OPEN = [state.value for state in FileWrite.OPEN]


@dataclass(frozen=True, slots=True)
class Kind(Generic[Value]):
    """One kind of what people give; `name` is what intents and devices call it."""

    kind: FileWrite.Kind
    name: str
    held: str
    """The column that says that the file has it not (yet)."""
    moment: str
    """The column that says when a person last gave it."""
    columns: Callable[[Value], Row]
    """The columns of a row that say it."""
    said: Callable[[Photo], Value]
    """What a row says."""
    are_same: Callable[[Value, Value], bool]
    """Whether a file that says the one need not be written to say the other."""


def hold_by_library(photo_ids: Sequence[UUID]) -> list[tuple[Library, list[Photo]]]:
    """Lock these photos; return those that there are, by library, in the order of all locks. Call it in a transaction."""
    rows = Photo.objects.select_for_update(of=("self",)).filter(pk__in=photo_ids).select_related("library")
    by_library: dict[Library, list[Photo]] = defaultdict(list)
    for photo in rows.order_by("pk"):
        by_library[photo.library].append(photo)
    return sorted(by_library.items(), key=lambda one: one[0].pk)


def give(
    kind: Kind[Value],
    library: Library,
    photos: Sequence[Photo],
    values: Mapping[UUID, Value],
    user: User,
    beside: Value | None = None,
) -> None:
    """Let the photos, which are held, and their files say `values`; call it in the transaction that holds them.

    `beside` is what an XMP file, which counts first, is to say if it differs.
    """
    into_files = library.writes_ratings
    open_writes = {
        write.photo_id: write
        for write in FileWrite.objects.select_for_update()
        .filter(photo__in=photos, kind=kind.kind, state__in=_OPEN)
        .order_by("pk")
        .defer("undo_delta")
    }
    new: list[FileWrite] = []
    changed: list[Row] = []
    now = moment_of_a_wish(library)
    for photo in photos:
        wanted = {kind.name: values[photo.pk]} | ({} if beside is None else {"sidecar": beside})
        value, write, is_held = wanted.get("sidecar", wanted[kind.name]), open_writes.get(photo.pk), True
        if write is not None:
            (retarget if into_files else want_in_catalog_only)(write, wanted, user)
        elif into_files:
            is_held = not _is_said_by_file(kind, photo) or not kind.are_same(kind.said(photo), value)
            if is_held:
                new.append(_intent(kind, photo, user, wanted))
        changed.append({"id": photo.pk, **kind.columns(value), kind.held: is_held, kind.moment: now})
    update_rows(Photo, [name for name in changed[0] if name != "id"], changed)
    keys = [photo.pk for photo in photos]
    touched_in("photo", scope_name("library", library.pk), keys, [kind.name], user=user.pk)
    counts.bump_revision(library)
    FileWrite.objects.bulk_create(new)
    if into_files:
        transaction.on_commit(lambda: start_writing(library, user))


def _intent(kind: Kind[Value], photo: Photo, user: User, wanted: dict[str, Any]) -> FileWrite:
    return FileWrite(
        library=photo.library,
        photo=photo,
        user=user,
        kind=kind.kind,
        wanted=wanted,
        previous=_previous(kind, photo),
        is_sidecar=photo.library.ratings == Library.Ratings.SIDECAR,
        try_at=timezone.now(),
    )


def _previous(kind: Kind[Value], photo: Photo) -> dict[str, Any]:
    """Return what the file says, or, where it is still to be read, which keywords the person saw: others stay in it."""
    if _is_said_by_file(kind, photo):
        return {kind.name: kind.said(photo)}
    is_unread = kind.kind == FileWrite.Kind.KEYWORDS and not getattr(photo, kind.held)
    return {"seen": kind.said(photo)} if is_unread else {}


def _is_said_by_file(kind: Kind[Value], photo: Photo) -> bool:
    """True if what the row says is what the file says, which need not be read (again) to know it."""
    return not getattr(photo, kind.held) and not photo.needs_digest and not is_doubted(photo.sidecars)


def undo(kind: Kind[Value], photo: Photo, user: User, nothing: Value, refusal: str) -> Value:
    """Take back the last that was written; return what the photo says then, `nothing` if it had none.

    A file in which nothing else was written since gets back the very bytes that it had. Raises NothingToUndo, with `refusal`.
    """
    with transaction.atomic():
        held = Photo.objects.select_for_update(of=("self",)).select_related("library").get(pk=photo.pk)
        write = last_done(held, kind.kind)
        if write is None:
            raise NothingToUndo(refusal)
        value: Value = write.previous.get(kind.name) or nothing
        beside: Value | None = write.previous.get("sidecar")
        give(kind, held.library, [held], {held.pk: value}, user, beside)  # as the file said it, in whatever form
        FileWrite.objects.filter(photo=photo, kind=write.kind, state__in=["pending"]).update(undoes=write)
    return value if beside is None else beside
