"""Copies one object of a bucket, or its first bytes, behind a descriptor that looks like a file's."""

import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from contextlib import closing
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from catalog.sources import s3_errors
from catalog.sources.s3_errors import FAILURES, BrokenStream, Retries, WrongBytes
from catalog.sources.s3_keys import plain_etag, told_md5, version_time_ns

CHUNK_BYTES = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-[0-9]+/([0-9]+)")


class ObjectVersion(NamedTuple):
    """Which version of an object it is: for a cache of hashes, the ETag with the size is the key."""

    etag: str
    """Without quotes. Not always an MD5."""
    size_bytes: int
    mtime_ns: int
    """As the listing gives it: see `version_time_ns`."""


class LocalCopy:
    """Bytes in memory (or, when there are more than `memory_bytes`, in an unlinked file in `folder`) and their reader."""

    def __init__(self, size_bytes: int, memory_bytes: int, folder: str | None) -> None:
        if size_bytes <= memory_bytes:
            self._writer = os.memfd_create("object", os.MFD_CLOEXEC)
        else:
            with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
                self._writer = os.dup(file.fileno())
        self.size_bytes = 0
        try:
            self._reader = os.open(f"/proc/self/fd/{self._writer}", os.O_RDONLY | os.O_CLOEXEC)
        except BaseException:
            os.close(self._writer)
            raise
        self._digest = hashlib.md5(usedforsecurity=False)

    @property
    def md5(self) -> str:
        """Of what was written so far."""
        return self._digest.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Append `chunk`. Raises OSError, such as ENOSPC."""
        self._digest.update(chunk)
        rest = memoryview(chunk)
        while rest:
            written = os.write(self._writer, rest)
            self.size_bytes += written
            rest = rest[written:]

    def restart(self) -> None:
        """Throw away what was written."""
        os.ftruncate(self._writer, 0)
        os.lseek(self._writer, 0, os.SEEK_SET)
        self.size_bytes = 0
        self._digest = hashlib.md5(usedforsecurity=False)

    def finish(self, mtime_ns: int) -> int:
        """Return the read-only descriptor, at its start, with the given modification time. The caller closes it."""
        os.utime(self._writer, ns=(mtime_ns, mtime_ns))
        os.close(self._writer)
        return self._reader

    def abandon(self) -> None:
        """Close all, which removes the bytes."""
        os.close(self._writer)
        os.close(self._reader)


class Transfer:
    """One object on its way; `run` may be called again after it failed, and continues where it stopped.

    `check` gets the version as soon as it is known, and raises if it is not the wanted one. `limit_bytes` asks for the
    first bytes only. A whole object whose ETag is its MD5 is compared with it: other bytes are a broken stream.
    """

    def __init__(
        self,
        get_object: Callable[..., dict[str, Any]],
        make_copy: Callable[[int], LocalCopy],
        check: Callable[[ObjectVersion], None],
        limit_bytes: int | None = None,
    ) -> None:
        self._get_object = get_object
        self._make_copy = make_copy
        self._check = check
        self._limit_bytes = limit_bytes
        self._is_empty = False
        self._version: ObjectVersion | None = None
        self._copy: LocalCopy | None = None

    @property
    def done_bytes(self) -> int:
        """How many bytes have arrived."""
        return self._copy.size_bytes if self._copy else 0

    def run(self) -> int:
        """Return the finished descriptor. BrokenStream or the client's errors if it can be tried again; else OSError."""
        try:
            response = self._get_object(**self._conditions())
        except ClientError as error:
            if s3_errors.status_of(error) != 416 or self._version or self._limit_bytes is None or self._is_empty:
                raise
            self._is_empty = True  # there is no first byte to ask for
            response = self._get_object()
        with closing(response["Body"]) as body:
            start, copy, version = self._begin(response)
            wanted = version.size_bytes if self._limit_bytes is None else min(self._limit_bytes, version.size_bytes)
            if start != copy.size_bytes:  # the server gives all of it again
                copy.restart()
            while copy.size_bytes < wanted:
                chunk = read_some(body, min(CHUNK_BYTES, wanted - copy.size_bytes))
                if not chunk:
                    raise BrokenStream
                copy.write(chunk)
        told = told_md5(response) if self._limit_bytes is None else ""
        if told and copy.md5 != told:
            copy.restart()  # nobody can tell which of the bytes are wrong
            raise WrongBytes
        descriptor = copy.finish(version.mtime_ns)
        self._copy = None
        return descriptor

    def abandon(self) -> None:
        """Give up what was copied; nothing is left of it."""
        if self._copy is not None:
            self._copy.abandon()
            self._copy = None

    def _conditions(self) -> dict[str, str]:
        """Return what to ask for: the rest of the very version that was begun, or all, or the first bytes."""
        last = "" if self._limit_bytes is None else str(self._limit_bytes - 1)
        if self._version is not None and self._version.etag and self.done_bytes:
            return {"Range": f"bytes={self.done_bytes}-{last}", "IfMatch": f'"{self._version.etag}"'}
        return {"Range": f"bytes=0-{last}"} if last and not self._is_empty else {}

    def _begin(self, response: dict[str, Any]) -> tuple[int, LocalCopy, ObjectVersion]:
        """Return where the answer's bytes begin, where they go, and of which version they are."""
        start, size_bytes = 0, int(response["ContentLength"])
        match = _CONTENT_RANGE.fullmatch(response.get("ContentRange") or "")
        if match:
            start, size_bytes = int(match[1]), int(match[2])
        version = version_from(response, size_bytes)
        if version != self._version:
            if self._version is None:
                self._check(version)
            else:
                raise _Replaced
            self._version = version
        if self._copy is None:
            self._copy = self._make_copy(size_bytes if self._limit_bytes is None else self._limit_bytes)
        if start not in (0, self._copy.size_bytes):
            raise BrokenStream
        return start, self._copy, version


