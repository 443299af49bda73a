"""Say where a library's folder is now: after a remount, a new disk, a renamed share. Photos, stars and history stay."""

import logging
import os
import shutil
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from uuid import UUID

from django.db import IntegrityError, transaction

from accounts.models import User
from catalog.cache.working import working_folder
from catalog.entries.pending_writes import write_key
from catalog.history.copies import root_md5
from catalog.models import Library, Photo
from catalog.roots.folders import LibraryRefused, checked_folder, refuse_overlap
from catalog.roots.snapshot_locations import cache_location
from catalog.roots.taken_folders import lock_taken_folders
from catalog.scanning.requests import request_scan
from catalog.snapshots.choose import choose_snapshot
from catalog.snapshots.location import FolderLocation
from catalog.snapshots.pointer import POINTER_NAME, format_pointer
from catalog.snapshots.publish import read_pointer
from catalog.snapshots.schema import snapshot_name
from catalog.sources.local import LocalSource
from operations.models import ACTIVE, Operation
from photolala.lib.paths import escape_path, join_path

logger = logging.getLogger(__name__)
SAMPLE = 200
LEAST_FOUND = 0.5


def relocate(library: Library, user: User, folder: str) -> Library:
    """Let the library be in `folder` from now on, and have it scanned for `user`. Returns it as it is then.

    The folder must show that it is the one: by the catalog that Photolala left in it, or by at least half of a sample of
    the known files. Raises LibraryRefused with a sentence; then nothing was changed.
    """
    if library.source != "local":
        raise LibraryRefused("Only a library in a folder of this server can be relocated. Nothing was changed.")
    real = checked_folder(user, folder)
    root = escape_path(os.fsencode(real))
    if root == library.root:
        raise LibraryRefused("The library is in that folder already. Nothing was changed.")
    refuse_overlap(user, real, besides=library)  # before anything in a folder of somebody else's is looked at
    _require_same(library, real)
    before = root_md5(library)
    try:
        with transaction.atomic():
            lock_taken_folders()
            locked = Library.objects.select_for_update().get(pk=library.pk)
            if Operation.objects.filter(
                active_key__in=(library.scan_key, write_key(library)), state__in=ACTIVE
            ).exists():
                raise LibraryRefused(
                    "The library is being scanned, or written to. Wait until that is done, or cancel it; then say where it is. "
                    "Nothing was changed."
                )
            refuse_overlap(user, real, besides=library)
            locked.root = root
            locked.root_has_pointer = _has_pointer(real)
            locked.save(update_fields=["root", "root_has_pointer"])
    except IntegrityError:
        raise LibraryRefused("That folder is not free. Nothing was changed.") from None
    _carry_snapshots(locked, before)
    request_scan(locked, user)
    locked.refresh_from_db()
    return locked


def _require_same(library: Library, real: Path) -> None:
    """Raise LibraryRefused unless the folder holds this library's catalog, or enough of its files."""
    with LocalSource(real) as source, working_folder("history") as folder:
        choice = choose_snapshot(
            FolderLocation(real, escape_path(os.fsencode(real))), cache_location(source.root_md5), folder
        )
        if choice.snapshot is not None:
            with closing(choice.snapshot) as snapshot, suppress(ValueError):
                if UUID(snapshot.header.library_id) == library.pk:
                    return
        known = Photo.objects.filter(library=library).exclude(state=Photo.State.MISSING).order_by("pk")
        columns = ("directory", "filename", "size_bytes")
        sample = list(islice(known.values_list(*columns).iterator(chunk_size=SAMPLE), SAMPLE))
        found = sum(_is_there(source, *entry) for entry in sample)
    if not sample or found < LEAST_FOUND * len(sample):
        raise LibraryRefused(
            f"That folder does not look like this library: of {len(sample):,} of its photos {found:,} are there, and no catalog "
            "of it. Choose the folder that holds the same photos. Nothing was changed."
        )


def _is_there(source: LocalSource, directory: str, filename: str, size_bytes: int) -> bool:
    with suppress(OSError, ValueError):
        descriptor = source.open(join_path(directory, filename))
        try:
            return os.fstat(descriptor).st_size == size_bytes
        finally:
            os.close(descriptor)
    return False


def _has_pointer(real: Path) -> bool:
    try:
        return read_pointer(FolderLocation(real, str(real))) is not None
    except OSError:
        return False


def _carry_snapshots(library: Library, before: str) -> None:
    """Copy the cache's snapshots to where they are looked for now. What cannot be copied is written anew by the next scan."""
    old, new = cache_location(before), cache_location(root_md5(library))
    try:
        pointer = read_pointer(old)
        if pointer is None or read_pointer(new) is not None:
            return
        carried = []
        with working_folder("history") as folder:
            for md5 in pointer.md5s:
                name = snapshot_name(md5)
                with suppress(FileNotFoundError):
                    with old.open(name) as file, (folder / name).open("wb") as copy:
                        shutil.copyfileobj(file, copy, 1 << 20)
                    new.put_file(name, str(folder / name))
                    carried.append(md5)
                (folder / name).unlink(missing_ok=True)
        if carried:
            new.put_bytes(POINTER_NAME, format_pointer(tuple(carried)))
    except OSError as error:
        logger.warning("Library %s: its snapshots in the cache were not carried along: %s", library.pk, error)
