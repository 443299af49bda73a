"""What an S3 server's refusals mean: which pass by waiting, and the sentences for those that do not."""

import errno
import random
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    SSLError,
)
from botocore.exceptions import (
    ConnectionError as NoConnection,
)
from botocore.parsers import ResponseParserError

from catalog.sources.base import FileChanged, SourceUnavailable

FAILURES = (BotoCoreError, ClientError, ResponseParserError)
"""What a call of the client raises. Their own texts are never shown: some hold keys or signed addresses."""

_TRANSIENT_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_TRANSIENT_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "InternalError",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
    }
)
_BAD_KEYS = frozenset(
    {
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidSecurity",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
_OTHER_REGION = frozenset({"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"})
_LONGEST_ASKED_SECONDS = 60.0

_NO_RIGHT = frozenset({"403", "AccessDenied", "Forbidden"})
_NO_ANSWER = (HTTPClientError, NoConnection)

T = TypeVar("T")


class BrokenStream(Exception):
    """The bytes of an object stopped coming before its end."""


class WrongBytes(BrokenStream):
    """All bytes came, but they are not those of which the server says the MD5."""


class Retries:
    """Repeats what fails for a reason that passes, after waits that double and are drawn at random up to their length.

    `attempts` counts the tries in a row that bring nothing; `sleep` and `draw` (0 to 1) are there for tests.
    """

    def __init__(
        self,
        attempts: int = 6,
        first_seconds: float = 0.5,
        longest_seconds: float = 20.0,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._attempts = attempts
        self._first_seconds = first_seconds
        self._longest_seconds = longest_seconds
        self._sleep = sleep
        self._draw = draw

    def call(self, do: Callable[[], T], progress: Callable[[], int] = lambda: 0) -> T:
        """Return what `do` returns; raises its last error. A try after which `progress` is larger starts the count anew."""
        failures, reached = 0, progress()
        while True:
            try:
                return do()
            except (*FAILURES, BrokenStream) as error:
                if not is_transient(error):
                    raise
                if progress() > reached:
                    failures, reached = 0, progress()
                failures += 1
                if failures >= self._attempts:
                    raise
                wait_seconds = self._wait_seconds(failures, error)
            self._sleep(wait_seconds)

    def _wait_seconds(self, failures: int, error: Exception) -> float:
        longest = min(self._longest_seconds, self._first_seconds * 2.0 ** (failures - 1))
        return max(longest * (0.5 + self._draw() / 2), _asked_seconds(error))


def is_transient(error: Exception) -> bool:
    """Return whether the same call may well succeed in a moment."""
    if isinstance(error, ClientError):
        return code_of(error) in _TRANSIENT_CODES or status_of(error) in _TRANSIENT_STATUS
    if isinstance(error, SSLError):
        return False
    return isinstance(error, (BrokenStream, ResponseParserError, *_NO_ANSWER))


def code_of(error: Exception) -> str:
    """Return the server's code, such as `AccessDenied`; else the kind of the error. Safe to show."""
    if isinstance(error, ClientError):
        return re.sub(r"[^A-Za-z0-9]", "", str(error.response.get("Error", {}).get("Code", "")))[:60] or "unknown"
    return type(error).__name__


def status_of(error: Exception) -> int:
    """Return the HTTP status of an answer, 0 if there was none."""
    return int(_answer(error).get("HTTPStatusCode") or 0)


def unavailable(error: Exception, bucket: str, uri: str) -> SourceUnavailable:
    """Return the sentence for a root that cannot be listed."""
    return SourceUnavailable(f"{_root_sentence(error, bucket, uri)} Nothing was changed.")


def file_error(error: Exception, path: str) -> OSError:
    """Return the OSError for an object that cannot be read; its `strerror` can be shown."""
    code, status = code_of(error), status_of(error)
    if code == "NoSuchBucket":
        return OSError(errno.ENODEV, "The bucket is not there", path)
    if code == "NoSuchKey" or status == 404:
        return FileNotFoundError(errno.ENOENT, "The object is not there, or no longer", path)
    if code in ("PreconditionFailed", "InvalidRange") or status in (412, 416):
        return changed(path)
    if code == "InvalidObjectState":
        return PermissionError(errno.EACCES, "The object is in an archive; have the bucket restore it first", path)
    if _has_bad_keys(error):
        # No PermissionError: that is said of one object only, and must not condemn every photo when keys expire.
        return OSError(errno.EKEYREJECTED, f"The S3 server does not accept Photolala's keys ({code})", path)
    if code in _NO_RIGHT:
        return PermissionError(errno.EACCES, f"Photolala may not read the object ({code})", path)
    if isinstance(error, WrongBytes):
        return OSError(
            errno.EIO, "The bytes that the bucket gives are not those of the object's ETag, again and again", path
        )
    if isinstance(error, BrokenStream):
        return OSError(errno.EIO, "The bucket broke off in the middle of the object, again and again", path)
    if isinstance(error, _NO_ANSWER):
        return OSError(errno.ETIMEDOUT, f"The S3 server does not answer ({code})", path)
    return OSError(errno.EIO, f"The S3 server cannot give the object ({code})", path)


def changed(path: str) -> FileChanged:
    """Return the error for an object that is not the expected version."""
    return FileChanged(errno.ESTALE, "The file has changed since it was listed; it will be seen anew", path)


def _root_sentence(error: Exception, bucket: str, uri: str) -> str:
    code, status = code_of(error), status_of(error)
    if code == "NoSuchBucket" or status == 404:
        return f"There is no bucket {bucket} on the S3 server. Check its name, and PHOTOLALA_S3_ENDPOINT."
    if _has_bad_keys(error):
        return (
            f"The S3 server does not accept Photolala's keys ({code}). Check PHOTOLALA_S3_ACCESS_KEY and "
            "PHOTOLALA_S3_SECRET_KEY."
        )
    if code == "RequestTimeTooSkewed":
        return "The S3 server refuses the request, since this machine's clock is wrong. Set it."
    if code in _OTHER_REGION or status in (301, 307):
        return f"The bucket {bucket} is in another region ({code}). Set PHOTOLALA_S3_REGION to it."
    if status in (401, 403):
        return f"Photolala may not list {uri} ({code}). Give its keys the rights to list and to read there."
    if isinstance(error, SSLError):
        return "The S3 server's certificate is not trusted here. Check PHOTOLALA_S3_ENDPOINT and the certificates."
    if isinstance(error, _NO_ANSWER):
        return (
            f"The S3 server does not answer ({code}). Check the network and PHOTOLALA_S3_ENDPOINT, or try again later."
        )
    if is_transient(error):
        return f"The S3 server is overloaded or broken ({code}), after several tries too. Try again later."
    return f"The S3 server cannot list {uri} ({code}). Check the settings PHOTOLALA_S3_…"


def _has_bad_keys(error: Exception) -> bool:
    return code_of(error) in _BAD_KEYS or isinstance(error, (NoCredentialsError, PartialCredentialsError))


def _answer(error: Exception) -> dict[str, Any]:
    return error.response.get("ResponseMetadata", {}) if isinstance(error, ClientError) else {}


def _asked_seconds(error: Exception) -> float:
    """Return how long the server asks to wait, at most a minute."""
    asked = str(_answer(error).get("HTTPHeaders", {}).get("retry-after", ""))
    return min(float(asked), _LONGEST_ASKED_SECONDS) if re.fullmatch(r"[0-9]{1,6}", asked) else 0.0
