"""Photos in a bucket, or below a prefix of it, on any server that speaks S3."""

import errno
import hashlib
from collections.abc import Iterator
from typing import Any

from catalog.sources import s3_errors
from catalog.sources.base import Directory, NotARegularFile, SourceUnavailable
from catalog.sources.s3_copy import ObjectReader, ObjectVersion, version_from
from catalog.sources.s3_errors import FAILURES, Retries
from catalog.sources.s3_keys import FolderListing, KeyTree, Wanted, bucket_root, key_of, md5_in_etag

HEAD_BYTES = 64 * 1024
MEMORY_BYTES = 64 * 1024 * 1024
_MOST_EMPTY_PAGES = 1000

Request = dict[str, Any]


class S3Source:
    """The objects whose keys begin with `prefix` and a "/" (all of the bucket if `prefix` is "").

    Folders are what the keys say; hidden and system names are skipped as on a disk. A file's modification time is its
    LastModified in whole seconds, and its nanoseconds stand for the ETag (see `version_time_ns`). `wanted` gets the
    name of each visible file and says whether it is listed. `client` is a boto3 client (see `connect`), which stays the
    caller's. It keeps nothing open and nothing in mind, so it may serve several threads.
    """

    is_far = True

    def __init__(
        self,
        client: Any,
        bucket: str,
        prefix: str = "",
        *,
        wanted: Wanted | None = None,
        retries: Retries | None = None,
        memory_bytes: int = MEMORY_BYTES,
        scratch_folder: str | None = None,
    ) -> None:
        self._client = client
        self._root = bucket_root(bucket, prefix)
        self._wanted = wanted
        self._retries = retries or Retries()
        self._reader = ObjectReader(client, bucket, self._retries, memory_bytes, scratch_folder)

    def __enter__(self) -> "S3Source":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def uri(self) -> str:
        """`s3://bucket/prefix`, in the text form of `escape_path`; no percent-encoding, no "/" at the end."""
        return self._root.uri

    @property
    def root_md5(self) -> str:
        """MD5 of `uri` in UTF-8, 32 hex digits: the name of this root's folder in the cache."""
        return hashlib.md5(self.uri.encode(), usedforsecurity=False).hexdigest()

    def check(self) -> None:
        """Raise SourceUnavailable if there is no such bucket, no right to list it, or no answer.

        A prefix that no key has is an empty library: a bucket knows no folders that could be missing.
        """
        self._list({"Prefix": self._root.key_prefix, "MaxKeys": 1})

    def root_is_writable(self) -> bool:
        """Return False: nothing is written into buckets of photos yet."""
        return False

    def walk(self) -> Iterator[Directory]:
        """Yield every folder, each once, children before parents and the root last, from one pass through all keys.

        One request tells 1,000 keys, however many folders they make, and only the folders on the way to the latest key
        are held. Raises SourceUnavailable, also in the middle: what was not listed must not be taken for gone.
        """
        tree = KeyTree(self._wanted)
        for relative, version in self._all_keys(tree):
            yield from tree.add(relative, *version[1:], is_opaque=not md5_in_etag(version.etag))
        yield from tree.finish()

    def list_directory(self, path: str) -> Directory:
        """Return one folder as it is now; one without objects is empty. ValueError if `path` leads out of the root.

        A folder that cannot be listed has a problem and `is_complete=False`; SourceUnavailable if it is the root.
        """
        key = key_of(path)
        prefix = self._root.key_prefix + (f"{key}/" if key else "")
        listing = FolderListing(path, self._wanted)
        request: Request | None = {"Prefix": prefix, "Delimiter": "/"}
        try:
            while request is not None:
                page = self._list(request)
                for item in page.get("Contents", ()):
                    version = version_from(item, int(item["Size"]))
                    name = self._below(prefix, item["Key"])
                    listing.add_object(name, *version[1:], is_opaque=not md5_in_etag(version.etag))
                for folder in page.get("CommonPrefixes", ()):
                    listing.add_folder(self._below(prefix, folder["Prefix"]).removesuffix("/"))
                request = self._next(request, page)
        except SourceUnavailable as error:
            if not path:
                raise
            listing.fail(f"The folder cannot be listed. {error}")
        return listing.finish()

    def open(self, path: str, *, expected: tuple[int, int] | None = None) -> int:
        """Return a read-only descriptor of a private copy of the object, for the caller to close; one GET if all goes well.

        A copy of more than 64 MiB is in an unlinked file, a smaller one in memory. Its size and modification time are
        those that the listing gives. A broken transfer continues where it stopped; one that brings other bytes than those of
        which the ETag tells the MD5 begins anew. Raises FileChanged if the object is not
        `expected` (size in bytes, mtime in ns) or is replaced meanwhile, FileNotFoundError, PermissionError or another
        OSError, and ValueError for a path out of the root.
        """
        return self._reader.copy(self._key(path), path, expected)

    def open_head(self, path: str, length_bytes: int = HEAD_BYTES, *, expected: tuple[int, int] | None = None) -> int:
        """Like `open`, but only the first `length_bytes` are fetched, and the descriptor holds no more than those.

        Its size is therefore not the file's, which the listing knows; its modification time is.
        """
        if length_bytes < 1:
            raise ValueError("A head has at least one byte.")
        return self._reader.copy(self._key(path), path, expected, length_bytes)

    def version_of(self, path: str) -> ObjectVersion:
        """Return ETag, size and time of the object as it is now (one HEAD). Raises OSError as `open` does."""
        return self._reader.version(self._key(path), path)

    def told_md5(self, path: str) -> str:
        """Return the MD5 that the server tells of the object as it is now, "" if none (one HEAD). Raises OSError as `open`."""
        return self._reader.told_md5(self._key(path), path)

    def close(self) -> None:
        """Do nothing: nothing is held open between calls. The client is the caller's."""

    def _key(self, path: str) -> str:
        key = key_of(path)
        if not key:
            raise NotARegularFile(errno.EISDIR, "The root of the library is a folder, not a file", path)
        return self._root.key_prefix + key

    def _all_keys(self, tree: KeyTree) -> Iterator[tuple[str, ObjectVersion]]:
        """Yield all keys below the root with their versions, in order, but jump over what `tree` leaves out."""
        prefix, last, empty_pages = self._root.key_prefix, "", 0
        request: Request | None = {"Prefix": prefix}
        while request is not None:
            page = self._list(request)
            items = page.get("Contents", ())
            empty_pages = 0 if items else empty_pages + 1
            for item in items:
                relative = self._below(prefix, item["Key"])
                if last and relative <= last:
                    raise self._nonsense("lists keys out of order")
                last = relative
                yield relative, version_from(item, int(item["Size"]))
            if empty_pages > _MOST_EMPTY_PAGES:
                raise self._nonsense("promises more keys and gives none")
            jump = tree.jump_after(last)
            request = self._next(request, page, prefix + jump if jump else "")

    def _next(self, request: Request, page: dict[str, Any], start_after: str = "") -> Request | None:
        """Return the request for the next page, None after the last one."""
        if not page.get("IsTruncated"):
            return None
        fixed = {name: value for name, value in request.items() if name in ("Prefix", "Delimiter")}
        if start_after:
            return {**fixed, "StartAfter": start_after}
        if not page.get("NextContinuationToken"):
            raise self._nonsense("stops in the middle of its listing")
        return {**fixed, "ContinuationToken": page["NextContinuationToken"]}

    def _list(self, request: Request) -> dict[str, Any]:
        try:
            return self._retries.call(lambda: self._client.list_objects_v2(Bucket=self._root.bucket, **request))
        except FAILURES as error:
            raise s3_errors.unavailable(error, self._root.bucket, self.uri) from None

    def _below(self, prefix: str, key: str) -> str:
        if not key.startswith(prefix):
            raise self._nonsense("lists keys that were not asked for")
        return key[len(prefix) :]

    def _nonsense(self, what: str) -> SourceUnavailable:
        return SourceUnavailable(
            f"The S3 server {what}, so {self.uri} cannot be read as a library. Tell its administrator. Nothing was changed."
        )
