"""Proves that a bundle is whole: every file has the bytes that its manifest says, and what is counted is there."""

import errno
import hashlib
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from exports.formats.manifest import InvalidManifest, Manifest, ManifestFile, decode_manifest

from .decoding import decode
from .entries import MediaFile, Metadata
from .files import BundleFiles
from .layout import (
    LIST_FILES,
    MANIFEST_NAME,
    MEDIA_FOLDER,
    MEDIA_MANIFEST,
    METADATA_NAME,
    VERSION,
    ListFile,
    is_media_path,
)
from .lists import InvalidBundle, decode_object, read_list

READ_BYTES = 1 << 20
LARGEST_MANIFEST = 1 << 30
MOST_PROBLEMS = 100
STATS = {
    "albums.json": "albumCount",
    "notes.json": "noteCount",
    "drafts.json": "draftCount",
    "media_manifest.json": "mediaCount",
    "ratings.json": "ratingCount",
    "photos.json": "photoCount",
}
"""Which count of the metadata is that of which file."""
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_LISTS = {file.name: file for file in LIST_FILES}


@dataclass
class Verified:
    """What was found: nothing in `problems` means that all of it is right."""

    metadata: Metadata | None = None
    counts: dict[str, int] = field(default_factory=dict)
    file_count: int = 0
    size_bytes: int = 0
    problem_count: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, problem: str) -> None:
        """Note a problem; of very many the first are kept."""
        self.problem_count += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)


