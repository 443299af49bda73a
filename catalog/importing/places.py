"""Where the files of an import come to lie in the library, and putting them there: under free names, whole, or not at all."""

import errno
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from catalog.entries.listing import LONGEST_PATH_BYTES
from catalog.entries.sql import Row
from catalog.files.layouts import folder_of
from catalog.importing.claims import HiddenNames
from catalog.importing.origins import Origin
from catalog.importing.reasons import reason_for_failure, reject
from catalog.media.results import DigestResult
from catalog.models import Import, ImportItem, Library, Photo
from catalog.sources.held_root import HeldRoot
from catalog.sources.kinds import sidecar_target
from catalog.sources.names import skipped_part
from catalog.sources.placing import content_of, copy_into, numbered, open_folder
from photolala.lib.files import fsync_directory
from photolala.lib.paths import escape_path, unescape_path

SPEAKING = ("xmp", "takeout")
"""The kinds of sidecars that a scan reads."""
TOGETHER = timedelta(hours=26)
"""Files of one name are one shot if their times differ by no more: some know their offset from UTC, some do not."""
MOST_NUMBERS = 10_000
MOST_KEPT_FOLDERS = 64
COPIES_AT_ONCE = 3

State = ImportItem.State
Facts = tuple[int, int]
"""Size in bytes, modification time in ns."""


@dataclass(slots=True)
class Read:
    """One file of a window, what was read of it, and where it is to go."""

    item: ImportItem
    result: DigestResult
    columns: Row = field(default_factory=dict)
    sidecars: dict[str, ImportItem] = field(default_factory=dict)
    """The sidecars that travel with it, by kind."""
    names: dict[str, str] = field(default_factory=dict)
    """What they are called in the library, by kind."""
    was_placed: bool = False
    """A killed import had put it into the library already."""
    facts: Facts | None = None
    """Size and time of the file in the library, once it is there."""
    beside: dict[str, tuple[str, Facts]] = field(default_factory=dict)
    """Name, size and time of its sidecars in the library, by kind."""

    @property
    def is_video(self) -> bool:
        """True for moving pictures."""
        return self.result.media_type.startswith("video/")


class Planner:
    """Chooses folders and names."""

    def __init__(self, library: Library, root: int) -> None:
        """`root` is the descriptor of the library's root."""
        self.library, self.root = library, root
        self._wanted: Import
        self._imported: dict[str, dict[str, ImportItem]] = {}
        """What was imported, by folder and stem of the name."""
        self.taken: dict[str, set[str]] = {}
        """The lower-case names in folders of the library, as of this window; a name that is taken meanwhile is no harm."""

    def plan(self, wanted: Import, kept: list[Read]) -> None:
        """Choose folder and names, for all files of one shot together, and note them in the items."""
        groups: dict[tuple[str, str], list[Read]] = defaultdict(list)
        for one in kept:
            groups[one.item.directory, stem_of(one.item.filename).lower()].append(one)
        for (directory, _), group in groups.items():
            for shot in _shots(group):
                self._plan_shot(wanted, directory, shot)

    def _plan_shot(self, wanted: Import, directory: str, shot: list[Read]) -> None:
        placed = [one for one in shot if one.item.target_filename]
        fresh = [one for one in shot if not one.item.target_filename]
        sibling = placed[0].item if placed else self._sibling(directory, shot[0])
        target = sibling.target_directory if sibling else _folder_for(wanted, directory, shot)
        names = self.taken.get(target)
        if names is None:
            names = self.taken[target] = self._names_in(target)
        start = _number_of(sibling) if sibling else 1
        for number in range(start, start + MOST_NUMBERS):
            chosen = [_names(one, number) for one in fresh]
            every = [name for photo, beside in chosen for name in (photo, *beside.values())]
            if not any(name.lower() in names for name in every):
                break
        for one, (photo, beside) in zip(fresh, chosen, strict=True):
            one.item.target_directory, one.item.target_filename, one.names = target, photo, beside
            if skipped := skipped_part(one.item.target):
                words = f"A scan would not see it because of “{skipped}” in its path. Import it under another name."
                one.item.target_directory = one.item.target_filename = ""
                reject(one.item, "hidden", words)
                continue
            if len(one.item.target.encode()) > LONGEST_PATH_BYTES:
                reject(one.item, "unsupported", "Its path in the library would be longer than can be catalogued.")
                continue
            one.item.state = State.PLACING
            names.update(name.lower() for name in (photo, *beside.values()))
        for one in placed:
            one.names = names_beside(one, one.item.target_filename)

    def begin(self, wanted: Import) -> None:
        """Forget what was known of another import."""
        self._wanted = wanted
        self._imported.clear()

    def note(self, item: ImportItem) -> None:
        """Remember that a file was imported: others of the same shot may follow."""
        if item.directory in self._imported:
            self._imported[item.directory].setdefault(stem_of(item.filename).lower(), item)

    def _sibling(self, directory: str, one: Read) -> ImportItem | None:
        """Return what was imported before of the same shot (the picture of a Live Photo, the RAW of a JPEG), if anything."""
        if directory not in self._imported:
            if len(self._imported) > MOST_KEPT_FOLDERS:
                self._imported.clear()
            of_folder = self._wanted.items.filter(directory=directory, state=State.IMPORTED, is_sidecar=False)
            self._imported[directory] = {}
            for item in of_folder.only("directory", "filename", "target_directory", "target_filename"):
                self.note(item)
        found = self._imported[directory].get(stem_of(one.item.filename).lower())
        if found is None or found.pk == one.item.pk:
            return None
        photo = Photo.objects.filter(
            library=self.library, directory=found.target_directory, filename=found.target_filename
        ).first()
        if photo is None or abs(photo.taken_local - one.columns["taken_local"]) > TOGETHER:
            return None
        return found

    def _names_in(self, directory: str) -> set[str]:
        """Return the lower-case names in a folder of the library; none if it is not there yet."""
        with suppress(OSError, ValueError):
            folder = open_folder(self.root, directory)
            try:
                return {escape_path(os.fsencode(name)).lower() for name in os.listdir(folder)}
            finally:
                os.close(folder)
        return set()


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

    def lies_there(self, item: ImportItem) -> bool:
        """True if the file lies where its item says, with the content that was read."""
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

    def reserve(self, read: Sequence[Read]) -> None:
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

    def place(self, read: Sequence[Read], origin: Origin) -> None:
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
        """Wait until the names are on the disk, and prove that the disk is the library's still. Raises SourceUnavailable."""
        for descriptor in self._folders.values():
            fsync_directory(f"/proc/self/fd/{descriptor}")
        self._held.verify(self._folders)

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

    def _begin(self, one: Read, origin: Origin) -> "_Copying":
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

    def _end(self, one: Read, copying: "_Copying", origin: Origin) -> None:
        item = one.item
        try:
            facts = copying.result()
            if facts is None and not one.was_placed:  # somebody else put one there meanwhile
                facts = self._copy_under_another_name(item, copying)
            one.facts = (facts.st_size, facts.st_mtime_ns) if facts else _facts_of(copying.folder, item.target_filename)
            for kind, beside in one.sidecars.items():
                with suppress(OSError, ValueError):  # the photo is there, whatever becomes of this
                    self.copy_sidecar(beside, one.names[kind], item, origin, copying.folder)
                    if kind in SPEAKING:
                        one.beside[kind] = (one.names[kind], _facts_of(copying.folder, one.names[kind]))
        except (OSError, ValueError) as error:
            self._refuse(one, error)
        finally:
            copying.close()

    def _refuse(self, one: Read, error: OSError | ValueError) -> None:
        """Note why a file could not be put into the library; raises if that is because the library is not there."""
        known = error if isinstance(error, OSError) else None
        one.item.target_directory = one.item.target_filename = ""
        reject(one.item, *reason_for_failure(known, one.result, is_writing=True))
        if known is not None and known.errno in (errno.EIO, errno.ENOENT, errno.ESTALE, errno.ENOTCONN):
            self._require_target()

    def _copy_under_another_name(self, item: ImportItem, copying: "_Copying") -> os.stat_result:
        wanted = item.target_filename
        for number in range(2, MOST_NUMBERS):
            item.target_filename = numbered(wanted, number)
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


