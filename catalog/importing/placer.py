"""Put the files of an import into the library: under free names, whole, or not at all."""

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import islice

from catalog.importing.claims import HiddenNames
from catalog.importing.origins import Origin
from catalog.importing.read_file import SPEAKING, FileFacts, PlacedSidecar, ReadFile
from catalog.importing.reasons import reason_for_failure, reject, root_unavailable
from catalog.models import ImportItem
from catalog.sources.base import SourceUnavailable
from catalog.sources.held_root import HeldRoot
from catalog.sources.placing import content_of, copy_into, numbered_names, open_folder
from photolala.lib.files import fsync_directory
from photolala.lib.paths import unescape_path

COPIES_AT_ONCE = 3

State = ImportItem.State


class _Copying:
    """One file on its way: its source, which is open for it, and what the thread says. The folder is the placer's own."""

    def __init__(self) -> None:
        self.folder = self.source = -1
        self.facts: Future[os.stat_result] | None = None
        self.error: Exception | None = None

    def result(self) -> os.stat_result | None:
        """Return the copy's facts; None if its name was taken, or nothing was to be copied. Raises what went wrong."""
        if self.error is not None:
            raise self.error
        try:
            return self.facts.result() if self.facts is not None else None
        except FileExistsError:
            return None

    def close(self) -> None:
        """Close what is open."""
        if self.facts is not None:
            wait([self.facts])
        if self.source >= 0:
            os.close(self.source)
            self.source = -1


