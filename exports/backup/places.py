"""Where the files of a backup go: a folder of the server, or a prefix of a bucket."""

from collections.abc import Callable
from typing import Protocol

from exports.formats.sink import PARTIAL_PREFIX, remove_partial
from exports.models import Backup

from .folder import BackupFolder
from .packing import Packed, remove_unfinished


class Place(Protocol):
    """Keeps the files of one backup. Every method raises OSError if the disk, or the server of the bucket, refuses."""

    def is_there(self) -> bool:
        """Tell whether the backup is there under its name, complete."""

    def new_folder(self, token: int, on_chunk: Callable[[], None]) -> BackupFolder:
        """Return the folder in which a run with that token makes the backup."""

    def put_file(self, packed: Packed, on_chunk: Callable[[], None]) -> None:
        """Give the backup, which is one file, its name there. `on_chunk` may raise to stop."""

    def settle(self) -> None:
        """Take away what told others that it was being made, now that it is there and verified."""

    def remove(self) -> None:
        """Delete its files, complete or not. It loses its name first: one deleted in part never looks whole."""


class DiskPlace:
    """A folder of the server."""

    def __init__(self, backup: Backup) -> None:
        self._backup = backup

    def is_there(self) -> bool:
        """As the protocol says."""
        return self._backup.path.exists()

    def new_folder(self, token: int, on_chunk: Callable[[], None]) -> BackupFolder:
        """As the protocol says."""
        return BackupFolder(self._backup.parent_folder, str(self._backup.pk), token, on_chunk=on_chunk)

    def put_file(self, packed: Packed, on_chunk: Callable[[], None]) -> None:
        """As the protocol says."""
        packed.publish(self._backup.path)

    def settle(self) -> None:
        """As the protocol says: nobody else makes backups there."""

    def remove(self) -> None:
        """As the protocol says."""
        backup = self._backup
        doomed = backup.parent_folder / f"{PARTIAL_PREFIX}{backup.pk}-deleted"
        if backup.path.is_dir():
            remove_partial(doomed)
            backup.path.rename(doomed)
        else:
            backup.path.unlink(missing_ok=True)
        remove_unfinished(backup)


def place_of(backup: Backup, require_mine: Callable[[], None] = lambda: None) -> Place:
    """Return where a backup goes. `require_mine` is called before anything of a bucket is changed, and may raise."""
    if backup.is_in_bucket:
        from .bucket import BucketPlace

        return BucketPlace(backup, require_mine)
    return DiskPlace(backup)
