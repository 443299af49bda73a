"""The files of a library's trash: into the folder of their item, back, and away for good.

Everything is reached from the open root, so that nothing lands below a bare mount point. A mover may be frozen between the
moment in which it proves that an item is its own and the move itself; what its successor does first makes that move fail:

- into the trash: the item's folder is there, and open, before the proof; who finds it empty removes it (`remove_folder`),
  and nothing can be moved into a removed folder;
- back: the file first gets a hidden name with the mover's token (`take`), and is moved from that; the successor takes it
  under its own.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from catalog.files.trash_leases import Mover
from catalog.models import TrashItem
from catalog.roots.trash_folder import FOLDER, TAKEN, folder_of_item, opened
from catalog.sources.kinds import Companions, Folder, companions_in
from catalog.sources.placing import move_between, numbered_names, open_folder
from catalog.sources.renaming import rename_to_free_name
from photolala.lib.files import fsync_directory, remove_if_there
from photolala.lib.paths import escape_path, unescape_path

_MOST_TRIES = 10


def move_in(root: int, item: TrashItem, mover: Mover, folders: dict[str, Folder]) -> None:
    """Move a photo's file into the trash, then its sidecars.

    Raises MoverLost, after which somebody else sees to the item, and OSError: then `lies` tells where the file is.
    """
    name = unescape_path(item.filename)
    with opened(root, item.directory) as folder:
        facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if item.directory not in folders:
            folders[item.directory] = Folder(_names_in(folder))
        bin_folder = open_folder(root, folder_of_item(item), create=True, mode=0o700, is_lasting=False)
        try:
            mover.require(item, **_note_facts(item, facts))
            move_between(folder, name, bin_folder, name, is_lasting=False)
            mover.require(item)
        finally:
            os.close(bin_folder)
    move_sidecars_in(root, item, mover, folders)


def _note_facts(item: TrashItem, facts: os.stat_result) -> dict[str, object]:
    """Return the columns that tell which file goes into the trash, if it is not quite the one that the catalog knows."""
    if (facts.st_size, facts.st_mtime_ns) == (item.size_bytes, item.mtime_ns):
        return {}
    item.size_bytes, item.mtime_ns, item.photo_md5 = facts.st_size, facts.st_mtime_ns, ""
    return {"size_bytes": item.size_bytes, "mtime_ns": item.mtime_ns, "photo_md5": ""}


def move_sidecars_in(root: int, item: TrashItem, mover: Mover, folders: dict[str, Folder]) -> None:
    """Let what speaks about this photo alone go along; what cannot be moved stays where it is.

    Raises MoverLost; and where the photo is to go on into another folder OSError, for it is not to lie there without them.
    """
    try:
        with opened(root, item.directory) as folder:
            known = folders.get(item.directory)
            own = (known or Folder([*_names_in(folder), item.filename])).take(item.filename)
            with opened(root, folder_of_item(item)) as bin_folder:
                for name in sorted(set(own.values())):
                    mover.require(item)
                    with _may_stay(item):
                        move_between(folder, unescape_path(name), bin_folder, unescape_path(name), is_lasting=False)
                        item.sidecars.append(name)
    except OSError:
        if item.state == TrashItem.State.FILING:
            raise
    mover.require(item, sidecars=item.sidecars)


@contextmanager
def _may_stay(item: TrashItem) -> Iterator[None]:
    """Let a sidecar stay that is gone by now, and one of a photo that goes no further than the trash that cannot be moved."""
    try:
        yield
    except FileNotFoundError:
        pass
    except OSError:
        if item.state == TrashItem.State.FILING:
            raise


def require_trace(root: int, item: TrashItem) -> None:
    """Raise OSError if neither the photo's file lies at its old place nor there is any trash: perhaps this is another disk."""
    try:
        with opened(root, item.directory) as folder:
            os.stat(unescape_path(item.filename), dir_fd=folder, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        with opened(root, FOLDER):
            pass


def lies_in_trash(root: int, item: TrashItem) -> bool:
    """Return whether the photo's file lies in the item's folder. Raises OSError if that cannot be told."""
    try:
        with opened(root, folder_of_item(item)) as folder:
            return _name_in_trash(folder, item) is not None
    except (FileNotFoundError, NotADirectoryError):
        return False


def _name_in_trash(folder: int, item: TrashItem) -> bytes | None:
    name = unescape_path(item.filename)
    there = {os.fsencode(entry) for entry in os.listdir(folder)}
    if name in there:
        return name
    return next((one for one in sorted(there) if one.startswith(TAKEN.encode())), None)


def take(folder: int, item: TrashItem, mover: Mover) -> bytes:
    """Give the photo in the item's open folder the hidden name of this mover, and return it.

    Whoever was about to move it from another name finds nothing any more. Raises FileNotFoundError if it does not lie there,
    or another OSError.
    """
    mine = f"{TAKEN}{mover.token}".encode() + os.path.splitext(unescape_path(item.filename))[1]
    for _ in range(_MOST_TRIES):
        name = _name_in_trash(folder, item)
        if name is None:
            break
        if name == mine:
            return mine
        with suppress(FileNotFoundError):  # another mover was quicker, and will find out that it is none any more
            rename_to_free_name(folder, name, folder, mine)
            return mine
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), item.filename)


