"""Photos in a folder of this machine, or of a share mounted on it."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from operator import itemgetter

from catalog.sources.base import Directory, FileChanged, NotARegularFile, Problem, ProblemKind
from catalog.sources.handles import FolderHandles, Parts, is_gone
from catalog.sources.held_root import HeldRoot, root_unavailable
from catalog.sources.hidden import require_room_beside
from catalog.sources.kinds import why_left_out
from catalog.sources.names import SYSTEM_FILES, is_system_folder
from catalog.sources.replacing import Replacement
from photolala.lib.paths import escape_path, unescape_path

# O_NONBLOCK: opening a FIFO that nobody writes to would else wait for ever.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_by_name = itemgetter(0)

Identity = tuple[int, int]


class LocalSource:
    """The folder `root` and what is below it.

    Hidden and system names and symlinks are skipped, below the root no link is ever followed; other file systems
    mounted below are part of it. `wanted` gets the name of each visible file and says whether it is listed (default:
    all are). With `held` everything is reached from that open root, so that a path which leads elsewhere all at once is
    never followed; `check` then tells. With `is_real` the root is a path that was resolved when a person chose it: no part
    of it may be a link now, because that would lead to another folder than the chosen one.
    One object serves one thread; it keeps up to 64 folders open until `close()`, or the end of a `with` block.
    """

    is_far = False

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        wanted: Callable[[str], bool] | None = None,
        held: HeldRoot | None = None,
        is_real: bool = False,
    ) -> None:
        self._root = os.path.normpath(os.fsencode(root)) if is_real else os.path.realpath(os.fsencode(root))
        self._wanted = wanted
        self.held = held
        self._handles = FolderHandles(held.descriptor if held else self._root, is_real=is_real)

    def __enter__(self) -> "LocalSource":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def uri(self) -> str:
        """`file://` and the absolute path, links resolved, in the text form of `escape_path`; no percent-encoding."""
        return "file://" + escape_path(self._root)

    @property
    def root_md5(self) -> str:
        """MD5 of `uri` in UTF-8, 32 hex digits: the name of this root's folder in the cache."""
        return hashlib.md5(self.uri.encode(), usedforsecurity=False).hexdigest()

    def check(self) -> None:
        """Raise SourceUnavailable if the root is missing, no folder, another one than the held one, or cannot be listed now."""
        self._handles.forget()
        if self.held is not None:
            self.held.verify()
        try:
            with os.scandir(self._handles.get(())) as names:
                next(names, None)
        except OSError as error:
            raise root_unavailable(self._root, error) from error

    def root_is_writable(self) -> bool:
        """Return whether files can be made in the root, by its mode and mount; a write may still fail."""
        try:
            return os.access(".", os.W_OK | os.X_OK, dir_fd=self._handles.get(()))
        except OSError:
            return False

    def walk(self) -> Iterator[Directory]:
        """Yield every folder, parents first and siblings by name; each is read when its turn comes, no file is opened.

        A folder that cannot be read comes with a problem and `is_complete=False`, and the walk continues. Raises
        SourceUnavailable if that is the root, and OSError if this process may open no more files.
        """
        self._handles.forget()
        parts: list[bytes] = []
        chain: list[Identity] = []  # the folders on the way from the root, against mounts that contain themselves
        waiting: list[list[bytes]] = []  # per level, the subfolders still to come, last first
        while True:
            directory, identity, subfolders = self._list(tuple(parts), chain)
            yield directory
            chain.append(identity)
            waiting.append(subfolders)
            while not waiting[-1]:
                waiting.pop()
                chain.pop()
                if not waiting:
                    return
                parts.pop()
            parts.append(waiting[-1].pop())

    def list_directory(self, path: str) -> Directory:
        """Return one folder as it is now, reached anew from the root. ValueError if `path` leads anywhere else."""
        parts = _parts(path)
        self._handles.forget()
        return self._list(parts, [])[0]

    def open(self, path: str, *, expected: tuple[int, int] | None = None) -> int:
        """Return a read-only descriptor of the regular file `path`, for the caller to close; no link is followed to it.

        `expected` is (size in bytes, mtime in ns). Raises FileChanged if it differs, NotARegularFile for anything that
        is no file, FileNotFoundError, PermissionError or another OSError, and ValueError for a path out of the root.
        """
        parts = _parts(path)
        if not parts:
            raise NotARegularFile(errno.EISDIR, "The root of the library is a folder, not a file", path)
        try:
            return self._open(parts, path, expected)
        except OSError as error:
            if not (is_gone(error) or isinstance(error, FileChanged)):
                raise
        self._handles.forget()  # a kept folder may have been moved away: look once more, from the root
        return self._open(parts, path, expected)

    def replacement(self, path: str, *, token: str, extension: str, expected: tuple[int, int]) -> Replacement:
        """Return what puts a new version in the place of the regular file `path` (see Replacement, whose errors it raises).

        The folder is reached anew from the root, over no link. Raises also PermissionError and OSError EROFS where no file
        can be made beside it, and ENOSPC if there is no room for a second one.
        """
        folder, name = self.folder_of(path)
        require_room_beside(folder, expected[0])
        return Replacement(folder, name, token, extension, expected)

    def folder_of(self, path: str) -> tuple[int, bytes]:
        """Return a descriptor of the folder of the file `path`, reached anew from the root, and its name in there.

        The descriptor stays this object's, and valid until the next call. Raises OSError, and ValueError for a path out of
        the root.
        """
        parts = _parts(path)
        if not parts:
            raise NotARegularFile(errno.EISDIR, "The root of the library is a folder, not a file", path)
        self._handles.forget()
        return self._handles.get(parts[:-1]), parts[-1]

    def open_head(self, path: str) -> int:
        """Return a descriptor of the whole file: here its head costs no more."""
        return self.open(path)

    def close(self) -> None:
        """Close the kept folders. The source may be used again."""
        self._handles.forget()

    def _open(self, parts: Parts, path: str, expected: tuple[int, int] | None) -> int:
        try:
            descriptor = os.open(parts[-1], _FILE_FLAGS, dir_fd=self._handles.get(parts[:-1]))
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO, errno.ENODEV):  # a link, a socket, a device without a driver
                raise NotARegularFile(error.errno, "Not a regular file, so it is not read", path) from error
            raise type(error)(error.errno, error.strerror, path) from error
        try:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise NotARegularFile(errno.EINVAL, f"This is {_kind_of(facts.st_mode)}, so it is not read", path)
            if expected is not None and expected != (facts.st_size, facts.st_mtime_ns):
                raise FileChanged(errno.ESTALE, "The file has changed since it was listed; it will be seen anew", path)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _list(self, parts: Parts, chain: list[Identity]) -> tuple[Directory, Identity, list[bytes]]:
        """Read one folder. Returns it with its identity and the raw names of its subfolders, last first."""
        directory = Directory(escape_path(b"/".join(parts)))
        identity = (-1, -1)
        subfolders: list[tuple[str, bytes]] = []
        try:
            descriptor = self._handles.get_again(parts) if parts else self._handles.get(parts)
            facts = os.fstat(descriptor)
            identity = (facts.st_dev, facts.st_ino)
            if identity in chain:
                _add_problem(directory, "", "The folder contains itself (a mount loop); it is listed once.", "loop")
                return directory, identity, []
            self._read(descriptor, directory, subfolders)
        except OSError as error:
            if error.errno in _OUT_OF_DESCRIPTORS:
                raise
            if not parts:
                raise root_unavailable(self._root, error) from error
            directory.is_complete = False
            if is_gone(error):
                _add_problem(directory, "", "The folder was moved or removed while it was being read.", "changed")
            else:
                _add_problem(directory, "", f"The folder cannot be read: {error.strerror}.", "unreadable")
        directory.files.sort(key=_by_name)
        subfolders.sort(reverse=True)
        directory.folders = [name for name, _ in reversed(subfolders)]
        return directory, identity, [raw for _, raw in subfolders]

    def _read(self, descriptor: int, directory: Directory, subfolders: list[tuple[str, bytes]]) -> None:
        """Sort the names in the open folder into `directory` and `subfolders`. The loop runs per file: keep it lean."""
        wanted, add_file, system_files = self._wanted, directory.files.append, SYSTEM_FILES
        with os.scandir(descriptor) as entries:
            for entry in entries:
                name = entry.name
                if name[0] == "." or name in system_files:
                    directory.hidden_count += 1
                    _add_odd_name(directory, name)
                elif entry.is_file(follow_symlinks=False):
                    if wanted is not None and not wanted(name):
                        continue
                    try:
                        facts = entry.stat(follow_symlinks=False)
                    except OSError as error:
                        _add_stat_problem(directory, name, error)
                        continue
                    if not name.isascii() or "\\" in name:
                        name = escape_path(os.fsencode(name))
                    if name[-1] in ". ":
                        _add_odd_name(directory, name)
                    add_file((name, facts.st_size, facts.st_mtime_ns))
                else:
                    _sort_other(entry, directory, subfolders)


