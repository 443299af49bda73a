"""Libraries in buckets: the client of this process, and which prefix may become a library.

boto3 is imported where the first bucket is asked for: it takes longer to start than Django, and most have none.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.conf import settings

from catalog.sources.base import SourceUnavailable
from catalog.sources.s3_keys import SCHEME, BucketRoot, parse_uri
from photolala.lib.roots import allowed_buckets

if TYPE_CHECKING:
    from catalog.sources.s3 import S3Source
    from catalog.sources.s3_errors import Retries
    from catalog.sources.s3_location import BucketLocation

COPY_MEMORY_BYTES = 16 * 1024 * 1024
"""Larger objects are copied to a file in TMPDIR: several copies exist at once."""
_QUICK_ATTEMPTS = 2


class BucketRefused(Exception):
    """The prefix cannot become a library; the text is a sentence."""


class NotAllowed(BucketRefused):
    """It is not below PHOTOLALA_ROOTS; the caller has the sentence, which is the same as for one that others have."""


def bucket_source(uri: str, *, retries: Retries | None = None) -> S3Source:
    """Return a source of the bucket and prefix in `uri`."""
    from catalog.sources.s3 import S3Source

    root = parse_uri(uri)
    return S3Source(bucket_client(), root.bucket, root.prefix, retries=retries, memory_bytes=COPY_MEMORY_BYTES)


def bucket_location(uri: str, *, is_quick: bool = False) -> BucketLocation:
    """Return the bucket and prefix in `uri` as a place for snapshots, each call with as many tries as reading a photo.

    `is_quick` is for those who have people waiting, and can do without.
    """
    from catalog.sources.s3_errors import Retries
    from catalog.sources.s3_location import BucketLocation

    return BucketLocation(bucket_client(), parse_uri(uri), retries=Retries(_QUICK_ATTEMPTS) if is_quick else None)


def allowed_bucket(username: str, uri: str) -> BucketRoot:
    """Return the root that `uri` names, if PHOTOLALA_ROOTS lets the user have it. Raises BucketRefused."""
    allowed = [parse_uri(one) for one in allowed_buckets(settings.PHOTO_ROOTS, username)]
    try:
        root = parse_uri(uri)
    except ValueError as error:
        raise BucketRefused(f"{error} Nothing was changed.") from None
    if not any(root.is_within(one) for one in allowed):
        raise NotAllowed
    cache = cache_root()
    if cache is not None and (root.is_within(cache) or cache.is_within(root)):
        raise BucketRefused(
            "That prefix holds Photolala's own cache, or is in it. Choose another one. Nothing was changed."
        )
    return root


def require_bucket(root: BucketRoot) -> None:
    """Raise BucketRefused unless the prefix can be listed."""
    from catalog.sources.s3_errors import Retries

    try:
        bucket_source(root.uri, retries=Retries(_QUICK_ATTEMPTS)).check()
    except SourceUnavailable as error:
        raise BucketRefused(str(error)) from None


def cache_root() -> BucketRoot | None:
    """Return where in a bucket the cache is; None if it is a folder."""
    return parse_uri(settings.CACHE_LOCATION) if settings.CACHE_LOCATION.startswith(SCHEME) else None


def bucket_client() -> Any:
    """Return the client of this process for all buckets, which tries nothing twice."""
    return _client_of(os.getpid(), tuple(sorted(settings.S3.items())))


@lru_cache(maxsize=2)
def _client_of(process_id: int, options: tuple[tuple[str, str | None], ...]) -> Any:
    """Make the client once a process: a forked one must not share its parent's connections."""
    from catalog.sources.s3_client import connect

    values: dict[str, Any] = dict(options)
    return connect(**values)