def verify(
    files: BundleFiles,
    *,
    on_chunk: Callable[[], None] = lambda: None,
    on_file: Callable[[], None] = lambda: None,
    told_md5: Callable[[str], str] = lambda name: "",
) -> Verified:
    """Read all of a bundle and return what is wrong with it.

    `on_chunk` is called before each piece that is read (1 MiB at most) and may raise to stop, `on_file` after each file.
    A medium whose MD5 is told by who keeps it is not read if it has the size that the manifest says.
    Raises OSError if there is no room for what a ZIP is unpacked to: that tells nothing of the bundle.
    """
    found = Verified()
    try:
        manifest = manifest_of(files)
    except (InvalidBundle, OSError) as error:
        raise_if_no_room(error)
        found.add(str(error))
        return found
    media_md5s: dict[str, str] = {}
    for file in manifest.files:
        try:
            is_medium = file.path.startswith(f"{MEDIA_FOLDER}/")
            md5 = told_md5(file.path) if is_medium and files.size(file.path) == file.size_bytes else ""
            if md5:
                found.file_count += 1
                found.size_bytes += file.size_bytes
            else:
                md5 = _prove(files, file, found, on_chunk).md5.hexdigest()
            if is_medium:
                media_md5s[file.path.removeprefix(f"{MEDIA_FOLDER}/")] = md5
        except (InvalidBundle, OSError, zipfile.BadZipFile, zlib.error) as error:
            raise_if_no_room(error)
            found.add(f"{file.path}: {error}")
        on_file()
    try:
        _check_metadata(files, manifest, found)
        _check_media(files, media_md5s, found)
    except (InvalidBundle, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise_if_no_room(error)
        found.add(str(error))
    return found


def raise_if_no_room(error: Exception) -> None:
    """Raise the error again if it is one of writing: whatever is read gives none of these."""
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        raise error


def manifest_of(files: BundleFiles) -> Manifest:
    """Return the manifest. Raises InvalidBundle if there is none, or it is damaged or another's; and OSError."""
    size = files.size(MANIFEST_NAME)
    if size is None:
        raise InvalidBundle(f"There is no {MANIFEST_NAME}: this is no backup, or it is not complete.")
    if size > LARGEST_MANIFEST:
        raise InvalidBundle(f"{MANIFEST_NAME} has {size:,} bytes, more than any backup needs.")
    with files.open(MANIFEST_NAME) as file:
        try:
            manifest = decode_manifest(_all_of(file, size))
        except InvalidManifest as error:
            raise InvalidBundle(str(error)) from None
    if manifest.format != "backup":
        raise InvalidBundle(f"{MANIFEST_NAME} is of an export of format {manifest.format[:20]!r}, not of a backup.")
    return manifest


def _all_of(file: BinaryIO, size: int) -> bytes:
    pieces = []
    while size > 0 and (piece := file.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


class _Measuring:
    """A stream that knows digests and size of what was read of it."""

    def __init__(self, file: BinaryIO, on_chunk: Callable[[], None], most_bytes: int) -> None:
        self._file, self._on_chunk, self._most = file, on_chunk, most_bytes
        self.md5, self.sha256, self.size_bytes = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0

    def read(self, size: int = -1) -> bytes:
        self._on_chunk()
        data = self._file.read(min(size, READ_BYTES) if size >= 0 else READ_BYTES)
        self.sha256.update(data)
        self.md5.update(data)
        self.size_bytes += len(data)
        if self.size_bytes > self._most:
            raise InvalidBundle(f"it has more than the {self._most:,} bytes that the manifest says.")
        return data


def _prove(files: BundleFiles, file: ManifestFile, found: Verified, on_chunk: Callable[[], None]) -> _Measuring:
    """Read all of a file, and count the entries if it is a list."""
    size = files.size(file.path)
    if size is None:
        raise InvalidBundle("it is missing.")
    with files.open(file.path) as stream:
        reader = _Measuring(stream, on_chunk, file.size_bytes)
        known = _LISTS.get(file.path)
        try:
            if known is not None:
                found.counts[file.path] = _count(cast(BinaryIO, reader), known)
        finally:
            while reader.read(READ_BYTES):
                pass
    if reader.size_bytes != file.size_bytes or reader.sha256.hexdigest() != file.sha256:
        raise InvalidBundle("its bytes are not those that were written: the backup is damaged.")
    found.file_count += 1
    found.size_bytes += file.size_bytes
    return reader


def _count(stream: BinaryIO, known: ListFile) -> int:
    count = 0
    for count, entry in enumerate(read_list(stream, known.key, known.name), 1):
        decode(entry, known.entry, f"{known.name}, entry {count}")
    return count


def _check_metadata(files: BundleFiles, manifest: Manifest, found: Verified) -> None:
    if METADATA_NAME not in {file.path for file in manifest.files}:
        raise InvalidBundle(f"The manifest does not name {METADATA_NAME}.")
    with files.open(METADATA_NAME) as stream:
        metadata: Metadata = decode(decode_object(stream, METADATA_NAME), Metadata, METADATA_NAME)
    found.metadata = metadata
    if metadata["version"].partition(".")[0] != VERSION.partition(".")[0]:
        raise InvalidBundle(
            f"{METADATA_NAME}: version {metadata['version'][:20]!r} is unknown here. Update the program."
        )
    for name, count in metadata.get("counts", {}).items():
        if found.counts.get(name) != count:
            found.add(f"{name} has {found.counts.get(name, 0):,} entries instead of {count:,}.")
    for name, told in STATS.items():
        if metadata["stats"][told] != found.counts.get(name, 0):  # type: ignore[literal-required]
            found.add(f"{METADATA_NAME} tells of {metadata['stats'][told]:,} entries of {name}.")  # type: ignore[literal-required]


def _check_media(files: BundleFiles, media_md5s: dict[str, str], found: Verified) -> None:
    """Compare the files below `media/` with what media_manifest.json says of them."""
    if files.size(MEDIA_MANIFEST.name) is None:
        raise InvalidBundle(f"There is no {MEDIA_MANIFEST.name}.")
    listed = set()
    with files.open(MEDIA_MANIFEST.name) as stream:
        for entry in read_list(stream, MEDIA_MANIFEST.key, MEDIA_MANIFEST.name):
            one: MediaFile = decode(entry, MediaFile, MEDIA_MANIFEST.name)
            path = one["exportPath"]
            listed.add(path)
            if not is_media_path(path):
                found.add(f"{MEDIA_MANIFEST.name}: {path[:200]!r} is no path of a media file.")
            elif media_md5s.get(path) != one["photo_md5"]:
                found.add(f"media/{path} is missing, or has not the content {one['photo_md5'][:40]}.")
    for path in sorted(media_md5s.keys() - listed):
        found.add(f"media/{path[:200]} is in no list.")
