"""One folder of a destination in a bucket: an object appears whole, verified by the server, and never replaces another one."""

import errno
import hashlib
import logging
import os
from base64 import b64encode
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, NamedTuple

from catalog.roots.buckets import bucket_source
from catalog.sources.s3_errors import FAILURES, code_of
from catalog.sources.s3_keys import BucketRoot, plain_etag, told_md5
from exports.ledger.original_copy import CopyFailed, NameTaken
from photolala.lib.digests import md5_of_descriptor
from photolala.lib.paths import escape_path

from .bucket_calls import BucketCalls, Refused

PART_BYTES = 16 << 20
"""Larger files are sent in parts of this size; so much of a file is in memory at most."""
_MOST_PARTS = 10_000
_CHUNK_BYTES = 1 << 20

logger = logging.getLogger(__name__)


class _Known(NamedTuple):
    size_bytes: int
    is_object: bool


class BucketFolder:
    """A TransportFolder: the keys below one prefix, as they were when it was opened, and what was put there since."""

    def __init__(self, calls: BucketCalls, folder: str) -> None:
        """List what is there; `folder` ends with a "/". OSError."""
        self._calls, self._client, self._bucket = calls, calls.client, calls.bucket
        self._folder, self._prefix = folder, calls.key(folder)
        self._known = calls.call(self._list, folder)

    def names(self) -> list[str]:
        """Return the last parts of the keys, and of the prefixes below."""
        return list(self._known)

    def size_of(self, name: str) -> int | None:
        """Return the size of the object; None if there is none."""
        known = self._known.get(name)
        return known.size_bytes if known is not None and known.is_object else None

    def is_there(self, name: str) -> bool:
        """Tell whether an object or a prefix has the name. What came since is seen when an object is put."""
        return name in self._known

    def digest_of(self, name: str) -> str:
        """Return the MD5 of the object, as the server tells it, else by reading all of it. OSError."""
        head = self._head(name)
        return told_md5(head) or self._read_digest(name)

    def metadata_of(self, name: str) -> dict[str, str]:
        """Return what lies beside the object's bytes: `mtime` and `md5chksum`, if it was put here. OSError."""
        found: dict[str, str] = self._head(name).get("Metadata", {})
        return found

    def put(
        self,
        descriptor: int,
        name: str,
        mtime_ns: int,
        *,
        expected_md5: str | None,
        before_publishing: Callable[[], None],
    ) -> str:
        """Send the file, in parts if it is large; the server compares each with its MD5 before anything has the name."""
        size_bytes, md5 = _measure(descriptor)
        if expected_md5 and md5.hexdigest() != expected_md5:
            raise CopyFailed(
                errno.ESTALE, f"{name} was not exported: it has changed since the last scan. Scan the library again."
            )
        if name in self._known or not (self._calls.has_conditions() or self._is_free(name)):
            raise self._taken(name)
        whole = _Whole(name, size_bytes, md5.digest(), mtime_ns)
        try:
            if size_bytes <= PART_BYTES:
                before_publishing()
                answer = self._calls.call(lambda: self._put_whole(descriptor, whole), name)
                is_proven = told_md5(answer) == md5.hexdigest()
            else:
                is_proven = self._put_parts(descriptor, whole, before_publishing)
        except Refused:  # also after an answer that was lost: then it is this very object that has the name
            if not self._is_same(whole):
                raise self._taken(name) from None
            is_proven = True
        if not is_proven and not self._is_same(whole):
            if not self._is_sent_by_us(whole):
                raise CopyFailed(
                    errno.EIO,
                    f"{name} in {self} is not what was sent there; somebody replaced it, and it was left as it is.",
                )
            self._calls.call(lambda: self._client.delete_object(Bucket=self._bucket, Key=self._prefix + name), name)
            raise CopyFailed(
                errno.EIO, f"{name} reads back differently from what was sent to {self}; it was removed there."
            )
        self._known[name] = _Known(size_bytes, True)
        return md5.hexdigest()

    def delete_partials(self, names: Collection[str]) -> None:
        """Abort the multipart uploads of these objects that were never completed: they cost, and nobody sees them."""
        try:
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            )
            for upload in [one for page in pages for one in page.get("Uploads", ())]:
                if upload["Key"].removeprefix(self._prefix) in names:
                    self._abort(upload["Key"], upload["UploadId"])
        except FAILURES as error:  # a right, or a call, that not every server gives: nothing is wrong with the copies
            logger.warning("Uploads that were not completed cannot be listed in %s: %s", self, code_of(error))

    def close(self) -> None:
        """Do nothing: nothing is held open."""

    def __str__(self) -> str:
        """Return the folder's address, for sentences."""
        return f"{self._calls.root.uri}/{self._folder}"

    # -- sending

    def _put_whole(self, descriptor: int, whole: "_Whole") -> dict[str, Any]:
        body = os.pread(descriptor, whole.size_bytes, 0)
        answer: dict[str, Any] = self._client.put_object(
            Bucket=self._bucket,
            Key=self._prefix + whole.name,
            Body=body,
            ContentMD5=_base64(whole.md5),
            Metadata=whole.metadata,
            **self._calls.condition(),
        )
        return answer

    def _put_parts(self, descriptor: int, whole: "_Whole", before_publishing: Callable[[], None]) -> bool:
        """Send the file in parts and make them one object; return whether its ETag proves that it is the file."""
        key, call = self._prefix + whole.name, self._calls.call
        part_bytes = max(PART_BYTES, -(-whole.size_bytes // _MOST_PARTS))
        upload = call(
            lambda: self._client.create_multipart_upload(Bucket=self._bucket, Key=key, Metadata=whole.metadata),
            whole.name,
        )["UploadId"]
        parts, digests, all_bytes = [], b"", hashlib.md5(usedforsecurity=False)
        try:
            for number, position in enumerate(range(0, whole.size_bytes, part_bytes), start=1):
                body = os.pread(descriptor, part_bytes, position)
                digest = hashlib.md5(body, usedforsecurity=False).digest()
                all_bytes.update(body)
                digests += digest
                sent = call(lambda: self._put_part(key, upload, number, body, digest), whole.name)  # noqa: B023
                parts.append({"PartNumber": number, "ETag": sent["ETag"]})
            if all_bytes.digest() != whole.md5:
                raise CopyFailed(errno.ESTALE, f"{whole.name} was not exported: it changes while it is read.")
            before_publishing()
            answer = call(lambda: self._complete(key, upload, parts), whole.name)
        except FileNotFoundError:  # the upload is gone: an answer was lost after it had been completed
            if self._is_same(whole):
                return True
            raise
        except BaseException:
            self._abort(key, upload)
            raise
        proof = hashlib.md5(digests, usedforsecurity=False).hexdigest()
        return plain_etag(answer.get("ETag")) == f"{proof}-{len(parts)}"

    def _put_part(self, key: str, upload: str, number: int, body: bytes, digest: bytes) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.upload_part(
            Bucket=self._bucket, Key=key, UploadId=upload, PartNumber=number, Body=body, ContentMD5=_base64(digest)
        )
        return answer

    def _complete(self, key: str, upload: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.complete_multipart_upload(
            Bucket=self._bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **self._calls.condition()
        )
        return answer

    def _abort(self, key: str, upload: str) -> None:
        with suppress(*FAILURES):  # the next export to this folder finds it
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)

    # -- looking

    def _list(self) -> dict[str, _Known]:
        known: dict[str, _Known] = {}
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix, Delimiter="/"
        )
        for page in pages:
            for one in page.get("CommonPrefixes", ()):
                known[one["Prefix"].removeprefix(self._prefix).rstrip("/")] = _Known(0, False)
            for one in page.get("Contents", ()):
                known[one["Key"].removeprefix(self._prefix)] = _Known(int(one["Size"]), True)
        known.pop("", None)  # how some tools mark a folder
        return known

    def _head(self, name: str) -> dict[str, Any]:
        key = self._prefix + name
        head: dict[str, Any] = self._calls.call(lambda: self._client.head_object(Bucket=self._bucket, Key=key), name)
        return head

    def _is_free(self, name: str) -> bool:
        try:
            self._head(name)
        except FileNotFoundError:
            return True
        return False

    def _is_same(self, whole: "_Whole") -> bool:
        """Tell whether the object of that name has exactly the bytes of the file."""
        try:
            head = self._head(whole.name)
        except FileNotFoundError:
            return False
        if int(head["ContentLength"]) != whole.size_bytes:
            return False
        return (told_md5(head) or self._read_digest(whole.name)) == whole.md5.hex()

    def _is_sent_by_us(self, whole: "_Whole") -> bool:
        """Tell whether the object of that name has what only an object of this file has beside its bytes."""
        try:
            found = self._head(whole.name).get("Metadata", {})
        except FileNotFoundError:
            return False
        return all(found.get(key) == value for key, value in whole.metadata.items())

    def _read_digest(self, name: str) -> str:
        descriptor = open_object(self._calls.root, self._folder, name)
        try:
            return md5_of_descriptor(descriptor)
        finally:
            os.close(descriptor)

    def _taken(self, name: str) -> NameTaken:
        self._known.setdefault(name, _Known(-1, True))
        return NameTaken(errno.EEXIST, f"'{name}' exists in {self}; it was left as it is and nothing was written.")


class _Whole(NamedTuple):
    """A file to send."""

    name: str
    size_bytes: int
    md5: bytes
    mtime_ns: int

    @property
    def metadata(self) -> dict[str, str]:
        """Time and digest as rclone writes and reads them: an object has no time of its own."""
        seconds, ns = divmod(self.mtime_ns, 1_000_000_000)
        return {"mtime": f"{seconds}.{ns:09}", "md5chksum": _base64(self.md5)}


def open_object(root: BucketRoot, folder: str, name: str) -> int:
    """Return a descriptor of a local copy of an object below the prefix, for the caller to close. OSError."""
    try:
        return bucket_source(root.uri).open(escape_path(f"{folder.rstrip('/')}/{name}"))
    except ValueError:
        raise FileNotFoundError(errno.ENOENT, "No key is such a path", name) from None


def _measure(descriptor: int) -> tuple[int, Any]:
    digest, size_bytes = hashlib.md5(usedforsecurity=False), 0
    while chunk := os.pread(descriptor, _CHUNK_BYTES, size_bytes):
        digest.update(chunk)
        size_bytes += len(chunk)
    return size_bytes, digest


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode()
