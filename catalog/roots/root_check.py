"""Is a library's root there, and is it the right one: asked before anything is believed or changed."""

from catalog.models import Library
from catalog.roots.snapshot_locations import root_location
from catalog.snapshots.publish import read_pointer
from catalog.sources.base import Directory, Source, SourceUnavailable
from operations.running import OperationFailed


def check_root_is_the_same(library: Library, *, confirmed: bool) -> None:
    """Raise OperationFailed if the pointer that was written into the root is gone: another disk may be mounted there.

    Raises SourceUnavailable if that cannot be told.
    """
    if confirmed or not _has_lost_pointer(library):
        return
    raise OperationFailed(
        f"The file .photolala.md5, which Photolala left in {library.root}, is gone. Perhaps another disk is mounted there, "
        "so nothing was changed. If this is the right folder, confirm it, and the file is written anew.",
        "confirm_gone",
    )


def require_root(library: Library, source: Source, *, may_be_empty: bool = False) -> None:
    """Raise SourceUnavailable if the root went away, is an empty mount point now, or has lost its pointer."""
    source.check()
    if not may_be_empty and is_empty(source.list_directory("")):
        raise SourceUnavailable(
            f"The folder {library.root} is empty all at once. Was its disk or share unplugged? Mount it, then retry."
        )
    check_pointer_is_there(library)


def is_empty(directory: Directory) -> bool:
    """True if nothing at all is in a folder."""
    return not (directory.files or directory.folders or directory.hidden_count or directory.link_count)


def check_pointer_is_there(library: Library) -> None:
    """Raise SourceUnavailable if the pointer in the root is gone in the middle of a scan."""
    if _has_lost_pointer(library):
        raise SourceUnavailable(
            f"The file .photolala.md5 in {library.root} is gone all at once. Was its disk or share unplugged? Mount it, "
            "then retry."
        )


def forget_pointer_if_gone(library: Library) -> None:
    """Expect no pointer in the root any more, if a person said that it is the right one without."""
    try:
        is_gone = _has_lost_pointer(library)
    except SourceUnavailable:
        return
    if is_gone:
        Library.objects.filter(pk=library.pk).update(root_has_pointer=False)
        library.root_has_pointer = False


def _has_lost_pointer(library: Library) -> bool:
    root = root_location(library)
    if root is None or not library.root_has_pointer:
        return False
    try:
        return read_pointer(root) is None
    except PermissionError:
        return False  # it is there
    except OSError as error:
        raise SourceUnavailable(
            f"The file .photolala.md5 in {library.root} cannot be read now: {error.strerror or error}. Check the disk or share, "
            "then retry."
        ) from None
