"""The cache tree of formats.md §2: names of its objects, and writing them through Django's storages."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages

from operations.reasons import reason_for
from operations.running import OperationFailed

AWAY = "cache_unavailable"
"""The code of operations that stopped because the cache was away (`cache.resume` resumes them)."""
SHARD = "local"
SHARDS = (SHARD, "s3")
"""Named like the sources of libraries."""
_MD5 = re.compile(r"[0-9a-f]{32}")


def cache() -> Storage:
    """Return the storage that holds thumbnails, metadata, previews and snapshots."""
    return storages["cache"]


def _name(shard: str, folder: str, photo_md5: str, extension: str) -> str:
    if not _MD5.fullmatch(photo_md5):
        raise ValueError(f"{photo_md5!r} is no photo MD5.")
    if shard not in SHARDS:
        raise ValueError(f"{shard!r} is no shard of the cache.")
    return f"{shard}/{folder}/{photo_md5[:2]}/{photo_md5}.{extension}"


def thumbnail_name(photo_md5: str, shard: str = SHARD) -> str:
    """Return the name of a thumbnail in the cache."""
    return _name(shard, "thumbnails", photo_md5, "jpg")


def metadata_name(photo_md5: str, shard: str = SHARD) -> str:
    """Return the name of a metadata JSON in the cache."""
    return _name(shard, "metadata", photo_md5, "json")


def preview_name(photo_md5: str, shard: str = SHARD) -> str:
    """Return the name of a preview for the lightbox in the cache."""
    return _name(shard, "previews", photo_md5, "jpg")


def rendition_name(photo_md5: str, shard: str = SHARD) -> str:
    """Return the name of a video's rendition for browsers in the cache."""
    return _name(shard, "renditions", photo_md5, "mp4")


def asset_thumbnail_name(library_id: str, asset_id: str) -> str:
    """Return the name of a thumbnail of an asset on a device; ids of platforms are unique on their device only."""
    return f"apple/thumbnails/{quote(f'{library_id}/{asset_id}', safe='')}.jpg"


def asset_metadata_name(library_id: str, asset_id: str) -> str:
    """Return the name of the metadata JSON of an asset on a device."""
    return f"apple/metadata/{quote(f'{library_id}/{asset_id}', safe='')}.json"


def write_thumbnail(photo_md5: str, picture: bytes, shard: str = SHARD) -> None:
    """Store a thumbnail; the same MD5 always holds the same picture, so an earlier one is replaced."""
    cache().save(thumbnail_name(photo_md5, shard), ContentFile(picture))


def write_makeshift(photo_md5: str, picture: bytes, shard: str = SHARD) -> None:
    """Store a thumbnail that shows a part only, or an embedded picture for want of memory, if there is none: all see it."""
    storage, name = cache(), thumbnail_name(photo_md5, shard)
    if not storage.exists(name) or not storage.size(name):
        write_thumbnail(photo_md5, picture, shard)


def write_metadata(photo_md5: str, body: str, shard: str = SHARD) -> None:
    """Store the metadata JSON of a photo."""
    cache().save(metadata_name(photo_md5, shard), ContentFile(body.encode()))


@contextmanager
def writing() -> Iterator[None]:
    """Raise OperationFailed with a sentence for whatever keeps the cache from being written."""
    try:
        yield
    except OperationFailed:
        raise
    except Exception as error:  # a bucket's client raises kinds of its own
        if reason_for(error):
            raise
        raise OperationFailed(
            f"The cache of thumbnails and snapshots cannot be used ({words_for(error)}). What was done stays; it continues by "
            "itself when the cache answers again.",
            AWAY,
        ) from error


def words_for(error: BaseException) -> str:
    """Return what may be shown of a storage's error: never an address, a key or a path."""
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):  # of a bucket's client
        code = str(answer.get("Error", {}).get("Code", ""))
        return re.sub(r"[^A-Za-z0-9]", "", code)[:60] or type(error).__name__
    if isinstance(error, OSError) and error.errno and error.strerror:
        return f"{type(error).__name__}: {os.strerror(error.errno)}"
    return type(error).__name__


def remove_abandoned_writes() -> None:
    """Remove what writers that were killed left half-written, where the storage can have such."""
    remove = getattr(cache(), "remove_abandoned_writes", None)
    if remove:
        remove()
