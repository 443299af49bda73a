"""Files that no row knows, in a library's trash or hidden beside its photos: they get rows, so that they can come back.

They may be the only copies that are left, so none is ever deleted here; what nobody wants goes with the trash.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

from django.utils import timezone

from catalog.files.trash_leases import Mover
from catalog.models import Library, Photo, TrashItem
from catalog.roots.trash_folder import FOLDER, TAKEN, Stray, folder_of_item, opened
from catalog.sources.kinds import companions_in, is_media_name
from catalog.sources.placing import content_of, move_between, open_folder, sync_folder
from photolala.lib.paths import unescape_path

State = TrashItem.State


def adopt(library: Library, root: int, stray: Stray) -> list[TrashItem]:
    """Give what lies in such a folder rows of the trash, one for each photo, so that it can be brought back.

    A photo that is missing, with that content, is it again; what no photo is known of comes back into the top folder. An
    empty folder is removed. Raises OSError.
    """
    if not stray.names:
        with suppress(OSError), opened(root, FOLDER) as bins:
            os.rmdir(unescape_path(stray.folder), dir_fd=bins)
        return []
    return [
        item
        for name, beside in _groups(stray.names)
        if (item := _adopt_file(library, root, f"{FOLDER}/{stray.folder}", name, beside)) is not None
    ]


def adopt_hidden(library: Library, root: int, directory: str, name: str) -> TrashItem | None:
    """Move a hidden file beside the photos into the trash, from where it comes back under a name that is seen.

    None if it is gone by now. Raises OSError.
    """
    return _adopt_file(library, root, directory, name, [], back_to=directory)


def _groups(names: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """Yield each photo with what speaks about it, then the rest one by one."""
    companions = companions_in(names)
    left = dict.fromkeys(names)
    for name in sorted(names, key=lambda one: (not is_media_name(one), one)):
        if name in left:
            beside = [other for other in companions.get(name, {}).values() if other in left]
            for one in (name, *beside):
                left.pop(one, None)
            yield name, beside


def _adopt_file(
    library: Library, root: int, place: str, name: str, beside: list[str], back_to: str = ""
) -> TrashItem | None:
    """Write the row first, then move the files into the item's own folder, then say that they lie there."""
    with opened(root, place) as folder:
        found = content_of(folder, unescape_path(name))
    if found is None:
        return None
    facts, md5 = found
    photo = Photo.objects.filter(library=library, photo_md5=md5).gone().order_by("pk").first()
    with Mover() as mover:
        item = TrashItem.objects.create(
            id=uuid4(),
            library=library,
            photo=photo,
            directory=photo.directory if photo else back_to,
            filename=_visible_name(name, photo),
            sidecars=beside,
            size_bytes=facts.st_size,
            mtime_ns=facts.st_mtime_ns,
            photo_md5=md5,
            trashed_at=timezone.now(),
            **_state_of(photo),
            **mover.marks,
        )
        with opened(root, place) as folder:
            own = open_folder(root, folder_of_item(item), create=True, mode=0o700)
            try:
                move_between(folder, unescape_path(name), own, unescape_path(item.filename))
                for sidecar in beside:
                    with suppress(OSError):
                        move_between(folder, unescape_path(sidecar), own, unescape_path(sidecar))
            finally:
                os.close(own)
        sync_folder(root, FOLDER)
        mover.require(item, state=State.TRASHED)
    TrashItem.objects.filter(pk=item.pk).update(mover="", mover_seen_at=None)
    parent, _, folder_name = place.rpartition("/")
    if parent == FOLDER:
        with suppress(OSError), opened(root, FOLDER) as bins:  # others may lie in it still
            os.rmdir(unescape_path(folder_name), dir_fd=bins)
    return item


def _visible_name(name: str, photo: Photo | None) -> str:
    """Return the name under which a file comes back: its own, or for a hidden one that of its photo."""
    if not name.startswith("."):
        return name
    if photo:
        return photo.filename.partition("/")[0]
    return name.removeprefix(TAKEN).lstrip(".") or "file"


def _state_of(photo: Photo | None) -> dict[str, Any]:
    """Return what the photo was before it went missing, as far as its row tells."""
    if photo is None or not photo.photo_md5:
        return {"photo_state": Photo.State.SURVEYED, "was_shown": True}
    if not photo.problem:
        return {"photo_state": Photo.State.READY, "was_shown": True}
    state = Photo.State.DAMAGED if photo.has_thumbnail else Photo.State.BROKEN
    return {"photo_state": state, "was_shown": photo.has_thumbnail}
