"""Turns the sorted keys of a bucket into folders, and roots and paths into keys. Pure: no client, no clock."""

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, NamedTuple

from catalog.sources.base import Directory, Problem
from catalog.sources.kinds import why_left_out
from catalog.sources.names import is_system_file, is_system_folder
from photolala.lib.paths import escape_path, unescape_path

SCHEME = "s3://"
MOST_PROBLEMS = 20
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_SECOND_NS = 1_000_000_000
_MD5 = re.compile(r"[0-9a-f]{32}")
_LAST_CHARACTER = "\U0010ffff"
_by_name = itemgetter(0)

Wanted = Callable[[str], bool]


class BucketRoot(NamedTuple):
    """A bucket and the prefix below which a library is: "" for the whole bucket, else without a "/" at its ends."""

    bucket: str
    prefix: str

    @property
    def uri(self) -> str:
        """The canonical URI, `s3://bucket/prefix`, in the text form of `escape_path`; no percent-encoding."""
        return f"{SCHEME}{self.bucket}/{escape_path(self.prefix.encode())}" if self.prefix else SCHEME + self.bucket

    @property
    def key_prefix(self) -> str:
        """What every key of the library begins with: "" or the prefix and a "/"."""
        return f"{self.prefix}/" if self.prefix else ""

    def is_within(self, other: "BucketRoot") -> bool:
        """Return whether this root is `other` or is below it."""
        return self.bucket == other.bucket and self.key_prefix.startswith(other.key_prefix)


def bucket_root(bucket: str, prefix: str) -> BucketRoot:
    """Return the root of a prefix as it stands in keys; a "/" at its end is dropped. ValueError for what cannot be one."""
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(f"{bucket!r} is not the name of a bucket. Write s3://bucket/prefix.")
    folder = prefix.removesuffix("/")
    if folder and any(_oddity(part) for part in folder.split("/")):
        raise ValueError(
            f'The prefix {prefix!r} cannot be a library: it has an empty name, "." or ".." in it. Write s3://bucket/prefix.'
        )
    return BucketRoot(bucket, folder)


def parse_uri(uri: str) -> BucketRoot:
    """Return the root that `uri` (`s3://bucket/prefix`, in escaped form) names. ValueError with a sentence if none."""
    if not uri.startswith(SCHEME):
        raise ValueError(f"{uri!r} does not name a bucket. Write s3://bucket/prefix.")
    bucket, _, prefix = uri.removeprefix(SCHEME).partition("/")
    return bucket_root(bucket, _text_to_key(prefix))


def key_of(path: str) -> str:
    """Return the key, relative to the root, of a path in text form; "" for the root. ValueError for one out of it."""
    key = _text_to_key(path)
    if key and any(_oddity(part) for part in key.split("/")):
        raise ValueError(f"The path {path!r} does not lead to a place below the root of the library.")
    return key


def version_time_ns(last_modified: datetime, etag: str) -> int:
    """Return the whole seconds of `last_modified` (aware) since 1970 in ns, plus 0 to 999,999,999 drawn from the ETag.

    A bucket knows no nanoseconds: servers give whole seconds in one answer and fractions in another, and an object may
    be replaced twice in a second. So the fraction says instead which version it is, and (size, time) tells versions
    apart here as it does on a disk.
    """
    return (last_modified - _EPOCH) // _SECOND * _SECOND_NS + _drawn_from(etag)


def is_time_of(mtime_ns: int, md5: str) -> bool:
    """True if a time that `version_time_ns` gave may be that of an object whose ETag is `md5`."""
    return mtime_ns % _SECOND_NS == _drawn_from(md5)


def plain_etag(etag: str | None) -> str:
    """Return an ETag without quotes and without the mark of a weak one."""
    return (etag or "").removeprefix("W/").strip('"')


def md5_in_etag(etag: str | None) -> str:
    """Return the ETag if it looks like an MD5, else ""."""
    plain = plain_etag(etag).lower()
    return plain if _MD5.fullmatch(plain) else ""


def told_md5(response: dict[str, Any]) -> str:
    """Return the MD5 of the whole object as the answer's ETag tells it; "" if that is another kind of ETag.

    Multipart uploads have a hyphen in theirs; objects encrypted with keys of a service or of the customer have hexadecimal
    digits that are no MD5 of what is read.
    """
    is_encrypted = response.get("ServerSideEncryption") not in (None, "", "AES256")
    if is_encrypted or response.get("SSECustomerAlgorithm"):
        return ""
    return md5_in_etag(response.get("ETag"))


