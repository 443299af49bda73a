"""The rows of a library's trash: what is about to be done, and what was done."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User
from catalog.entries import counts
from catalog.entries.path_owners import leave_places
from catalog.entries.row_locks import hold_rows_of
from catalog.files.trash_leases import Mover
from catalog.models import HashCache, Library, Photo, TrashItem
from catalog.roots import root_check
from catalog.roots.reach import hold_root, source_for
from catalog.sources.base import SourceUnavailable
from catalog.sources.held_root import HeldRoot
from operations.database_conflicts import retried_on_conflict
from photolala.lib.paths import join_path

State = TrashItem.State


class TrashRefused(Exception):
    """Nothing was deleted or restored; the text is a sentence."""


class RootReadOnly(TrashRefused):
    """The library's folder cannot be written to."""


@contextmanager
def writable_root(library: Library, *, may_be_empty: bool = False) -> Iterator[HeldRoot]:
    """Hold the library's folder open for a `with` block, if it is the right one and can be written to.

    Raises TrashRefused.
    """
    if library.source != "local":
        raise TrashRefused(
            "Only files in folders of this server can be deleted here, none in buckets or on phones. Nothing was "
            "changed."
        )
    try:
        with closing(source_for(library)) as source:
            root_check.require_root(library, source, may_be_empty=may_be_empty)
        held = hold_root(library)
    except SourceUnavailable as error:
        raise TrashRefused(f"{error}") from None
    with held, closing(source_for(library, held)) as source:
        if not source.root_is_writable():
            raise RootReadOnly(
                "The library's folder is read-only, so nothing in it can be deleted or restored. Nothing was changed."
            )
        yield held


@retried_on_conflict
def begin(
    library: Library, user: User, keys: Sequence[UUID], mover: Mover, targets: dict[UUID, str] | None = None
) -> tuple[list[TrashItem], set[UUID]]:
    """Write down that these photos are about to go into the trash, or through it into the folders that `targets` names.

    Returns the items, without those that another mover has just now, and the photos that are missing by now.
    """
    now = timezone.now()
    with transaction.atomic():
        photos = list(Photo.objects.select_for_update().filter(library=library, pk__in=keys).order_by("pk"))
        present = [photo for photo in photos if photo.state != Photo.State.MISSING]
        items = [
            TrashItem(
                library=library,
                photo=photo,
                user=user,
                photo_state=photo.state,
                was_shown=photo.is_shown,
                directory=photo.directory,
                filename=photo.filename,
                size_bytes=photo.size_bytes,
                mtime_ns=photo.mtime_ns,
                photo_md5=photo.photo_md5,
                trashed_at=now,
                state=State.MOVING if targets is None else State.FILING,
                target="" if targets is None else targets[photo.pk],
                **mover.marks,
            )
            for photo in present
        ]
        # A photo that came back by another way while an older copy of it lies in the trash: that one stays, unnamed.
        older = TrashItem.objects.filter(photo__in=[photo.pk for photo in present], state=State.TRASHED)
        held = older.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True)
        older.filter(pk__in=list(held)).update(photo=None)
        TrashItem.objects.bulk_create(items, ignore_conflicts=True)
        mine = set(TrashItem.objects.filter(pk__in=[item.pk for item in items]).values_list("pk", flat=True))
    return [item for item in items if item.pk in mine], set(keys) - {photo.pk for photo in present}


def take_back(item: TrashItem, mover: Mover) -> None:
    """Forget an item whose file was never moved."""
    TrashItem.objects.filter(pk=item.pk, state__in=[State.MOVING, State.FILING], mover=mover.name).delete()


def want_back(items: Iterable[TrashItem], mover: Mover) -> None:
    """Let `settle` put back what was moved of these items: whoever wanted it was told that it was not done."""
    for item in items:
        mine = TrashItem.objects.filter(pk=item.pk, state=State.MOVING, mover=mover.name)
        mine.update(state=State.FILING, target=item.directory, restored_as="")


@retried_on_conflict
def write_trashed(library: Library, items: Sequence[TrashItem], mover: Mover) -> list[TrashItem]:
    """Write down that the files of these items lie in the trash now; return the items, those that others took over left out."""
    now = timezone.now()
    done = []
    with transaction.atomic():
        _hold_photos_of(library, items)
        for item in items:
            mine = TrashItem.objects.filter(pk=item.pk, state=State.MOVING, mover=mover.name)
            if not mine.update(state=State.TRASHED, mover="", mover_seen_at=None):
                continue
            done.append(item)
            if item.photo_id is None:
                continue
            there = Photo.objects.filter(pk=item.photo_id, directory=item.directory, filename=item.filename)
            there.mark_missing(now)
        counts.bump_revision(library)
        counts.refresh_counts(library)  # with the rows, so that no kill in between leaves old ones
    return done


