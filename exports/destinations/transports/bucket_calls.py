"""The calls of one prefix in a bucket: how often they are tried, what the server can do, and what its refusals mean."""

import errno
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from catalog.roots.buckets import bucket_client
from catalog.sources.s3_errors import FAILURES, Retries, code_of, file_error, status_of
from catalog.sources.s3_keys import BucketRoot
from exports.ledger.load import FOLDER_NAME

_PROBE = f"{FOLDER_NAME}/.photolala-probe"
_TAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
_UNKNOWN_CONDITION = frozenset({"NotImplemented", "InvalidArgument", "InvalidRequest"})
_FULL = frozenset({"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "StorageFull"})

T = TypeVar("T")


class Refused(Exception):
    """The server says that an object of that name is there."""


class BucketCalls:
    """Calls the server for one prefix."""

    def __init__(self, root: BucketRoot, client: Any = None, retries: Retries | None = None) -> None:
        self.root, self.bucket = root, root.bucket
        self.client = client or bucket_client()
        self._retries = retries or Retries()
        self._has_conditions: bool | None = None

    def key(self, path: str) -> str:
        """Return the key of a path below the prefix."""
        return self.root.key_prefix + path

    def call(self, do: Callable[[], T], path: str) -> T:
        """Return what `do` returns, after as many tries as reading a photo gets. Refused, OSError."""
        try:
            return self._retries.call(do)
        except FAILURES as error:
            if code_of(error) in _TAKEN or status_of(error) == 412:
                raise Refused from None
            raise write_error(error, path) from None

    def condition(self) -> dict[str, str]:
        """Return what to add to a call that must replace nothing; nothing where the server knows no such wish. OSError."""
        return {"IfNoneMatch": "*"} if self.has_conditions() else {}

    def has_conditions(self) -> bool:
        """Tell whether the server refuses to replace an object when it is asked to (If-None-Match). Tried once. OSError.

        An empty object is written for it, twice, and deleted if that is allowed: so it tells, too, whether writing is.
        """
        if self._has_conditions is None:
            has_conditions = not (self._is_put({"IfNoneMatch": "*"}) and self._is_put({"IfNoneMatch": "*"}))
            with suppress(
                *FAILURES
            ):  # keys may have no right to delete: then it stays, empty, and is there the next time
                self.client.delete_object(Bucket=self.bucket, Key=self.key(_PROBE))
            self._has_conditions = has_conditions
        return self._has_conditions

    def _is_put(self, condition: dict[str, str]) -> bool:
        """Return False if the server refuses to replace the object. A server may also refuse the condition as such."""
        try:
            self._retries.call(
                lambda: self.client.put_object(Bucket=self.bucket, Key=self.key(_PROBE), Body=b"", **condition)
            )
        except FAILURES as error:
            if code_of(error) in _TAKEN or status_of(error) == 412:
                return False
            if condition and (code_of(error) in _UNKNOWN_CONDITION or status_of(error) == 501):
                return self._is_put({})
            raise write_error(error, _PROBE) from None
        return True


def write_error(error: Exception, path: str) -> OSError:
    """Return the OSError for an object that cannot be written; its `strerror` can be shown."""
    code, status = code_of(error), status_of(error)
    if code in _FULL or status == 507:
        return OSError(errno.EDQUOT, f"The bucket is full ({code})", path)
    if code == "BadDigest":
        return OSError(errno.EIO, "The bytes did not reach the S3 server as they were sent", path)
    known = file_error(error, path)
    if isinstance(known, PermissionError):
        return PermissionError(errno.EACCES, f"Photolala may not write the object ({code})", path)
    if known.errno == errno.EIO:
        return OSError(errno.EIO, f"The S3 server did not take the object ({code})", path)
    return known
