"""Backups in a bucket: lists are made in a folder of the server and sent; attached files are sent once for all backups."""

import hashlib
import os
import tempfile
import time
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import IO

from catalog.sources.s3_keys import parse_uri
from exports.bundle.layout import MANIFEST_NAME, MEDIA_FOLDER
from exports.bundle.lists import InvalidBundle
from exports.bundle.verify import Verified, manifest_of, verify
from exports.destinations.bucket_backups import KEY_FILE, UNFINISHED, BucketBackups, BucketBundle, Listed
from exports.destinations.transports.bucket_folders import BucketFolder
from exports.formats.manifest import ManifestFile
from exports.models import BUCKET_BACKUPS, Backup

from .folder import READ_BYTES, BackupFolder, WrongContent
from .packing import Packed, remove_unfinished

_EARLIER = 3
MARKED_FOR_SECONDS = 6 * 3600
"""After so long the mark of an unfinished backup is put anew."""


def backups_of(backup: Backup) -> BucketBackups:
    """Return the backups of the prefix that a backup is in, or goes to."""
    return BucketBackups(parse_uri(backup.parent.removesuffix(f"/{BUCKET_BACKUPS}")))


class BucketPlace:
    """A prefix of a bucket."""

    def __init__(self, backup: Backup, require_mine: Callable[[], None]) -> None:
        self._backup, self._require_mine = backup, require_mine
        self._backups = backups_of(backup)

    def is_there(self) -> bool:
        """Tell whether the object is there that makes it complete."""
        mark = f"{self._backup.name}/{MANIFEST_NAME}" if not self._backup.is_encrypted else self._backup.file_name
        return mark in self._backups.listed(mark)

    def new_folder(self, token: int, on_chunk: Callable[[], None]) -> BackupFolder:
        """Return a folder of the server: of an encrypted backup with everything in it, else with the lists."""
        backup = self._backup
        if backup.is_encrypted:
            return BackupFolder(backup.parent_folder, str(backup.pk), token, on_chunk=on_chunk)
        return BucketBackupFolder(backup, token, self._backups, on_chunk, self._require_mine)

    def put_file(self, packed: Packed, on_chunk: Callable[[], None]) -> None:
        """Send the key file, then the encrypted ZIP, which the server compares with its MD5; delete it here."""
        backup, folder = self._backup, self._backups.folder()

        def require_mine() -> None:
            on_chunk()
            self._require_mine()

        if backup.key_file and not folder.is_there(f"{backup.name}{KEY_FILE}"):
            with tempfile.TemporaryFile(dir=packed.temporary.parent) as file:
                file.write(backup.key_file.encode())
                file.flush()
                _put(folder, file, f"{backup.name}{KEY_FILE}", require_mine)
        with packed.temporary.open("rb") as file:
            folder.delete_partials([backup.file_name])
            _put(folder, file, backup.file_name, require_mine)
        packed.temporary.unlink()

    def settle(self) -> None:
        """As the protocol says."""
        if not self._backup.is_encrypted:
            self._require_mine()
            with suppress(OSError):  # it counts for a day only, and the backup is there
                self._backups.remove(f"{self._backup.name}{UNFINISHED}")

    def remove(self) -> None:
        """Delete its objects, and what is left of it on the server. Media stay for the sweep: others may have them."""
        self._backups.remove_backup(self._backup.name)
        remove_unfinished(self._backup)


