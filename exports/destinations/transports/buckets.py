"""The Transport of a prefix in a bucket."""

from typing import Any

from catalog.roots.buckets import bucket_source
from catalog.sources.s3_errors import Retries
from catalog.sources.s3_keys import BucketRoot
from exports.ledger.names import check_rel_path
from photolala.lib.paths import unescape_path

from .bucket_calls import BucketCalls
from .bucket_folders import BucketFolder, open_object

_QUICK_ATTEMPTS = 2


class BucketTransport:
    """Writes objects below the prefix `root`; `client` and `retries` are there for tests."""

    def __init__(self, root: BucketRoot, *, client: Any = None, retries: Retries | None = None) -> None:
        self.root = root
        self.calls = BucketCalls(root, client, retries)

    def open_folder(self, rel_path: str) -> BucketFolder:
        """Return what has keys below `rel_path`. InvalidRecord, OSError."""
        check_rel_path(rel_path)
        return BucketFolder(self.calls, self.fit_name(_decoded(rel_path)) + "/")

    def open_copy(self, folder: str, name: str) -> int:
        """Return a descriptor of a local copy of the object. OSError."""
        return open_object(self.root, folder, name)

    def fit_name(self, name: str) -> str:
        """Return the name as UTF-8, which all keys are."""
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    def require(self) -> None:
        """Raise SourceUnavailable with a sentence unless the prefix can be listed."""
        bucket_source(self.root.uri, retries=Retries(_QUICK_ATTEMPTS)).check()


def _decoded(rel_path: str) -> str:
    return unescape_path(rel_path.rstrip("/")).decode("utf-8", "surrogateescape")
