"""Give a photo whose file was rewritten its new identity: all that was derived from the old bytes, in one transaction."""

from contextlib import suppress
from typing import Any

from django.core.files.base import ContentFile
from django.db import connection

from catalog.media.results import DigestResult

from . import cache_tree
from .aliases import note_alias
from .models import FileWrite, Library, Photo, PhotoMetadata, QueuedStar
from .scan_rows import remember_hashes


def copy_pictures(library: Library, old_md5: str, new_md5: str) -> None:
    """Give the new version the cached thumbnail and preview of the old one: the picture is the same. Before the transaction.

    What cannot be copied is drawn when somebody looks.
    """
    storage, shard = cache_tree.cache(), library.source
    for name in (cache_tree.thumbnail_name, cache_tree.preview_name):
        with suppress(OSError, ValueError):
            if storage.exists(name(old_md5, shard)):
                with storage.open(name(old_md5, shard)) as file:
                    picture = file.read()
                storage.save(name(new_md5, shard), ContentFile(picture))


def rekey(
    library: Library, write: FileWrite, size_bytes: int, mtime_ns: int, facts: DigestResult, columns: Any
) -> bool:
    """Write the new version's size, time, MD5s and metadata, and `columns`, into the photo's row; follow with the rest.

    Hash cache, metadata, the alias old -> new and the star queue. False if the photo lies elsewhere by now, or was given
    another content: then the next scan sees to it. Call it in a transaction.
    """
    mine = Photo.objects.filter(pk=write.photo_id, photo_md5__in=(write.old_md5, facts.photo_md5))
    photo = mine.select_for_update().first()
    if photo is None:
        return False
    old_key = photo.fast_photo_key
    values = {
        "size_bytes": size_bytes,
        "mtime_ns": mtime_ns,
        "head_md5": facts.head_md5,
        "photo_md5": facts.photo_md5,
        **columns,
    }
    # A digest of the old version that is under way must not overwrite this.
    mine.update(claim_token=photo.claim_token + 1, needs_digest=False, claimed_for="", claimed_until=None, **values)
    PhotoMetadata.objects.update_or_create(photo_id=photo.pk, defaults={"body": facts.metadata_body})
    row = {"directory": photo.directory, "filename": photo.filename, **values}
    with connection.cursor() as cursor:
        remember_hashes(cursor, library, [row])
    if write.old_md5 != facts.photo_md5:
        note_alias(library, write.old_md5, facts.photo_md5)
    queued = QueuedStar.objects.filter(library=library, fast_photo_key=old_key)
    queued.update(photo_md5=facts.photo_md5, fast_photo_key=f"{facts.head_md5}:{size_bytes}")
    return True