class _Replaced(Exception):
    """Another version came than the one that was begun."""


class ObjectReader:
    """Reads the objects of one bucket. `memory_bytes`: larger ones are copied to a file in `folder` (default: TMPDIR)."""

    def __init__(self, client: Any, bucket: str, retries: Retries, memory_bytes: int, folder: str | None) -> None:
        self._client = client
        self._bucket = bucket
        self._retries = retries
        self._memory_bytes = memory_bytes
        self._folder = folder

    def copy(self, key: str, path: str, expected: tuple[int, int] | None, limit_bytes: int | None = None) -> int:
        """Return a descriptor of the object, or of its first `limit_bytes`; `path` is for the messages of OSErrors."""

        def check(version: ObjectVersion) -> None:
            if expected is not None and expected != (version.size_bytes, version.mtime_ns):
                raise _Replaced

        transfer = Transfer(
            lambda **conditions: self._client.get_object(Bucket=self._bucket, Key=key, **conditions),
            lambda size_bytes: LocalCopy(size_bytes, self._memory_bytes, self._folder),
            check,
            limit_bytes,
        )
        try:
            return self._retries.call(transfer.run, lambda: transfer.done_bytes // CHUNK_BYTES)
        except _Replaced:
            raise s3_errors.changed(path) from None
        except (*FAILURES, BrokenStream) as error:
            raise s3_errors.file_error(error, path) from None
        finally:
            transfer.abandon()

    def version(self, key: str, path: str) -> ObjectVersion:
        """Ask which version the object has now. Raises OSError."""
        response = self._head(key, path)
        return version_from(response, int(response["ContentLength"]))

    def told_md5(self, key: str, path: str) -> str:
        """Ask for the MD5 of the object as it is now; "" if the server does not tell it. Raises OSError."""
        return told_md5(self._head(key, path))

    def _head(self, key: str, path: str) -> dict[str, Any]:
        try:
            response: dict[str, Any] = self._retries.call(
                lambda: self._client.head_object(Bucket=self._bucket, Key=key)
            )
        except FAILURES as error:
            raise s3_errors.file_error(error, path) from None
        return response


def version_from(response: dict[str, Any], size_bytes: int) -> ObjectVersion:
    """Return the version that an answer or a line of a listing tells."""
    etag = plain_etag(response.get("ETag"))
    return ObjectVersion(etag, size_bytes, version_time_ns(response["LastModified"], etag))


def read_some(body: Any, most_bytes: int) -> bytes:
    """Return the next bytes, none at the end. Whatever breaks in reading is one thing here: a broken stream."""
    try:
        chunk: bytes = body.read(most_bytes)
    except (BotoCoreError, HTTPError, OSError):
        raise BrokenStream from None
    return chunk
