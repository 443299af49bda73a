"""What every source of photos can do, whether it is a local folder, a network share or a bucket."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from photolala.lib.paths import join_path

FileFacts = tuple[str, int, int]
"""(name in its text form, size in bytes, modification time in ns). A plain tuple: a walk makes millions of them."""

ProblemKind = Literal["unreadable", "changed", "special", "loop"]


class SourceUnavailable(Exception):
    """The source as a whole cannot be read now; the message is a sentence that says why and what to do."""


class FileChanged(OSError):
    """The file is not the one that was expected: its size or modification time differs."""


class NotARegularFile(OSError):
    """The name leads to a folder, a link, a FIFO, a socket or a device, none of which is ever read as a photo."""


class Problem(NamedTuple):
    """One thing below the root that was left out: its path, a sentence saying why, and what kind of reason that is."""

    path: str
    reason: str
    kind: ProblemKind


@dataclass(slots=True)
class Directory:
    """The regular, visible files of one folder.

    `path` is relative to the root ("" for the root itself), `/`-separated, in the text form of `photolala.lib.paths`;
    so are the names in `files` and `folders`, both sorted by name. If `is_complete` is False, something in it could not
    be read (see `problems`): what is absent from `files` and from below must not be taken for gone.
    """

    path: str
    files: list[FileFacts] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    hidden_count: int = 0
    link_count: int = 0
    is_complete: bool = True
    opaque: set[str] = field(default_factory=set)
    """Of a bucket: the names of objects whose ETag is no MD5, so that their bytes cannot be compared with it."""

    def path_of(self, name: str) -> str:
        """Return the path, relative to the root, of the file or folder `name` in this folder."""
        return join_path(self.path, name)


class Source(Protocol):
    """Where a library's photos are. Paths are relative to the root and in the text form of `photolala.lib.paths`."""

    @property
    def uri(self) -> str:
        """The root's canonical URI, such as `file:///absolute/path` or `s3://bucket/prefix`."""

    @property
    def root_md5(self) -> str:
        """MD5 of `uri` in UTF-8, 32 hex digits: the name of the root's folder in the cache."""

    def check(self) -> None:
        """Raise SourceUnavailable if the root cannot be listed now."""

    def walk(self) -> Iterator[Directory]:
        """Yield every folder, parents first and siblings by name. Opens no file. SourceUnavailable: the root."""

    def list_directory(self, path: str) -> Directory:
        """Return one folder as it is now. Problems are in the result; ValueError for a path out of the root."""

    def open(self, path: str, *, expected: tuple[int, int] | None = None) -> int:
        """Return a read-only file descriptor, which the caller closes.

        `expected` is (size in bytes, mtime in ns): FileChanged if the file is another one now. Other errors: OSError.
        """

    is_far: bool
    """Whether each file costs a wait: then several are opened at once, and surveys ask for heads only."""

    def open_head(self, path: str) -> int:
        """Like `open`, but the descriptor may hold the first 64 KiB only, so that its size is not the file's."""

    def root_is_writable(self) -> bool:
        """Whether files can be written into the root, as far as one can tell without writing."""

    def close(self) -> None:
        """Give back what the source holds open. It may be used again afterwards."""
