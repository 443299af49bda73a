"""Delete photos into their library's trash, bring them back, and delete them for good.

A photo in the trash is a missing one whose file lies in `.photolala.trash/ID/` of the library's root: everything that hangs
on it waits, and if the same content comes back by another way, it is that photo again. What is about to be done to a file
is in its row before, so that `settle` can finish it after a crash.
"""

import errno
import os
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from catalog.media.kinds import Folder
from catalog.sources.base import SourceUnavailable
from catalog.sources.placing import content_of, move_between, numbered, open_folder, sync_folder
from operations import clock
from operations.models import Operation
from operations.running import AlreadyActive, OperationFailed, Run, operation_kind, start
from photolala.lib.files import fsync_directory, remove_if_there
from photolala.lib.paths import escape_path, unescape_path

from . import publishing
from .libraries import want_scan
from .models import Library, Photo, TrashItem
from .purging import CountDiffers, forget_photos
from .ratings import changeable
from .source_for import source_for

KIND = "empty_trash"
FOLDER = ".photolala.trash"
MOST_AT_ONCE = 1_000
BATCH = 100
SETTLE_AFTER = timedelta(minutes=2)
"""What stands half-way for so long belongs to nobody any more."""
MOST_NUMBERS = 10_000
State = TrashItem.State


class TrashRefused(Exception):
    """Nothing was deleted or restored; the text is a sentence."""


@dataclass
class Done:
    """How many photos it was done to, and why not to the others."""

    count: int = 0
    errors: list[dict[str, str]] = field(default_factory=list)
    items: list[dict[str, str]] = field(default_factory=list)
    """Of what went into the trash: `library` and `id` there, to take it back."""

    def refuse(self, key: Any, sentence: str) -> None:
        """Note why it was not done to one."""
        self.errors.append({"id": str(key), "error": sentence})


def trash_photos(user: Any, photo_ids: Sequence[UUID]) -> Done:
    """Move the files of these photos into their libraries' trash, with the sidecars that are theirs alone.

    Photos that `user` may not change, that are missing, or whose files cannot be moved are told one by one; nothing
    happens to them. At most 1,000.
    """
    done = Done()
    photos = Photo.objects.filter(changeable(user), pk__in=list(photo_ids)).select_related("library").order_by("pk")
    by_library: dict[UUID, list[Photo]] = {}
    for photo in photos:
        by_library.setdefault(photo.library_id, []).append(photo)
    found = {photo.pk for own in by_library.values() for photo in own}
    for key in dict.fromkeys(photo_ids):
        if key not in found:
            done.refuse(key, "There is no such photo that you may change.")
    for own in by_library.values():
        try:
            root = _writable_root(own[0].library)
        except TrashRefused as refused:
            for photo in own:
                done.refuse(photo.pk, str(refused))
            continue
        for start_at in range(0, len(own), BATCH):
            _trash(own[0].library, root, user, own[start_at : start_at + BATCH], done)
        publishing.refresh_counts(own[0].library)
    return done


def restore_items(user: Any, library: Library, item_ids: Sequence[UUID]) -> Done:
    """Put photos back to where they lay; where another file lies by now, under a name with a number.

    Raises TrashRefused if the library's folder cannot be written to. The caller found that `user` may change it.
    """
    done = Done()
    root = _writable_root(library)
    settle(library)
    for item in TrashItem.objects.filter(library=library, pk__in=list(item_ids), state=State.TRASHED).order_by("pk"):
        if not TrashItem.objects.filter(pk=item.pk, state=State.TRASHED).update(state=State.RESTORING):
            continue
        try:
            name = _put_back(root, item)
            _restored(library, item, name)
        except OSError as error:
            name = ""
            with suppress(OSError, TrashRefused):  # nobody can tell now: `settle` does it when the disk is well again
                _require_root(library)
                name = _settle_restoring(library, root, item)
            if not name:
                done.refuse(item.pk, _sentence(error, item.path))
                continue
        done.count += 1
    if done.count:
        publishing.refresh_counts(library)
        want_scan(library, user)
    return done


def start_emptying(library: Library, user: Any, count: int, *, ring: bool = True) -> Operation:
    """Start deleting the `count` files in the library's trash for good.

    Raises CountDiffers if that is not how many there are, AlreadyActive if it is being done.
    """
    there = TrashItem.objects.filter(library=library, state=State.TRASHED).count()
    if there != count:
        raise CountDiffers(there, "in the trash")
    return _start(library, user, timezone.now(), ring=ring)