def _facts_of(folder: int, name: str) -> Facts:
    """Return size in bytes and mtime in ns of a file in the open folder. Raises OSError."""
    facts = os.stat(unescape_path(name), dir_fd=folder, follow_symlinks=False)
    return facts.st_size, facts.st_mtime_ns


def _is_same(folder: int, name: bytes, descriptor: int) -> bool:
    found = content_of(folder, name)
    with open(os.dup(descriptor), "rb", buffering=0) as file:
        file.seek(0)
        return found is not None and found[1] == hashlib.file_digest(file, "md5").hexdigest()


def stem_of(name: str) -> str:
    """Return a file name without its extension."""
    return os.path.splitext(name)[0]


def _names(one: Read, number: int) -> tuple[str, dict[str, str]]:
    photo = one.item.filename if number == 1 else numbered(one.item.filename, number)
    return photo, names_beside(one, photo)


def names_beside(one: Read, photo: str) -> dict[str, str]:
    return {
        kind: sidecar_target(kind, beside.filename, one.item.filename, photo) for kind, beside in one.sidecars.items()
    }


def _number_of(sibling: ImportItem) -> int:
    """Return which number the sibling got."""
    for number in range(2, 100):
        if sibling.target_filename == numbered(sibling.filename, number):
            return number
    return 1


def _shots(group: list[Read]) -> Iterator[list[Read]]:
    """Split files of one name into shots: what was taken more than a day apart only shares its name."""
    rest = sorted(group, key=lambda one: (one.is_video, one.columns["taken_source"] in ("", "file")))
    while rest:
        first = rest[0].columns
        shot = [
            one
            for one in rest
            if one is rest[0] or not first["taken_source"] or not one.columns["taken_source"]
            or abs(one.columns["taken_local"] - first["taken_local"]) <= TOGETHER
        ]  # fmt: skip
        yield shot
        rest = [one for one in rest if one not in shot]


def _folder_for(wanted: Import, directory: str, shot: list[Read]) -> str:
    """Return the folder of the library for a shot, by its first dated file."""
    if wanted.layout == Import.Layout.KEEP:
        return directory
    dated = next((one.columns for one in shot if one.columns["taken_source"]), None)
    return folder_of(wanted.layout, dated["taken_local"] if dated else None)
