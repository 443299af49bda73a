"""The folder of one backup while it is written: complete under its final name, or not there at all."""

import hashlib
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from stat import S_ISREG
from typing import Any

from exports.bundle.entries import MediaFile, Metadata
from exports.bundle.layout import MEDIA_FOLDER, MEDIA_MANIFEST, METADATA_NAME, ListFile
from exports.bundle.lists import encode_object, write_list
from exports.formats.manifest import MANIFEST_NAME, Manifest, ManifestFile, encode_manifest
from exports.formats.sink import PARTIAL_PREFIX, MeasuredFile, give_up_partial
from photolala.lib.files import atomic_write, fsync_directory

READ_BYTES = 1 << 20
LEFT_MEDIA = ".left-media"
"""What an earlier run of the same backup had copied below `media/`: used again if it is what it should be."""


class WrongContent(OSError):
    """A file has not the bytes that it should have."""


class BackupFolder:
    """Takes the files of a bundle; `publish` gives it its name.

    It is `.partial-<backup id>-<token>` in `parent`. A run takes over what an earlier one left: the media, each of which is
    read and proven before it is used. A run that was frozen and wakes finds no folder of its name any more.
    """

    def __init__(self, parent: Path, key: str, token: int, *, on_chunk: Callable[[], None]) -> None:
        """`on_chunk` is called before each MiB that is read or written, and may raise to stop."""
        self.parent, self.key = parent, key
        self.folder = parent / f"{PARTIAL_PREFIX}{key}-{token}"
        self.files: list[ManifestFile] = []
        self._token = token
        self._on_chunk = on_chunk
        self._folders: set[Path] = set()

    def begin(self) -> None:
        """Make the folder, with the media of the newest earlier run if there are any; remove what other runs left."""
        self.parent.mkdir(parents=True, exist_ok=True)
        for _, left in sorted(self._left_by_earlier_runs(), reverse=True):
            if not self.folder.exists():
                with suppress(OSError):  # another run has taken it
                    left.rename(self.folder)
                    continue
            give_up_partial(left)
        self.folder.mkdir(exist_ok=True)
        media, left_media = self.folder / MEDIA_FOLDER, self.folder / LEFT_MEDIA
        if media.exists() and not left_media.exists():
            media.rename(left_media)
        for path in list(self.folder.iterdir()):
            if path.is_dir() and path != left_media:
                give_up_partial(_named_as_partial(path))
            elif path != left_media:
                path.unlink()

    def _left_by_earlier_runs(self) -> Iterator[tuple[int, Path]]:
        prefix = f"{PARTIAL_PREFIX}{self.key}-"
        for path in self.parent.glob(f"{prefix}*"):
            text = path.name.removeprefix(prefix)
            if text.isdecimal() and int(text) < self._token and path.is_dir():
                yield int(text), path

    def write_list(self, file: ListFile, entries: Iterable[Any]) -> int:
        """Write a list file, and return how many entries it has."""
        with self._new_file(file.name) as sink:
            return write_list(sink, file.key, self._counted(entries))

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write a small file."""
        with self._new_file(name) as sink:
            sink.write(data)

    def _counted(self, entries: Iterable[Any]) -> Iterator[Any]:
        for number, entry in enumerate(entries):
            if number % 1000 == 0:
                self._on_chunk()
            yield entry

    @contextmanager
    def _new_file(self, name: str) -> Iterator[MeasuredFile]:
        file = MeasuredFile(self.folder / name)
        try:
            yield file
            self.files.append(file.finish(name))
        finally:
            file.close()

    def reuse_media(self, path: str, md5: str, size_bytes: int, earlier: Iterable[Path]) -> bool:
        """Put `media/<path>` where an earlier run, or an earlier backup's `media/` in `earlier`, has that very content.

        All of it is read: name, size and time prove nothing. From an earlier backup it is a hard link, and no new bytes.
        """
        target = self._target(path)
        for source in (self.folder / LEFT_MEDIA / path, *(folder / path for folder in earlier)):
            try:
                status = source.lstat()
                if not S_ISREG(status.st_mode) or status.st_size != size_bytes:
                    continue
                entry = self._measured(source, f"{MEDIA_FOLDER}/{path}", md5)
                os.link(source, target, follow_symlinks=False)
            except OSError:  # not there, damaged, or a file system without links: the media store has it
                target.unlink(missing_ok=True)
                continue
            self.files.append(entry)
            return True
        return False

    def _measured(self, source: Path, name: str, md5: str) -> ManifestFile:
        digest, sha256, crc32, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0, 0
        with open(os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb", buffering=0) as file:
            while chunk := file.read(READ_BYTES):
                self._on_chunk()
                digest.update(chunk)
                sha256.update(chunk)
                crc32 = zlib.crc32(chunk, crc32)
                size += len(chunk)
            os.fsync(file.fileno())
        if digest.hexdigest() != md5:
            raise WrongContent(f"{source} has changed.")
        return ManifestFile(name, size, sha256.hexdigest(), f"{crc32:08x}")

    def copy_media(self, path: str, md5: str, chunks: Iterable[bytes]) -> None:
        """Write `media/<path>`. Raises WrongContent if it has not that MD5, and what `chunks` raises; nothing is left then."""
        target = self._target(path)
        digest = hashlib.md5(usedforsecurity=False)
        file = MeasuredFile(target)
        try:
            for chunk in chunks:
                self._on_chunk()
                digest.update(chunk)
                file.write(chunk)
            if digest.hexdigest() != md5:
                raise WrongContent("Its bytes are not those that were sent.")
            self.files.append(file.finish(f"{MEDIA_FOLDER}/{path}"))
        except BaseException:
            file.close()
            target.unlink(missing_ok=True)
            raise

    def _target(self, path: str) -> Path:
        target = self.folder / MEDIA_FOLDER / path
        (self.folder / MEDIA_FOLDER).mkdir(exist_ok=True)  # FileNotFoundError if another run has taken the folder
        target.parent.mkdir(exist_ok=True)
        self._folders |= {self.folder / MEDIA_FOLDER, target.parent}
        return target

    def finish(self, created: datetime, metadata: Metadata, media: list[MediaFile], issues: str) -> bytes:
        """Write the last files and wait for the disk; return the bytes of the manifest."""
        self.write_list(MEDIA_MANIFEST, media)
        if issues:
            self.write_bytes("issues.txt", issues.encode())
        self.write_bytes(METADATA_NAME, encode_object(metadata))
        stats = metadata["stats"]
        manifest = encode_manifest(
            Manifest("backup", created, stats["photoCount"], stats["mediaCount"], files=tuple(self.files))
        )
        atomic_write(self.folder / MANIFEST_NAME, manifest)
        left_media = self.folder / LEFT_MEDIA
        if left_media.exists():
            give_up_partial(_named_as_partial(left_media))
        for folder in sorted(self._folders, reverse=True):
            fsync_directory(folder)
        fsync_directory(self.folder)
        return manifest

    def publish(self, target: Path) -> None:
        """Give the folder its name. OSError if there is a folder of that name with something in it."""
        os.rename(self.folder, target)
        fsync_directory(self.parent)

    def give_up(self) -> None:
        """Delete it."""
        give_up_partial(self.folder)


def _named_as_partial(folder: Path) -> Path:
    """Rename a folder inside of a partial one so that it may be removed."""
    doomed = folder.with_name(f"{PARTIAL_PREFIX}{folder.name.lstrip('.')}")
    folder.rename(doomed)
    return doomed
