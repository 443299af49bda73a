"""A library's snapshots and pointer in its own bucket, beside the photos. An object appears whole, or not at all."""

from __future__ import annotations

import errno
import hashlib
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from catalog.snapshots.location import PREFIX
from catalog.sources.base import FileChanged
from catalog.sources.s3_copy import read_some
from catalog.sources.s3_errors import (
    FAILURES,
    BrokenStream,
    Retries,
    WrongBytes,
    code_of,
    file_error,
    status_of,
)
from catalog.sources.s3_keys import BucketRoot, told_md5

_MEMORY_BYTES = 16 * 1024 * 1024
_CHUNK_BYTES = 1 << 20
_UNKNOWN_CONDITION = frozenset({"NotImplemented", "InvalidArgument", "InvalidRequest"})
T = TypeVar("T")


class BucketLocation:
    """The objects directly below a prefix whose names begin with `.photolala.`. Failures are OSErrors, after some tries."""

    def __init__(self, client: Any, root: BucketRoot, *, retries: Retries | None = None) -> None:
        self.label = root.uri
        self._client = client
        self._root = root
        self._retries = retries or Retries()
        self._read_versions: dict[str, str | None] = {}
        """The ETags of the objects that were read here, by name; None of those that were not there."""

    def names(self) -> list[str]:
        """Return the names that begin with `.photolala.`, sorted."""
        begins = self._root.key_prefix + PREFIX

        def listed() -> list[str]:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._root.bucket, Prefix=begins, Delimiter="/"
            )
            return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

        return sorted(key.removeprefix(self._root.key_prefix) for key in self._call(listed, PREFIX))

    def open(self, name: str) -> BinaryIO:
        """Return a local copy of the object, open for reading. FileNotFoundError if it is not there."""
        copy = tempfile.SpooledTemporaryFile(_MEMORY_BYTES)  # noqa: SIM115 - the caller closes it

        def fetch() -> None:
            copy.seek(0)
            copy.truncate()
            answer = self._client.get_object(Bucket=self._root.bucket, Key=self._key(name))
            digest = hashlib.md5(usedforsecurity=False)
            with closing(answer["Body"]) as body:
                while chunk := read_some(body, _CHUNK_BYTES):
                    digest.update(chunk)
                    copy.write(chunk)
            if copy.tell() != answer["ContentLength"]:
                raise BrokenStream
            if told_md5(answer) not in ("", digest.hexdigest()):
                raise WrongBytes
            self._read_versions[name] = answer.get("ETag")

        try:
            self._call(fetch, name)
        except FileNotFoundError:
            self._read_versions[name] = None
            copy.close()
            raise
        except BaseException:
            copy.close()
            raise
        copy.seek(0)
        return cast(BinaryIO, copy)

    def put_file(self, name: str, path: str) -> None:
        """Store a copy of the local file."""
        key = self._key(name)
        self._call(lambda: self._client.upload_file(path, self._root.bucket, key), name)
        size = self._call(lambda: self._client.head_object(Bucket=self._root.bucket, Key=key), name)["ContentLength"]
        if size != Path(path).stat().st_size:
            raise OSError(errno.EIO, "The bucket did not keep the whole object", name)

    def put_bytes(self, name: str, data: bytes) -> None:
        """Replace the object: the version that was read here, where the server knows conditions. FileChanged if it is another.

        Without a condition a request that was delayed on its way (the process was frozen, the network slow) could put an
        older pointer over a newer one that somebody else has published meanwhile.
        """
        condition: dict[str, str] = {}
        if name in self._read_versions:
            version = self._read_versions.pop(name)
            condition = {"IfMatch": version} if version else {"IfNoneMatch": "*"}
        if not self._is_put(name, data, condition):
            with self.open(name) as file:
                is_ours = file.read(len(data) + 1) == data  # an earlier try arrived, only its answer did not
            if not is_ours:
                raise FileChanged(errno.ESTALE, "Another one was published there meanwhile", name)

    def _is_put(self, name: str, data: bytes, condition: dict[str, str]) -> bool:
        """Put the object; return False if the server refused it for the condition."""
        key = self._key(name)

        def put() -> bool:
            try:
                self._client.put_object(Bucket=self._root.bucket, Key=key, Body=data, **condition)
            except FAILURES as error:
                if condition and (code_of(error) in _UNKNOWN_CONDITION or status_of(error) == 501):
                    condition.clear()
                    return put()
                # 404: there is nothing any more that could match.
                if condition and (code_of(error) == "ConditionalRequestConflict" or status_of(error) in (404, 412)):
                    return False
                raise
            return True

        return self._call(put, name)

    def delete(self, name: str) -> None:
        """Delete the object."""
        self._call(lambda: self._client.delete_object(Bucket=self._root.bucket, Key=self._key(name)), name)

    def rename(self, name: str, new_name: str) -> None:
        """Copy the object to its new name, then delete the old one."""
        source = {"Bucket": self._root.bucket, "Key": self._key(name)}
        self._call(
            lambda: self._client.copy_object(Bucket=self._root.bucket, Key=self._key(new_name), CopySource=source), name
        )
        self.delete(name)

    def _key(self, name: str) -> str:
        if not name.startswith(PREFIX) or "/" in name:
            raise ValueError(f"{name!r} is not the name of a snapshot or pointer.")
        return self._root.key_prefix + name

    def _call(self, do: Callable[[], T], name: str) -> T:
        from boto3.exceptions import Boto3Error

        try:
            return self._retries.call(do)
        except (*FAILURES, BrokenStream) as error:
            raise file_error(error, name) from None
        except Boto3Error as error:  # what uploads of large files raise
            raise OSError(
                errno.EIO, f"The bucket took no copy of the snapshot ({type(error).__name__})", name
            ) from None