def keep_in_trash(root: int, item: TrashItem, mover: Mover) -> None:
    """Let the photo, on whose way back somebody else stopped, stay in the trash under its own name. Raises OSError."""
    with opened(root, folder_of_item(item)) as folder:
        taken = take(folder, item, mover)
        with suppress(OSError):  # it is found under the other name, too
            rename_to_free_name(folder, taken, folder, unescape_path(item.filename))


def put_back(root: int, item: TrashItem, mover: Mover, directory: str | None = None) -> str:
    """Move file and sidecars back to where they lay, or into `directory`; return the file's name, perhaps with a number.

    Raises MoverLost, and OSError: then `lies_in_trash` tells where it is.
    """
    with opened(root, folder_of_item(item)) as bin_folder:
        taken = take(bin_folder, item, mover)
        folder = open_folder(root, item.directory if directory is None else directory, create=True)
        try:
            for name in _free_names(folder, bin_folder, item):
                mover.require(item, restored_as=name)
                with suppress(FileExistsError):
                    move_between(bin_folder, taken, folder, unescape_path(name))
                    break
            else:
                raise FileExistsError(errno.EEXIST, "Every name is taken", item.filename)
        finally:
            os.close(folder)
    sidecars_back(root, item, name, mover, directory)
    return name


def _free_names(folder: int, bin_folder: int, item: TrashItem) -> Iterator[str]:
    """Yield names for the photo under which neither it nor a sidecar of it meets another file."""
    there = set(_names_in(folder))
    names = _names_in(bin_folder)
    for name in numbered_names(item.filename):
        if name not in there and there.isdisjoint(_sidecar_targets(names, item, name).values()):
            yield name


def _sidecar_targets(names: list[str], item: TrashItem, photo: str) -> dict[str, str]:
    """Return of the names in an item's folder those that went along, with what each is called beside the photo's name."""
    own = Companions(companions_in([*names, item.filename]).get(item.filename, {}))
    noted = {name: name for name in item.sidecars if name in names}
    return noted | own.renamed(item.filename, photo)


def sidecars_back(root: int, item: TrashItem, photo: str, mover: Mover, directory: str | None = None) -> None:
    """Move what went along beside the photo, which is called `photo` there (in `directory`), and remove the item's folder.

    Safe to do again. What is in the way of a sidecar stays; the sidecar gets a number then. Raises MoverLost, and OSError if
    one could not be moved: the row has to stay, for nothing else knows of the sidecar.
    """
    place = item.directory if directory is None else directory
    failed: OSError | None = None
    with _if_there(), opened(root, folder_of_item(item)) as bin_folder, opened(root, place) as folder:
        for sidecar, name in _sidecar_targets(_names_in(bin_folder), item, photo).items():
            mover.require(item)
            try:
                _move_to_free_name(bin_folder, sidecar, folder, name)
            except FileNotFoundError:
                pass  # somebody else moved it
            except OSError as error:
                failed = error
    if failed is not None:
        raise failed
    remove_folder(root, item)


def _move_to_free_name(bin_folder: int, sidecar: str, folder: int, name: str) -> None:
    for target in numbered_names(name):
        with suppress(FileExistsError):
            move_between(bin_folder, unescape_path(sidecar), folder, unescape_path(target))
            return


def delete_files(root: int, item: TrashItem) -> int:
    """Delete what lies in the item's folder of the trash; return the bytes that were freed. Raises OSError."""
    freed = 0
    try:
        folder = open_folder(root, folder_of_item(item))
    except FileNotFoundError:
        return 0
    try:
        for name in os.listdir(folder):
            try:
                facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                continue  # another process deletes the same
            freed += facts.st_size if facts.st_nlink == 1 else 0
            remove_if_there(f"/proc/self/fd/{folder}/".encode() + os.fsencode(name))
        fsync_directory(f"/proc/self/fd/{folder}")
    finally:
        os.close(folder)
    remove_folder(root, item)
    return freed


def remove_folder(root: int, item: TrashItem) -> None:
    """Remove the item's folder if it is empty: nobody can move anything into it any more then."""
    with suppress(OSError), opened(root, FOLDER) as bins:  # what somebody put there stays
        os.rmdir(str(item.pk), dir_fd=bins)


def close_folder(root: int, item: TrashItem) -> None:
    """Remove the item's folder as above, but raise OSError if that fails: a mover that wakes could still use it then."""
    with _if_there(), opened(root, FOLDER) as bins:
        try:
            os.rmdir(str(item.pk), dir_fd=bins)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


def _if_there() -> suppress:
    """Pass over folders that are not there."""
    return suppress(FileNotFoundError, NotADirectoryError)


def _names_in(folder: int) -> list[str]:
    return [escape_path(os.fsencode(name)) for name in os.listdir(folder)]


def sentence_of(error: Exception, path: str) -> str:
    """Return why a file could not be moved."""
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.ENOENT:
        return f"The file {path} is not there any more."
    if code == errno.EXDEV:
        return f"The file {path} lies on another disk than the library's folder, so it cannot go into its trash."
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"Photolala's user may not move the file {path}."
    return f"The file {path} could not be moved ({getattr(error, 'strerror', None) or error})."