def _sort_other(entry: os.DirEntry[str], directory: Directory, subfolders: list[tuple[str, bytes]]) -> None:
    """Handle a visible name that is no regular file: a folder to continue with, a link to count, the rest to report."""
    name, raw = entry.name, os.fsencode(entry.name)
    text = escape_path(raw)
    try:
        if entry.is_symlink():
            directory.link_count += 1
        elif not entry.is_dir(follow_symlinks=False):
            mode = entry.stat(follow_symlinks=False).st_mode
            _add_problem(directory, text, f"This is {_kind_of(mode)}, so it is not read.", "special")
        elif is_system_folder(name):
            directory.hidden_count += 1
        else:
            subfolders.append((text, raw))
    except OSError as error:
        _add_stat_problem(directory, name, error)


def _add_odd_name(directory: Directory, name: str) -> None:
    reason = why_left_out(name)
    if reason:
        _add_problem(directory, escape_path(os.fsencode(name)) if name[0] == "." else name, reason, "special")


def _add_stat_problem(directory: Directory, name: str, error: OSError) -> None:
    if error.errno == errno.ENOENT:
        return  # removed since the folder was opened: simply gone
    directory.is_complete = False
    _add_problem(directory, escape_path(os.fsencode(name)), f"It cannot be looked at: {error.strerror}.", "unreadable")


def _add_problem(directory: Directory, name: str, reason: str, kind: ProblemKind) -> None:
    directory.problems.append(Problem(directory.path_of(name) if name else directory.path, reason, kind))


def _parts(path: str) -> Parts:
    """Split the text form of a relative path into raw names. Raises ValueError for one that leads out of the root."""
    if not path:
        return ()
    parts = tuple(unescape_path(path).split(b"/"))
    if any(part in (b"", b".", b"..") or b"\x00" in part for part in parts):
        raise ValueError(f"The path {path!r} does not lead to a place below the root of the library.")
    return parts


def _kind_of(mode: int) -> str:
    names = {
        stat.S_IFDIR: "a folder",
        stat.S_IFLNK: "a link",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return names.get(stat.S_IFMT(mode), "no regular file")