def empty_what_is_due(now: datetime | None = None) -> int:
    """Start emptying, in its owner's name, each library's trash of what lies there longer than the library says.

    Also settles what crashes left half-way. Returns how many were started. For the schedule. The days are those of being
    there, and while the clock is suspect nothing is emptied; give `now` where the time is known.
    """
    for library in Library.objects.filter(trash__state__in=[State.MOVING, State.RESTORING]).distinct():
        settle(library, before=(now or timezone.now()) - SETTLE_AFTER)
    started = 0
    if now is None and clock.is_suspect():
        return started
    for library in Library.objects.filter(trash_days__gt=0).select_related("owner"):
        before = clock.time_ago(timedelta(days=library.trash_days), now)
        old = TrashItem.objects.filter(
            library=library, state__in=[State.TRASHED, State.DELETING], trashed_at__lte=before
        )
        if old.exists():
            with suppress(AlreadyActive):
                _start(library, library.owner, before)
                started += 1
    return started


def settle(library: Library, before: datetime | None = None) -> None:
    """Finish, or take back, what was under way when its process died: by where the files lie."""
    items = TrashItem.objects.filter(library=library, state__in=[State.MOVING, State.RESTORING])
    items = items.filter(trashed_at__lte=before or timezone.now() - SETTLE_AFTER)
    if not items.exists():
        return
    try:
        root = _writable_root(library)
    except TrashRefused:
        return
    for item in items.select_related("photo"):
        with suppress(OSError):  # nobody can tell now
            if item.state == State.RESTORING:
                _settle_restoring(library, root, item)
            elif _lies(root, f"{FOLDER}/{item.pk}", item.filename):
                _move_sidecars(root, item, {})
                sync_folder(root, f"{FOLDER}/{item.pk}")
                _trashed(library, [item])
            else:
                TrashItem.objects.filter(pk=item.pk, state=State.MOVING).delete()  # it was never moved
    publishing.refresh_counts(library)


def _settle_restoring(library: Library, root: bytes, item: TrashItem) -> str:
    """Write down where a photo lies whose way back broke off, and finish it; return its name if it is back, else "".

    Raises OSError if that cannot be told; then nothing was changed.
    """
    if _lies(root, f"{FOLDER}/{item.pk}", item.filename):
        TrashItem.objects.filter(pk=item.pk, state=State.RESTORING).update(state=State.TRASHED)
        return ""
    name = _name_of_restored(root, item)
    _sidecars_back(root, item)
    _restored(library, item, name)
    want_scan(library, library.owner)
    return name


@operation_kind(KIND, label="Emptying of the trash", queue="files")
def run_emptying(run: Run) -> dict[str, Any]:
    """Delete what was in the trash when it was asked for. Safe to run again."""
    library = Library.objects.filter(pk=run.params["library"]).first()
    if library is None:
        raise OperationFailed("The library was forgotten meanwhile; its trash stays in its folder.", "library_gone")
    try:
        root = _writable_root(library)
    except TrashRefused as refused:
        raise OperationFailed(str(refused), "root_unavailable") from None
    before = datetime.fromisoformat(run.params["before"])
    items = TrashItem.objects.filter(
        library=library, state__in=[State.TRASHED, State.DELETING], trashed_at__lte=before
    ).order_by("pk")
    deleted, freed = (int(run.operation.checkpoint.get(name, 0)) for name in ("deleted", "freed"))
    run.phase("Deleting what is in the trash", deleted + items.count(), unit="photos")
    run.advance(deleted)
    while batch := list(items[:BATCH]):
        with transaction.atomic():
            items.filter(pk__in=[item.pk for item in batch]).update(state=State.DELETING)
            run.checkpoint(stop=False)
        for item in batch:
            freed += _delete_files(root, item)
        with transaction.atomic():
            keys = [item.photo_id for item in batch if item.photo_id]
            gone = list(Photo.objects.select_for_update().filter(pk__in=keys, state=Photo.State.MISSING))
            TrashItem.objects.filter(pk__in=[item.pk for item in batch]).delete()
            forget_photos(library, gone)
            deleted += len(batch)
            run.advance(len(batch))
            run.checkpoint(stop=False, deleted=deleted, freed=freed)
        run.raise_if_stopped()
    publishing.refresh_counts(library)
    return {"library": str(library.pk), "deleted": deleted, "freed_bytes": freed}


def _start(library: Library, user: Any, before: datetime, *, ring: bool = True) -> Operation:
    params = {"library": str(library.pk), "before": before.isoformat()}
    return start(KIND, user, subject=library.name, active_key=f"trash:{library.pk}", params=params, ring=ring)