class Placer:
    """Puts files into the library's folder, which is held open; one batch at a time, in these steps.

    `reserve` makes hidden names that carry the claim; `confirm` then raises if this is not our work any more; `place` copies and
    renames from those names; `settle` proves that all of it lies on the library's disk, and has to be called before the rows
    that say so. `leave` ends the batch, whatever happened.
    """

    def __init__(
        self, held: HeldRoot, hidden: HiddenNames, confirm: Callable[..., None], require_target: Callable[[], None]
    ) -> None:
        """`confirm`, with items whose names were changed or without, writes these under the fencing number.

        `require_target` raises if the library's folder is not there any more.
        """
        self._held, self.root = held, held.descriptor
        self._hidden, self._confirm, self._require_target = hidden, confirm, require_target
        self._folders: dict[str, int] = {}
        self._looked_through: set[str] = set()
        self._threads = ThreadPoolExecutor(COPIES_AT_ONCE, thread_name_prefix="import")

    def is_in_place(self, item: ImportItem) -> bool:
        """True if the file is where its item says, with the content that was read."""
        with suppress(OSError, ValueError):
            folder = open_folder(self.root, item.target_directory)
            try:
                found = content_of(folder, unescape_path(item.target_filename))
            finally:
                os.close(folder)
            return found is not None and found[1] == item.photo_md5
        return False

    def remove_earlier(self, directories: Iterable[str]) -> None:
        """Remove the hidden names that earlier claims left in folders: whoever made them puts nothing there any more."""
        for directory in directories:
            self._looked_through.add(directory)
            with suppress(FileNotFoundError, NotADirectoryError, ValueError):
                folder = open_folder(self.root, directory)
                try:
                    self._hidden.remove_earlier(folder)
                finally:
                    os.close(folder)

    def reserve(self, read: Sequence[ReadFile]) -> None:
        """Make folders and hidden names for files and their sidecars. What goes wrong is in the items then."""
        for one in read:
            if one.item.state != State.PLACING:
                continue
            try:
                folder = self.folder_for(one.item.target_directory)
                if not one.was_placed:
                    self._hidden.reserve(folder, self._hidden.word_for(one.item))
                for beside in one.sidecars.values():
                    self.reserve_sidecar(beside, one.item)
            except (OSError, ValueError) as error:
                self._refuse(one, error)

    def reserve_sidecar(self, beside: ImportItem, photo: ImportItem) -> None:
        """Make the hidden name for a sidecar of a photo that lies, or is to lie, in the library. Raises OSError, ValueError."""
        folder = self.folder_for(photo.target_directory)
        self._hidden.reserve(folder, self._hidden.word_for(photo, beside))

    def folder_for(self, directory: str) -> int:
        """Return a descriptor of a folder of the library, made if it is missing; it stays open until `leave`."""
        if directory not in self._folders:
            self._folders[directory] = open_folder(self.root, directory, create=True)
            if directory not in self._looked_through:
                self._hidden.remove_earlier(self._folders[directory])
                self._looked_through.add(directory)
        return self._folders[directory]

    def place(self, read: Sequence[ReadFile], origin: Origin) -> None:
        """Put files and their sidecars into the library, several at once. What goes wrong is in the items then, and nothing
        of it is left."""
        begun = [(one, self._begin(one, origin)) for one in read if one.item.state == State.PLACING]
        try:
            for one, copying in begun:
                self._end(one, copying, origin)
        finally:
            for _, copying in begun:
                copying.close()

    def settle(self) -> None:
        """Wait until the names are on the disk, and prove that the disk is the library's still. Raises OperationFailed."""
        try:
            for descriptor in self._folders.values():
                fsync_directory(f"/proc/self/fd/{descriptor}")
            self._held.verify(self._folders)
        except SourceUnavailable as error:
            raise root_unavailable(error) from None

    def leave(self) -> None:
        """Remove the hidden names that were not used, and close the folders of the batch."""
        try:
            self._hidden.release()
        finally:
            while self._folders:
                os.close(self._folders.popitem()[1])

    def close(self) -> None:
        """End the threads that copy."""
        self._threads.shutdown()

    def _begin(self, one: ReadFile, origin: Origin) -> "_Copying":
        """Open what is needed, here, for an origin serves one thread; the copying itself is a thread's."""
        copying = _Copying()
        item = one.item
        try:
            copying.folder = self.folder_for(item.target_directory)
            if not one.was_placed:
                copying.source = origin.open(item)
                copying.facts = self._threads.submit(self._copy, copying, item)
        except (OSError, ValueError) as error:
            copying.error = error
        return copying

    def _copy(self, copying: _Copying, item: ImportItem) -> os.stat_result:
        """Copy what is open for an item into its folder. Raises FileExistsError, or what else went wrong."""
        return copy_into(
            copying.folder,
            unescape_path(item.target_filename),
            self._hidden.word_for(item),
            copying.source,
            mtime_ns=item.mtime_ns,
            md5=item.photo_md5,
            is_reserved=True,
        )

    def _end(self, one: ReadFile, copying: "_Copying", origin: Origin) -> None:
        item = one.item
        try:
            facts = copying.result()
            if facts is None and not one.was_placed:  # somebody else put one there meanwhile
                facts = self._copy_under_another_name(item, copying)
            one.facts = (
                FileFacts(facts.st_size, facts.st_mtime_ns)
                if facts
                else _facts_of(copying.folder, item.target_filename)
            )
            for kind, beside in one.sidecars.items():
                with suppress(OSError, ValueError):  # the photo is there, whatever becomes of this
                    self.copy_sidecar(beside, one.names[kind], item, origin, copying.folder)
                    if kind in SPEAKING:
                        one.beside[kind] = PlacedSidecar(one.names[kind], _facts_of(copying.folder, one.names[kind]))
        except (OSError, ValueError) as error:
            self._refuse(one, error)
        finally:
            copying.close()

    def _refuse(self, one: ReadFile, error: OSError | ValueError) -> None:
        """Note why a file could not be put into the library; raises if that is because the library is not there."""
        known = error if isinstance(error, OSError) else None
        one.item.target_directory = one.item.target_filename = ""
        reject(one.item, *reason_for_failure(known, one.result, is_writing=True))
        if known is not None and known.errno in (errno.EIO, errno.ENOENT, errno.ESTALE, errno.ENOTCONN):
            self._require_target()

    def _copy_under_another_name(self, item: ImportItem, copying: "_Copying") -> os.stat_result:
        wanted = item.target_filename
        for name in islice(numbered_names(wanted), 1, None):
            item.target_filename = name
            self._hidden.reserve(copying.folder, self._hidden.word_for(item))
            self._confirm([item])
            with suppress(FileExistsError):
                return self._copy(copying, item)
        raise FileExistsError(errno.EEXIST, "Every name is taken", wanted)

    def copy_sidecar(self, beside: ImportItem, name: str, photo: ImportItem, origin: Origin, folder: int) -> None:
        """Put a sidecar beside its photo; one that is there already stays, and its item says what became of it."""
        is_done = beside.state not in ImportItem.OPEN
        if is_done and (beside.target_directory, beside.target_filename) == (photo.target_directory, name):
            return  # it speaks about two photos, and came with the first
        try:
            descriptor = origin.open(beside)
        except OSError as error:
            reject(beside, *reason_for_failure(error, None))
            return
        try:
            copy_into(
                folder,
                unescape_path(name),
                self._hidden.word_for(photo, beside),
                descriptor,
                mtime_ns=beside.mtime_ns,
                is_reserved=True,
            )
        except FileExistsError:
            if not _is_same(folder, unescape_path(name), descriptor):  # else a killed import had put it there
                beside.state, beside.code = State.DUPLICATE, "in_library"
                beside.reason = "There is a file of that name beside the photo already."
        except OSError as error:
            reject(beside, *reason_for_failure(error, None, is_writing=True))
            return
        finally:
            os.close(descriptor)
        if beside.state in ImportItem.OPEN:
            beside.state = State.IMPORTED
        beside.target_directory, beside.target_filename = photo.target_directory, name


def _facts_of(folder: int, name: str) -> FileFacts:
    """Return size in bytes and mtime in ns of a file in the open folder. Raises OSError."""
    facts = os.stat(unescape_path(name), dir_fd=folder, follow_symlinks=False)
    return FileFacts(facts.st_size, facts.st_mtime_ns)


def _is_same(folder: int, name: bytes, descriptor: int) -> bool:
    found = content_of(folder, name)
    with open(os.dup(descriptor), "rb", buffering=0) as file:
        file.seek(0)
        return found is not None and found[1] == hashlib.file_digest(file, "md5").hexdigest()
