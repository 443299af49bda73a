"""The open folders of a folder export, and the names in them: which file is whose, and which name is free."""

import logging
import os
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress

from exports.destinations.transports.base import Transport, TransportFolder
from exports.ledger.errors import InvalidRecord
from exports.ledger.names import TakenNames, collision_key, numbered_names
from exports.ledger.original_copy import NameTaken
from exports.ledger.records import INTERRUPTED, ExportRecord
from photolala.lib.paths import unescape_path

MOST_OPEN_FOLDERS = 32

logger = logging.getLogger(__name__)


class OpenFolder:
    """One folder of the destination; what killed copies left in it is removed when it is opened."""

    def __init__(self, folder: TransportFolder, recorded: Iterator[str]) -> None:
        self.folder = folder
        owned = set(recorded)
        folder.delete_partials(owned)
        names = folder.names()
        self._owned = {collision_key(name) for name in owned}
        self._taken = TakenNames([*names, *owned])
        self._there: defaultdict[str, list[str]] = defaultdict(list)
        for name in names:
            self._there[collision_key(name)].append(name)

    def size_of(self, name: str) -> int | None:
        """Return the size of the file `name`, or None."""
        return self.folder.size_of(name)

    def is_there(self, name: str) -> bool:
        """Tell whether anything of that very name is in the folder."""
        return self.folder.is_there(name)

    def holds(self, name: str, size_bytes: int, md5: str) -> bool:
        """Tell whether the file `name` has exactly these bytes; reads it if its size fits. What cannot be read has not."""
        if not md5 or self.size_of(name) != size_bytes:
            return False
        try:
            return self.folder.digest_of(name) == md5
        except OSError as error:  # a bad sector, or no right to read: another copy is made beside it
            logger.warning("%s in %s cannot be read: %s", name, self.folder, error.strerror)
            return False

    def find_unowned(self, name: str, size_bytes: int, md5: str) -> str | None:
        """Return `name` or a numbered form of it that holds these bytes and is nobody's by the records; or None.

        A name that a careless disk takes for the same counts, too: the twin of a name in another Unicode form got a number.
        """
        for candidate in numbered_names(name):
            key = collision_key(candidate)
            there = self._there.get(key, [])
            if candidate not in there and self.is_there(candidate):  # came since the folder was opened
                there = [*there, candidate]
            if not there and key not in self._owned:
                return None
            if key not in self._owned:
                for found in there:
                    if self.holds(found, size_bytes, md5):
                        return found
        return None

    def put(
        self,
        descriptor: int,
        name: str,
        *,
        size_bytes: int,
        mtime_ns: int,
        md5: str,
        before_publishing: Callable[[], None],
    ) -> tuple[str, bool]:
        """Let a file with these bytes be there as `name`, or as its next free form; return its name, and whether it was copied.

        OSError, and NoFreeName after number 10,000.
        """
        while not self.holds(name, size_bytes, md5):
            claimed = self.claim(name)
            try:
                self.folder.put(descriptor, claimed, mtime_ns, expected_md5=md5, before_publishing=before_publishing)
            except NameTaken:
                continue
            return claimed, True
        return name, False

    def own(self, name: str) -> None:
        """Note that the name belongs to a photo."""
        self._owned.add(collision_key(name))

    def claim(self, name: str) -> str:
        """Return `name` or its next free numbered form, and take it. NoFreeName after number 10,000."""
        free = self._taken.claim(name)
        self.own(free)
        return free


class OpenFolders:
    """The folders used last, each with the names that the records give to its photos. Close it at the end."""

    def __init__(self, transport: Transport, records: Iterator[ExportRecord]) -> None:
        self.transport = transport
        self._open: OrderedDict[str, OpenFolder] = OrderedDict()
        self._recorded: defaultdict[str, list[str]] = defaultdict(list)
        self._interrupted: set[str] = set()
        for record in records:
            if record.filename:
                self._recorded[record.rel_path].append(record.filename)
            if record.last_error == INTERRUPTED:
                self._interrupted.add(record.rel_path)

    def clear_interrupted(self) -> None:
        """Remove what killed copies left: a photo that was dated or deleted since does not lead to that folder any more."""
        for rel_path in sorted(self._interrupted):
            with suppress(InvalidRecord, OSError):  # said of the photos that belong there
                self.get(rel_path)
            self.trim()

    def get(self, rel_path: str) -> OpenFolder:
        """Return the folder, made if missing. InvalidRecord, OSError."""
        known = self._open.get(rel_path)
        if known is not None:
            self._open.move_to_end(rel_path)
            return known
        folder = self.transport.open_folder(rel_path)
        try:
            opened = OpenFolder(folder, (file_name(name) for name in self._recorded[rel_path]))
        except BaseException:
            folder.close()
            raise
        self._open[rel_path] = opened
        return opened

    @property
    def are_too_many(self) -> bool:
        """True when more are open than should be: then finish what is at work in them, and `trim`."""
        return len(self._open) > MOST_OPEN_FOLDERS

    def trim(self) -> None:
        """Close all but those used last. Nothing may be at work in the others."""
        while self.are_too_many:
            self._open.popitem(last=False)[1].folder.close()

    def remember(self, rel_path: str, filename: str) -> None:
        """Note the recorded name of a photo, for when its folder is opened again."""
        self._recorded[rel_path].append(filename)

    def close(self) -> None:
        """Close all folders that were opened."""
        while self._open:
            self._open.popitem()[1].folder.close()


def file_name(recorded: str) -> str:
    """Return the name on disk, or the folder's path, that a record means."""
    try:
        name = os.fsdecode(unescape_path(recorded))
    except ValueError:  # another program wrote it, which does not escape a backslash
        return recorded
    return recorded if "\0" in name else name  # no name holds a NUL: that program means a backslash here, too