def begin_restoring(item: TrashItem, mover: Mover) -> bool:
    """Write down that an item's photo is about to come back; False if it does not lie in the trash any more."""
    if not TrashItem.objects.filter(pk=item.pk, state=State.TRASHED).update(state=State.RESTORING, **mover.marks):
        return False
    item.state, item.mover = State.RESTORING, mover.name
    return True


def write_kept(item: TrashItem, mover: Mover) -> None:
    """Write down that an item's photo lies in the trash still."""
    mine = TrashItem.objects.filter(pk=item.pk, state=State.RESTORING, mover=mover.name)
    mine.update(state=State.TRASHED, mover="", mover_seen_at=None, restored_as="")


@retried_on_conflict
def write_restored(library: Library, restored: Sequence[tuple[TrashItem, str]], mover: Mover) -> list[TrashItem]:
    """Let photos' rows be what they were, where they still wait for their files and the names say where; else a scan does.

    Returns the items, those that others took over left out.
    """
    done = []
    with transaction.atomic():
        items = [item for item, _ in restored]
        _hold_photos_of(library, items, [(item.directory, name) for item, name in restored])
        for item, name in restored:
            if not TrashItem.objects.filter(pk=item.pk, mover=mover.name).update(mover_seen_at=timezone.now()):
                continue
            done.append(item)
            waits = Photo.objects.filter(trash_item=item, state=Photo.State.MISSING)
            _write_place(library, waits, item, item.directory, name)
            TrashItem.objects.filter(pk=item.pk).delete()
        counts.bump_revision(library)
        counts.refresh_counts(library)
    return done


@retried_on_conflict
def write_filed(library: Library, item: TrashItem, directory: str, name: str, mover: Mover) -> None:
    """Let the photo's row say that its file lies in another folder now. Raises MoverLost; then nothing was written."""
    with transaction.atomic():
        _hold_photos_of(library, [item], [(directory, name)])
        mover.require(item)
        photo = Photo.objects.filter(trash_item=item)
        # A scan that found it elsewhere meanwhile is believed.
        waits = photo.filter(state=Photo.State.MISSING) | photo.filter(directory=item.directory, filename=item.filename)
        if _write_place(library, waits, item, directory, name):
            cached = HashCache.objects.filter(library=library)
            path = join_path(directory, name)
            if path != item.path:
                cached.filter(path=path).delete()
                cached.filter(path=item.path).update(path=path)
        TrashItem.objects.filter(pk=item.pk).delete()
        counts.bump_revision(library)


def _hold_photos_of(library: Library, items: Sequence[TrashItem], places: Sequence[tuple[str, str]] = ()) -> None:
    """Lock the photos of items before the items, as `begin` does, and those whose names are at places that others get."""
    here = Photo.objects.filter(library=library)
    at_places = [here.filter(directory=directory, filename=name) for directory, name in places]
    hold_rows_of([here.filter(trash_item__in=[item.pk for item in items]), *at_places])


def _write_place(library: Library, photo: QuerySet[Photo], item: TrashItem, directory: str, name: str) -> bool:
    """Let a photo be at a place again, what it was before; False if it is not there, or a scan was quicker."""
    row = photo.first() if name else None
    if row is None:
        return False
    taken = Photo.objects.filter(library=library, directory=directory, filename=name).exclude(pk=row.pk)
    leave_places(taken.filter(state=Photo.State.MISSING).values_list("pk", flat=True))
    if taken.exists():
        return False
    place: dict[str, Any] = {"directory": directory, "filename": name}
    if row.state == Photo.State.MISSING:
        # A scan may have surveyed the file while it was being deleted: then its content is to be read again.
        is_read = bool(row.photo_md5) or item.photo_state != Photo.State.READY
        state = item.photo_state if is_read else Photo.State.SURVEYED
        place |= {
            "state": state,
            "is_shown": item.was_shown,
            "missing_since": None,
            "needs_digest": state == Photo.State.SURVEYED,
        }
    return bool(Photo.objects.filter(pk=row.pk).update(**place))
