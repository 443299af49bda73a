"""What a folder export asks of the place that it writes to."""

from collections.abc import Callable, Collection
from typing import Protocol


class TransportFolder(Protocol):
    """One open folder of a destination. Names are those of the file system (`os.fsdecode`), not escaped."""

    def names(self) -> list[str]:
        """Return the names of all that is in the folder."""

    def size_of(self, name: str) -> int | None:
        """Return the size of the file `name` in bytes; None if there is no such file."""

    def is_there(self, name: str) -> bool:
        """Tell whether anything of that very name is in the folder."""

    def digest_of(self, name: str) -> str:
        """Return the MD5 of all bytes of the file `name`. OSError if it cannot be read."""

    def put(
        self,
        descriptor: int,
        name: str,
        mtime_ns: int,
        *,
        expected_md5: str | None,
        before_publishing: Callable[[], None],
    ) -> str:
        """Copy what `descriptor` holds, whole and verified, to `name`, and return its MD5.

        Nothing is seen under the name before all of it is there, and nothing that has the name already is touched:
        NameTaken then. CopyFailed or another OSError, too, leave nothing; so does whatever `before_publishing` raises, which
        is called when all but the name is done. When this returns, the copy stays.
        """

    def delete_partials(self, names: Collection[str]) -> None:
        """Delete what killed copies to `names` left; only for who holds the destination's ledger."""

    def close(self) -> None:
        """Close the folder; safe to call twice."""


class Transport(Protocol):
    """Writes into one destination and reads what is there. Folders are named in escaped form, such as `2025/02/`."""

    def open_folder(self, rel_path: str) -> TransportFolder:
        """Return the folder, made if missing. InvalidRecord for what is no folder below the destination, OSError."""

    def open_copy(self, folder: str, name: str) -> int:
        """Return a read-only descriptor of the file `name` in `folder` (not escaped), for the caller to close. OSError."""

    def fit_name(self, name: str) -> str:
        """Return `name` as this kind of place can hold it."""
