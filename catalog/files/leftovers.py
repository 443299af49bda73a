"""What writers that were killed left in a folder from which the photo was moved since, or deleted.

Nothing that may be the only version of a picture is removed: first the photo's own file is read where it lies now. What
another program had put into the file's place in the instant of the kill comes back under a name that is seen.
"""

import os
from contextlib import closing, suppress

from django.db import transaction
from django.db.models import F

from catalog.identity.aliases import current_md5
from catalog.media.not_written import reasons
from catalog.media.sidecar_files import sidecar_name
from catalog.models import Alias, FileWrite, Library, Photo, TrashItem
from catalog.models.conditions import is_given
from catalog.sources.base import Source
from catalog.sources.held_root import HeldRoot
from catalog.sources.hidden import OF_SIDECARS, remove_hidden, take_aside
from catalog.sources.local import LocalSource
from catalog.sources.placing import content_of, numbered_names
from catalog.sources.renaming import rename_to_free_name
from photolala.lib.files import fsync_directory
from photolala.lib.paths import escape_path, unescape_path

_MOST_COPIES = 10


def clear_other_folder(source: Source, write: FileWrite, photo: Photo) -> bool:
    """Put the folder in order where earlier claims of `write` worked, if it is not the one in which the photo's file is now.

    Call it for a claim of one's own, in a run that holds the operation. Returns False if something stays there for now: the
    photo's own file is not found as the catalog knows it. Raises NotWritten.
    """
    is_here = photo.state != Photo.State.MISSING
    if not write.claimed_path or not isinstance(source, LocalSource):
        return True
    if is_here and write.claimed_path.rpartition("/")[0] == photo.directory:
        return True
    with reasons():
        try:
            folder, name = source.folder_of(write.claimed_path)
            folder = os.dup(folder)
        except (FileNotFoundError, NotADirectoryError):
            return is_here  # what was in it was moved along
        try:
            hidden = take_aside(folder, f"{write.pk.hex}-", write.claim_token)
            if not hidden:
                return True
            if not _is_safe(source, write, photo):
                return False
            _clear(folder, name, hidden, write, photo)
            return True
        finally:
            os.close(folder)


def clear_deleted(library: Library, held: HeldRoot, photos: list[Photo]) -> None:
    """Remove what is left beside the files of photos that a person deletes for good, before their rows go."""
    writes = FileWrite.objects.filter(photo__in=[photo.pk for photo in photos]).filter(is_given("claimed_path"))
    left = list(writes.select_related("photo").defer("undo_delta"))
    if not left:
        return
    with transaction.atomic():
        FileWrite.objects.filter(pk__in=[write.pk for write in left]).update(claim_token=F("claim_token") + 1)
    with closing(LocalSource(os.fsdecode(unescape_path(library.root)), held=held, is_real=True)) as source:
        for write in left:
            write.claim_token += 1
            with suppress(OSError, ValueError):  # what cannot be reached is told by `doctor`
                folder, name = source.folder_of(write.claimed_path)
                folder = os.dup(folder)
                try:
                    _clear(folder, name, take_aside(folder, f"{write.pk.hex}-", write.claim_token), write, write.photo)
                finally:
                    os.close(folder)


def _is_safe(source: LocalSource, write: FileWrite, photo: Photo) -> bool:
    """True if the photo's picture is surely elsewhere: in the trash, or where a file with the known content was found."""
    versions = {write.old_md5, write.new_md5, photo.photo_md5} - {""}
    if photo.state != Photo.State.MISSING:
        return _lies(source, photo, versions)
    if TrashItem.objects.filter(photo=photo, state=TrashItem.State.TRASHED).exists():
        return True
    versions |= {current_md5(write.library, md5) for md5 in versions}  # what was written into it since
    there = Photo.objects.filter(library=write.library_id, photo_md5__in=versions).exclude(state=Photo.State.MISSING)
    return any(_lies(source, one, versions) for one in there[:_MOST_COPIES])


def _lies(source: LocalSource, photo: Photo, versions: set[str]) -> bool:
    try:
        folder, name = source.folder_of(photo.path)
        found = content_of(folder, name)
    except OSError:
        return False
    return found is not None and found[1] in versions


def _clear(folder: int, name: bytes, hidden: list[bytes], write: FileWrite, photo: Photo) -> None:
    """Remove our own versions, put those of other programs under free names.

    There are such only if the announced version had taken its place, for then another one may have been displaced.
    """
    is_exchanged = bool(write.new_md5) and _is_known(write, photo)
    for one in hidden:
        is_sidecar = one.endswith(OF_SIDECARS)
        old, new = (write.xmp_old_md5, write.xmp_new_md5) if is_sidecar else (write.old_md5, write.new_md5)
        may_be_foreign = bool(new) if is_sidecar else is_exchanged
        found = content_of(folder, one) if may_be_foreign else None
        if found is not None and found[1] not in (old, new):
            text = escape_path(name)
            _show(folder, one, sidecar_name(text) if is_sidecar else text)
        else:
            remove_hidden(folder, one)


def _is_known(write: FileWrite, photo: Photo) -> bool:
    """True if the announced version was seen in a file of the library."""
    if photo.photo_md5 == write.new_md5:
        return True
    here = Photo.objects.filter(library=write.library_id, photo_md5=write.new_md5)
    became = Alias.objects.filter(library=write.library_id)
    return (
        here.exists() or became.filter(old_md5=write.new_md5).exists() or became.filter(new_md5=write.new_md5).exists()
    )


def _show(folder: int, hidden: bytes, name: str) -> None:
    for free in numbered_names(name):
        with suppress(FileExistsError):
            rename_to_free_name(folder, hidden, folder, unescape_path(free))
            break
    fsync_directory(f"/proc/self/fd/{folder}")