def _writable_root(library: Library) -> bytes:
    """Return the library's folder if it is the right one and can be written to. Raises TrashRefused."""
    if library.source != "local":
        raise TrashRefused(
            "Only files in folders of this server can be deleted here, none in buckets or on phones. Nothing was "
            "changed."
        )
    _require_root(library)
    with closing(source_for(library)) as source:
        if not source.root_is_writable():
            raise TrashRefused(
                "The library's folder is read-only, so nothing in it can be deleted or restored. Nothing was changed."
            )
    return os.path.realpath(unescape_path(library.root))


def _require_root(library: Library) -> None:
    """Raise TrashRefused if the library's folder is away, empty or another one."""
    with closing(source_for(library)) as source:
        try:
            publishing.require_root(library, source)
        except SourceUnavailable as error:
            raise TrashRefused(f"{error}") from None


def _trash(library: Library, root: bytes, user: Any, photos: list[Photo], done: Done) -> None:
    """Write down what is about to be done to a batch, move the files, and write what was done."""
    now = timezone.now()
    items: list[TrashItem] = []
    for photo in photos:
        if photo.state == Photo.State.MISSING:
            done.refuse(photo.pk, "Its file is not there.")
            continue
        items.append(
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
            )
        )
    with transaction.atomic():
        # A photo that came back by another way while an older copy of it lies in the trash: that one stays, unnamed.
        TrashItem.objects.filter(photo__in=[item.photo_id for item in items], state=State.TRASHED).update(photo=None)
        TrashItem.objects.bulk_create(items, ignore_conflicts=True)
    mine = set(TrashItem.objects.filter(pk__in=[item.pk for item in items]).values_list("pk", flat=True))
    moved: list[TrashItem] = []
    folders: dict[str, Folder] = {}
    for item in items:
        if item.pk not in mine:
            done.refuse(item.photo_id, "It is being deleted or restored just now.")
            continue
        try:
            _move_in(root, item, folders)
        except (OSError, ValueError) as error:
            TrashItem.objects.filter(pk=item.pk).delete()
            done.refuse(item.photo_id, _sentence(error, item.path))
            continue
        moved.append(item)
    for directory in [f"{FOLDER}/{item.pk}" for item in moved] + [FOLDER, *{item.directory for item in moved}]:
        sync_folder(root, directory)
    _trashed(library, moved)
    done.count += len(moved)
    done.items += [{"library": str(library.pk), "id": str(item.pk)} for item in moved]


def _move_in(root: bytes, item: TrashItem, folders: dict[str, Folder]) -> None:
    """Move a photo's file into the trash, then its sidecars. Raises OSError; then nothing was moved."""
    name = unescape_path(item.filename)
    folder = open_folder(root, item.directory)
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
        if item.directory not in folders:
            folders[item.directory] = Folder(escape_path(os.fsencode(entry)) for entry in os.listdir(folder))
        bin_folder = open_folder(root, f"{FOLDER}/{item.pk}", create=True, mode=0o700, is_lasting=False)
        try:
            move_between(folder, name, bin_folder, name, is_lasting=False)
        except OSError:
            _remove_folder(root, item)
            raise
        finally:
            os.close(bin_folder)
    finally:
        os.close(folder)
    _move_sidecars(root, item, folders)


def _move_sidecars(root: bytes, item: TrashItem, folders: dict[str, Folder]) -> None:
    """Let what speaks about this photo alone go along; what cannot be moved stays where it is."""
    with suppress(OSError):
        folder = open_folder(root, item.directory)
        try:
            known = folders.get(item.directory)
            if known is None:
                known = Folder([*(escape_path(os.fsencode(name)) for name in os.listdir(folder)), item.filename])
            own = known.take(item.filename)
            bin_folder = open_folder(root, f"{FOLDER}/{item.pk}")
            try:
                for name in sorted(set(own.values())):
                    with suppress(OSError):
                        move_between(folder, unescape_path(name), bin_folder, unescape_path(name), is_lasting=False)
                        item.sidecars.append(name)
            finally:
                os.close(bin_folder)
        finally:
            os.close(folder)
    TrashItem.objects.filter(pk=item.pk).update(sidecars=item.sidecars)


def _trashed(library: Library, items: Iterable[TrashItem]) -> None:
    now = timezone.now()
    with transaction.atomic():
        for item in items:
            if TrashItem.objects.filter(pk=item.pk, state=State.MOVING).update(state=State.TRASHED) and item.photo_id:
                there = Photo.objects.filter(pk=item.photo_id, directory=item.directory, filename=item.filename)
                there.update(
                    state=Photo.State.MISSING,
                    is_shown=False,
                    needs_digest=False,
                    missing_since=now,
                    claim_token=F("claim_token") + 1,  # whoever reads it just now writes nothing
                )
        publishing.note_change(library)


