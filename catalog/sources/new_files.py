"""Put a new file into its place, whole or not at all."""

import os
from contextlib import suppress

from catalog.sources import renaming
from catalog.sources.hidden import PREFIX, remove_hidden, require_room_beside
from photolala.lib.files import fsync_directory


class NewFile:
    """A file that is to appear in the open folder `folder_fd` as `name`, whole; until `swap` it is under a hidden name.

    What a Replacement is for a file that is there.
    """

    def __init__(self, folder_fd: int, name: bytes, token: str, data: bytes) -> None:
        """Write `data` and bring it to the disk; what an earlier try with the same `token` left is removed. Raises OSError."""
        self._folder = os.dup(folder_fd)
        self._name = name
        self._hidden = f"{PREFIX}{token}.new".encode("ascii")
        self._is_in_place = False
        try:
            require_room_beside(self._folder, len(data))
            remove_hidden(self._folder, self._hidden)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(self._hidden, flags, 0o644, dir_fd=self._folder), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                self.facts = os.fstat(file.fileno())
        except BaseException:
            self.close()
            raise

    @property
    def is_in_place(self) -> bool:
        """True if the file has its name."""
        return self._is_in_place

    def swap(self) -> None:
        """Give the file its name. Raises FileExistsError if something has it, or another OSError (see Replacement.swap)."""
        renaming.rename_to_free_name(self._folder, self._hidden, self._folder, self._name)
        self._is_in_place = True
        fsync_directory(f"/proc/self/fd/{self._folder}")

    def swap_back(self) -> None:
        """Do nothing: another program may have the file by now, and it says what was wanted."""

    def close(self) -> None:
        """Close everything, and remove what still is under the hidden name."""
        if self._folder >= 0:
            with suppress(OSError):
                remove_hidden(self._folder, self._hidden)
        self.leave()

    def leave(self) -> None:
        """Close everything and change nothing."""
        if self._folder >= 0:
            os.close(self._folder)
        self._folder = -1
