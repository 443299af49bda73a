"""Which folder and name a file of an import gets in the library: files of one shot together, under a name that is free."""

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

from catalog.entries.folder_comparison import LONGEST_PATH_BYTES
from catalog.files.layouts import folder_of
from catalog.importing.read_file import ReadFile, names_beside, shot_stem
from catalog.importing.reasons import reject
from catalog.models import Import, ImportItem, Library, Photo
from catalog.sources.names import skipped_part
from catalog.sources.placing import MOST_NUMBERS, numbered, open_folder
from photolala.lib.paths import escape_path

TOGETHER = timedelta(hours=26)
"""Files of one name are one shot if their times differ by no more: some know their offset from UTC, some do not."""
UNDATED = ("", "file")
"""Sources of dates that tell nothing about the shot: the time of a file is often that of a download."""
MOST_KEPT_FOLDERS = 64

State = ImportItem.State


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

    def plan(self, wanted: Import, kept: list[ReadFile]) -> None:
        """Choose folder and names, for all files of one shot together, and note them in the items."""
        groups: dict[tuple[str, str], list[ReadFile]] = defaultdict(list)
        for one in kept:
            groups[one.item.directory, shot_stem(one.item.filename)].append(one)
        for (directory, _), group in groups.items():
            for shot in _shots(group):
                self._plan_shot(wanted, directory, shot)

    def _plan_shot(self, wanted: Import, directory: str, shot: list[ReadFile]) -> None:
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
            self._imported[item.directory].setdefault(shot_stem(item.filename), item)

    def _sibling(self, directory: str, one: ReadFile) -> ImportItem | None:
        """Return what was imported before of the same shot (the picture of a Live Photo, the RAW of a JPEG), if anything."""
        if directory not in self._imported:
            if len(self._imported) > MOST_KEPT_FOLDERS:
                self._imported.clear()
            of_folder = self._wanted.items.filter(directory=directory, state=State.IMPORTED, is_sidecar=False)
            self._imported[directory] = {}
            for item in of_folder.only("directory", "filename", "target_directory", "target_filename"):
                self.note(item)
        found = self._imported[directory].get(shot_stem(one.item.filename))
        if found is None or found.pk == one.item.pk:
            return None
        photo = Photo.objects.filter(
            library=self.library, directory=found.target_directory, filename=found.target_filename
        ).first()
        if photo is None:
            return None
        is_dated = all(source not in UNDATED for source in (photo.taken_source, one.columns["taken_source"]))
        if is_dated and abs(photo.taken_local - one.columns["taken_local"]) > TOGETHER:
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


def _names(one: ReadFile, number: int) -> tuple[str, dict[str, str]]:
    photo = one.item.filename if number == 1 else numbered(one.item.filename, number)
    return photo, names_beside(one, photo)


def _number_of(sibling: ImportItem) -> int:
    """Return which number the sibling got."""
    for number in range(2, 100):
        if sibling.target_filename == numbered(sibling.filename, number):
            return number
    return 1


def _shots(group: list[ReadFile]) -> Iterator[list[ReadFile]]:
    """Split files of one name into shots: what was taken more than a day apart only shares its name."""
    rest = sorted(group, key=lambda one: (one.is_video, one.columns["taken_source"] in UNDATED))
    while rest:
        first = next((one for one in rest if one.columns["taken_source"] not in UNDATED), rest[0]).columns
        shot = [
            one
            for one in rest
            if first["taken_source"] in UNDATED or one.columns["taken_source"] in UNDATED
            or abs(one.columns["taken_local"] - first["taken_local"]) <= TOGETHER
        ]  # fmt: skip
        yield shot
        rest = [one for one in rest if one not in shot]


def _folder_for(wanted: Import, directory: str, shot: list[ReadFile]) -> str:
    """Return the folder of the library for a shot, by its first dated file."""
    if wanted.layout == Import.Layout.KEEP:
        return directory
    told = [one.columns for one in shot if one.columns["taken_source"]]
    dated = next((columns for columns in told if columns["taken_source"] not in UNDATED), told[0] if told else None)
    return folder_of(wanted.layout, dated["taken_local"] if dated else None)