def _put_back(root: bytes, item: TrashItem) -> str:
    """Move file and sidecars back; return the file's name there. Raises OSError; then it still lies in the trash."""
    folder = open_folder(root, item.directory, create=True)
    try:
        bin_folder = open_folder(root, f"{FOLDER}/{item.pk}")
        try:
            for number in range(1, MOST_NUMBERS):
                name = item.filename if number == 1 else numbered(item.filename, number)
                try:
                    move_between(bin_folder, unescape_path(item.filename), folder, unescape_path(name))
                    break
                except FileExistsError:
                    continue
        finally:
            os.close(bin_folder)
    finally:
        os.close(folder)
    _sidecars_back(root, item)
    return name


def _sidecars_back(root: bytes, item: TrashItem) -> None:
    """Move back what went along and is still in the trash, and remove its folder there. Safe to do again."""
    with suppress(OSError):
        folder = open_folder(root, item.directory)
        try:
            bin_folder = open_folder(root, f"{FOLDER}/{item.pk}")
            try:
                for sidecar in item.sidecars:
                    with suppress(OSError):  # one of that name is there: this one stays in the trash's folder
                        move_between(bin_folder, unescape_path(sidecar), folder, unescape_path(sidecar))
            finally:
                os.close(bin_folder)
        finally:
            os.close(folder)
    _remove_folder(root, item)


def _name_of_restored(root: bytes, item: TrashItem) -> str:
    """Return the name under which a file lies that came back while nobody was left to write that down; "" if none is it.

    Raises OSError if that cannot be told.
    """
    try:
        folder = open_folder(root, item.directory)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    try:
        for number in range(1, MOST_NUMBERS):
            name = item.filename if number == 1 else numbered(item.filename, number)
            facts = os.stat(unescape_path(name), dir_fd=folder, follow_symlinks=False)
            if (facts.st_size, facts.st_mtime_ns) == (item.size_bytes, item.mtime_ns):
                found = content_of(folder, unescape_path(name)) if item.photo_md5 else None
                if found is None or found[1] == item.photo_md5:
                    return name
    except FileNotFoundError:
        pass  # the first number that is free: it went to none of those before
    finally:
        os.close(folder)
    return ""


def _restored(library: Library, item: TrashItem, name: str) -> None:
    """Let the photo's row be what it was, if it still waits for its file and `name` says where; else the scan sees to it."""
    with transaction.atomic():
        mine = Photo.objects.filter(trash_item=item)
        waits = mine.filter(state=Photo.State.MISSING, directory=item.directory)
        taken = Photo.objects.filter(library=library, directory=item.directory, filename=name).exclude(
            pk__in=mine.values("pk")
        )
        if name and not taken.exists():
            waits.update(
                filename=name,
                state=item.photo_state,
                is_shown=item.was_shown,
                missing_since=None,
                needs_digest=item.photo_state == Photo.State.SURVEYED,
            )
        TrashItem.objects.filter(pk=item.pk).delete()
        publishing.note_change(library)


def _delete_files(root: bytes, item: TrashItem) -> int:
    """Delete what lies in the item's folder of the trash; return the bytes that were freed. Raises OSError."""
    try:
        folder = open_folder(root, f"{FOLDER}/{item.pk}")
    except FileNotFoundError:
        return 0
    freed = 0
    try:
        for name in os.listdir(folder):
            facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
            freed += facts.st_size if facts.st_nlink == 1 else 0
            remove_if_there(f"/proc/self/fd/{folder}/".encode() + os.fsencode(name))
        fsync_directory(f"/proc/self/fd/{folder}")
    finally:
        os.close(folder)
    _remove_folder(root, item)
    return freed


def _remove_folder(root: bytes, item: TrashItem) -> None:
    with suppress(OSError):  # what somebody put there stays
        bins = open_folder(root, FOLDER)
        try:
            os.rmdir(str(item.pk), dir_fd=bins)
        finally:
            os.close(bins)


def _lies(root: bytes, directory: str, filename: str) -> bool:
    """Return whether a file lies there. Raises OSError if that cannot be told: "not found" is the only no."""
    try:
        folder = open_folder(root, directory)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        os.stat(unescape_path(filename), dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    finally:
        os.close(folder)
    return True


def _sentence(error: Exception, path: str) -> str:
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.ENOENT:
        return f"The file {path} is not there any more."
    if code == errno.EXDEV:
        return f"The file {path} lies on another disk than the library's folder, so it cannot go into its trash."
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"Photolala's user may not move the file {path}."
    return f"The file {path} could not be moved ({getattr(error, 'strerror', None) or error})."