class BucketBackupFolder(BackupFolder):
    """Takes the files of a bundle: the lists are in the folder until they are sent, media go to the pool at once."""

    def __init__(
        self,
        backup: Backup,
        token: int,
        backups: BucketBackups,
        on_chunk: Callable[[], None],
        require_mine: Callable[[], None],
    ) -> None:
        super().__init__(backup.parent_folder, str(backup.pk), token, on_chunk=on_chunk)
        self._name, self._backups, self._require_mine = backup.name, backups, require_mine
        self._pool: BucketFolder | None = None
        self._listed: dict[str, Listed] = {}
        self._digests: dict[str, ManifestFile] = {}
        self._marked_at: float | None = None

    def begin(self) -> None:
        """Make the folder, tell other servers that a backup is being made, and look at what the prefix has."""
        super().begin()
        self._keep_marked()
        self._pool = self._backups.folder(MEDIA_FOLDER)
        self._listed = self._backups.listed(f"{MEDIA_FOLDER}/")
        self._digests = self._known_digests()

    def reuse_media(self, path: str, md5: str, size_bytes: int, earlier: Iterable[Path]) -> bool:
        """Take the content from the pool if the server says that it is that, and an earlier backup knows its digests."""
        self._keep_marked()
        known = self._digests.get(md5)
        if known is None or known.size_bytes != size_bytes or not self._is_in_pool(md5, size_bytes):
            return False
        self._on_chunk()
        self.files.append(ManifestFile(f"{MEDIA_FOLDER}/{path}", size_bytes, known.sha256, known.crc32))
        return True

    def copy_media(self, path: str, md5: str, chunks: Iterable[bytes]) -> None:
        """Send a content to the pool, unless a run that was stopped has. Raises WrongContent if it has not that MD5."""
        digest, sha256, crc32, size_bytes = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0, 0
        with tempfile.TemporaryFile(dir=self.folder) as file:
            for chunk in chunks:
                self._on_chunk()
                digest.update(chunk)
                sha256.update(chunk)
                crc32 = zlib.crc32(chunk, crc32)
                size_bytes += len(chunk)
                file.write(chunk)
            file.flush()
            if digest.hexdigest() != md5:
                raise WrongContent("Its bytes are not those that were sent.")
            if not self._is_in_pool(md5, size_bytes):
                self._put_in_pool(file, md5)
        self.files.append(ManifestFile(f"{MEDIA_FOLDER}/{path}", size_bytes, sha256.hexdigest(), f"{crc32:08x}"))

    def publish(self, target: Path) -> None:
        """Send the lists, and the manifest last: then it is a backup. What a run that was stopped had sent goes first."""
        self._require_mine()
        for path in self._backups.listed(f"{self._name}/"):
            self._require_mine()
            self._backups.remove(path)
        folder = self._backups.folder(self._name)
        names = [file.path for file in self.files if not file.path.startswith(f"{MEDIA_FOLDER}/")]
        for name in (*names, MANIFEST_NAME):
            self._on_chunk()
            with (self.folder / name).open("rb") as file:
                folder.delete_partials([name])
                _put(folder, file, name, self._require_mine)
        self.give_up()

    def _keep_marked(self) -> None:
        """Put the mark for which sweeps of other servers wait, also anew: it counts for a day, and a backup may take longer."""
        if self._marked_at is None or time.monotonic() - self._marked_at >= MARKED_FOR_SECONDS:
            self._require_mine()
            self._backups.mark_unfinished(self._name)
            self._marked_at = time.monotonic()

    def _put_in_pool(self, file: IO[bytes], md5: str) -> None:
        if self._pool is None:
            raise ValueError("The folder was not begun.")
        if f"{MEDIA_FOLDER}/{md5}" in self._listed:  # by its very name it is damaged
            self._require_mine()
            self._backups.remove(f"{MEDIA_FOLDER}/{md5}")
            self._pool = self._backups.folder(MEDIA_FOLDER)
        _put(self._pool, file, md5, self._require_mine)

    def _is_in_pool(self, md5: str, size_bytes: int) -> bool:
        """Tell whether the pool has that content: by the ETag, or by reading it where that is no MD5."""
        one = self._listed.get(f"{MEDIA_FOLDER}/{md5}")
        if one is None or one.size_bytes != size_bytes or self._pool is None:
            return False
        with suppress(FileNotFoundError):
            return one.md5 == md5 or self._pool.digest_of(md5) == md5
        return False

    def _known_digests(self) -> dict[str, ManifestFile]:
        """Return what the manifests of the newest backups there say of media, by MD5. A damaged one says nothing."""
        known: dict[str, ManifestFile] = {}
        for found in [one for one in self._backups.found() if not one.is_encrypted][:_EARLIER]:
            with suppress(InvalidBundle), BucketBundle(self._backups, found.name) as files:
                for file in manifest_of(files).files:
                    if file.path.startswith(f"{MEDIA_FOLDER}/"):
                        known.setdefault(file.path.rpartition("_")[2].partition(".")[0], file)
        return known


def verify_in_bucket(
    backup: Backup, *, is_quick: bool, on_chunk: Callable[[], None], on_file: Callable[[], None]
) -> Verified:
    """Read all of a backup; if `is_quick`, media only where the server does not tell their MD5s. InvalidBundle, OSError."""
    backups = backups_of(backup)
    if backup.is_encrypted:
        return _verify_file(backups, backup, on_chunk)
    with BucketBundle(backups, backup.name) as files:
        with files.open(MANIFEST_NAME) as stream:
            is_same = hashlib.file_digest(stream, "sha256").hexdigest() == backup.sha256  # type: ignore[arg-type]
        if not is_same:
            found = Verified()
            found.add(f"Its {MANIFEST_NAME} is not the one that was written: the backup is damaged.")
            return found
        if is_quick:
            return verify(files, on_chunk=on_chunk, on_file=on_file, told_md5=files.told_md5)
        return verify(files, on_chunk=on_chunk, on_file=on_file)


def _verify_file(backups: BucketBackups, backup: Backup, on_chunk: Callable[[], None]) -> Verified:
    """Read the object of an encrypted backup; one that was found there is compared with the MD5 that lies with it."""
    found = Verified()
    folder = backups.folder()
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with closing(backups.open(backup.file_name)) as stream:
        while chunk := stream.read(READ_BYTES):
            on_chunk()
            md5.update(chunk)
            sha256.update(chunk)
            found.size_bytes += len(chunk)
    found.file_count = 1
    is_same = (
        sha256.hexdigest() == backup.sha256
        if backup.sha256
        else md5.digest() == b64decode(folder.metadata_of(backup.file_name).get("md5chksum", ""))
    )
    if not is_same:
        found.add("Its bytes are not those that were written: the backup is damaged.")
    return found


def _put(folder: BucketFolder, file: IO[bytes], name: str, before_publishing: Callable[[], None]) -> None:
    folder.put(
        file.fileno(),
        name,
        os.fstat(file.fileno()).st_mtime_ns,
        expected_md5=None,
        before_publishing=before_publishing,
    )