class FolderListing:
    """One folder in the making: takes its objects and subfolders in any order, and ends as a Directory."""

    def __init__(self, path: str, wanted: Wanted | None = None) -> None:
        self._directory = Directory(path)
        self._wanted = wanted
        self._left_out = 0

    def add_object(self, name: str, size_bytes: int, mtime_ns: int, *, is_opaque: bool = False) -> None:
        """Take an object whose key ends with `name` in this folder; "" is the folder's own marker.

        `is_opaque` says that its ETag is no MD5.
        """
        directory = self._directory
        if not name and not size_bytes:
            return
        reason = _oddity(name)
        if reason:
            self.add_problem(name, f"An object's name {reason}, so it is not listed. Rename it to have it listed.")
        elif odd := why_left_out(name):
            self.add_problem(name, odd)
        elif is_system_file(name):
            directory.hidden_count += 1
        elif self._wanted is None or self._wanted(name):
            if not name.isascii() or "\\" in name:
                name = escape_path(name.encode())
            directory.files.append((name, size_bytes, mtime_ns))
            if is_opaque:
                directory.opaque.add(name)

    def add_folder(self, name: str) -> str | None:
        """Take a subfolder; return its path, or None if it is left out with everything below it."""
        reason = _oddity(name)
        if reason:
            self.add_problem(
                f"{name}/", f"A folder's name {reason}. What lies in it is not listed; rename its objects."
            )
            return None
        if is_system_folder(name) or is_system_file(name):
            self._directory.hidden_count += 1
            return None
        text = escape_path(name.encode())
        self._directory.folders.append(text)
        return self._directory.path_of(text)

    def add_problem(self, name: str, reason: str) -> None:
        """Report `name` in this folder as left out; after 20 of them, the rest is only counted."""
        if len(self._directory.problems) < MOST_PROBLEMS:
            path = self._directory.path_of(escape_path(name.encode()))
            self._directory.problems.append(Problem(path, reason, "special"))
        else:
            self._left_out += 1

    def fail(self, reason: str) -> None:
        """Say that the folder could not be read to its end."""
        self._directory.is_complete = False
        self._directory.problems.append(Problem(self._directory.path, reason, "unreadable"))

    def finish(self) -> Directory:
        """Return the folder, sorted, with the names that are both a file and a folder taken out and reported."""
        directory = self._directory
        directory.folders.sort()
        directory.files.sort(key=_by_name)
        if directory.folders and directory.files:
            self._separate(frozenset(directory.folders))
        if self._left_out:
            more = f"{self._left_out:,} more names in this folder cannot be listed for such reasons."
            directory.problems.append(Problem(directory.path, more, "special"))
        return directory

    def _separate(self, folders: frozenset[str]) -> None:
        doubles = [facts for facts in self._directory.files if facts[0] in folders]
        if doubles:
            self._directory.files = [facts for facts in self._directory.files if facts[0] not in folders]
        for name, size_bytes, _ in doubles:
            if size_bytes:  # an empty one is how some tools mark a folder
                sentence = "This is an object and a folder at once, as no disk can hold. The folder is listed, the "
                path = self._directory.path_of(name)
                self._directory.problems.append(
                    Problem(path, f"{sentence}object is not; rename it to have it listed.", "special")
                )


class KeyTree:
    """Derives folders from ascending keys, holding those alone that are on the way to the latest key.

    All keys of a folder stand together, so it is finished with the first key that is elsewhere: children come before
    their parents. (The order is that of the bytes: "a b/" and "a.jpg" come before "a/".)
    """

    def __init__(self, wanted: Wanted | None = None) -> None:
        self._wanted = wanted
        self._prefix = ""
        self._parts: list[str] = []
        self._open = [FolderListing("", wanted)]
        self._skipped = ""

    def add(self, key: str, size_bytes: int, mtime_ns: int, *, is_opaque: bool = False) -> list[Directory]:
        """Take the next key (relative to the root); return the folders that it finishes. `is_opaque`: its ETag is no MD5."""
        if self._skipped and key.startswith(self._skipped):
            return []
        finished: list[Directory] = []
        slash = key.rfind("/") + 1
        if key[:slash] != self._prefix:
            finished = self._go_to(key[:slash])
            if self._skipped and key.startswith(self._skipped):
                return finished
        self._open[-1].add_object(key[slash:], size_bytes, mtime_ns, is_opaque=is_opaque)
        return finished

    def finish(self) -> list[Directory]:
        """Return the folders that are still open, the root last."""
        return self._leave(0) + [self._open[0].finish()]

    def jump_after(self, key: str) -> str:
        """Return the key after which the listing may continue, if `key` is in a folder that is left out; else ""."""
        return self._skipped + _LAST_CHARACTER if self._skipped and key.startswith(self._skipped) else ""

    def _go_to(self, prefix: str) -> list[Directory]:
        parts = prefix.split("/")[:-1]
        shared = 0
        for old, new in zip(self._parts, parts, strict=False):
            if old != new:
                break
            shared += 1
        finished = self._leave(shared)
        for depth in range(shared, len(parts)):
            path = self._open[-1].add_folder(parts[depth])
            if path is None:
                self._skipped = "/".join(parts[: depth + 1]) + "/"
                break
            self._parts.append(parts[depth])
            self._open.append(FolderListing(path, self._wanted))
        self._prefix = "".join(f"{part}/" for part in self._parts)
        return finished

    def _leave(self, depth: int) -> list[Directory]:
        finished = []
        while len(self._parts) > depth:
            self._parts.pop()
            finished.append(self._open.pop().finish())
        return finished


def _drawn_from(etag: str) -> int:
    return int(hashlib.md5(etag.encode(), usedforsecurity=False).hexdigest()[:15], 16) % _SECOND_NS if etag else 0


def _oddity(name: str) -> str:
    if not name:
        return "is empty"
    if name in (".", ".."):
        return f'is "{name}"'
    return "holds a NUL character" if "\x00" in name else ""


def _text_to_key(text: str) -> str:
    try:
        return unescape_path(text).decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"The path {text!r} cannot be in a bucket: its keys are UTF-8.") from None
