"""Whether a file came back out of the trash, or on into another folder, while nobody was left to write that down."""

import os

from catalog.models import TrashItem
from catalog.roots.trash_folder import opened
from catalog.sources.placing import content_of, numbered_names, open_folder
from photolala.lib.paths import unescape_path


def name_of_restored(root: int, item: TrashItem) -> str:
    """Return the name under which a file lies that came back while nobody was left to write that down; "" if none is it.

    Raises OSError if that cannot be told.
    """
    try:
        folder = open_folder(root, item.directory)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    try:
        if item.restored_as and _is_restored(folder, item.restored_as, item):
            return item.restored_as
        for name in numbered_names(item.filename):
            os.stat(unescape_path(name), dir_fd=folder, follow_symlinks=False)
            if _is_restored(folder, name, item):
                return name
    except FileNotFoundError:
        pass  # the first number that is free: it went to none of those before
    finally:
        os.close(folder)
    return ""


def lies_in_target(root: int, item: TrashItem) -> bool:
    """Return whether a file that is filed has come to its new folder. Raises OSError if that cannot be told."""
    if not item.restored_as:
        return False
    try:
        with opened(root, item.target) as folder:
            return _is_restored(folder, item.restored_as, item)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _is_restored(folder: int, name: str, item: TrashItem) -> bool:
    try:
        facts = os.stat(unescape_path(name), dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    if (facts.st_size, facts.st_mtime_ns) != (item.size_bytes, item.mtime_ns):
        return False
    found = content_of(folder, unescape_path(name)) if item.photo_md5 else None
    return found is None or found[1] == item.photo_md5
