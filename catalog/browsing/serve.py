"""Serve thumbnails, previews, originals and metadata of what a user may see; what the cache lost is made anew."""

import hashlib
import io
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponseBase

from accounts.models import User
from catalog.browsing.make import is_kept, make_preview, make_thumbnail, open_original
from catalog.browsing.stored import Stored, file_name, name_with, path_here
from catalog.cache import reading, tree
from catalog.cache.reading import CacheAway, Cached
from catalog.entries import read_here
from catalog.entries.folder_comparison import is_doubted
from catalog.models import Library, Photo
from catalog.roots.reach import source_for
from catalog.snapshots.schema import snapshot_name
from photolala.web.parameters import is_present
from photolala.web.ranges import Download, opened, serve
from photolala.web.refusals import Conflict, NotThere

FOR_EVER = "private, max-age=31536000, immutable"
ASK_AGAIN = "private, no-cache"
SCAN_SOON_SECONDS = 5


def serve_thumbnail(request: HttpRequest, photo: Stored) -> HttpResponseBase:
    """Answer with the 256 px JPEG from the cache; one that the cache lost is made from the file again."""
    _refuse_without_picture(photo)
    if photo.asset_id:
        return _serve_asset(request, photo)
    if not photo.photo_md5:
        raise NotThere(
            "The thumbnail is still to be made; the scan is on its way to it.",
            "not_ready",
            wait_seconds=SCAN_SOON_SECONDS,
        )
    if not photo.has_thumbnail:
        raise NotThere(photo.problem or "No thumbnail could be made of this file.", "no_picture")
    name = tree.thumbnail_name(photo.photo_md5, photo.library.source)
    return _serve_cached(request, photo, name, partial(make_thumbnail, photo))


def serve_preview(request: HttpRequest, photo: Stored) -> HttpResponseBase:
    """Answer with a JPEG of at most 1,600 px for the lightbox, made when it is first asked for."""
    _refuse_without_picture(photo)
    if photo.asset_id:
        return _serve_asset(request, photo)
    if not is_kept(photo):
        picture = make_preview(photo)
        control = _cache_control(request, photo) if photo.photo_md5 else "private, no-store"
        download = Download(
            len(picture), "image/jpeg", photo.photo_md5, filename=name_with(photo, "jpg"), cache_control=control
        )
        return serve(request, download, io.BytesIO(picture))
    return _serve_cached(
        request, photo, tree.preview_name(photo.photo_md5, photo.library.source), partial(make_preview, photo)
    )


def _serve_asset(request: HttpRequest, photo: Stored) -> HttpResponseBase:
    """Answer with what the phone sent of an asset."""
    name = tree.asset_thumbnail_name(str(photo.library.pk), photo.asset_id)
    found = _found_or_away(name)
    if found is None:
        raise NotThere("The phone has not sent a picture of it yet.", "not_ready")
    download = Download(
        found.size_bytes,
        "image/jpeg",
        f"{photo.head_md5}-asset",
        filename=name_with(photo, "jpg"),
        cache_control=ASK_AGAIN,
        server_path=found.path,
    )
    return serve(request, download, found.file)


def serve_rendition(request: HttpRequest, photo: Stored) -> HttpResponseBase:
    """Answer with the video as browsers play it, if it was made; NotThere else."""

    def make() -> bytes:
        raise NotThere("The video was not converted yet. POST here, and a worker does it.", "not_ready")

    name = tree.rendition_name(photo.photo_md5, photo.library.source)
    return _serve_cached(request, photo, name, make, is_video=True)


def serve_original(request: HttpRequest, photo: Stored) -> HttpResponseBase:
    """Answer with the file itself, or a part of it, under its own name, so that nothing in it runs in a browser."""
    if photo.asset_id:
        raise NotThere("This is on the phone only. Upload it into a library to have it here.", "on_the_device")
    source = source_for(photo.library)
    try:
        file = opened(open_original(source, photo))
    finally:
        source.close()
    facts = os.fstat(file.fileno())
    is_known = (facts.st_size, facts.st_mtime_ns) == (photo.size_bytes, photo.mtime_ns) and bool(photo.photo_md5)
    is_media = photo.media_type.startswith(("image/", "video/"))
    download = Download(
        facts.st_size,
        photo.media_type if is_media else "application/octet-stream",
        # A file that changed since the scan has another ETag than what is known of it.
        etag=photo.photo_md5 if is_known else f"{facts.st_mtime_ns:x}-{facts.st_size:x}",
        modified=facts.st_mtime,
        filename=file_name(photo),
        attachment=is_present(request.GET, "download") or not is_media,
        cache_control=_cache_control(request, photo) if is_known else ASK_AGAIN,
        server_path=path_here(photo),
    )
    return serve(request, download, file)


def serve_metadata(request: HttpRequest, user: User, photo_id: UUID) -> HttpResponseBase:
    """Answer with the metadata JSON of formats.md §2. One query; what the cache lost is written there again.

    Only a decoder's words: a snapshot's, of which nobody here read the bytes, would be another's photo's as well.
    """
    columns = (
        "photo_md5",
        "read_md5",
        "sidecars",
        "metadata__body",
        "problem",
        "library__source",
        "library",
        "asset_id",
    )
    row = Photo.objects.visible_to(user).filter(pk=photo_id).values_list(*columns).first()
    if row is None:
        raise Http404
    photo_md5, read_md5, sidecars, body, problem, shard, library_id, asset_id = row
    if body is None:
        if photo_md5:
            raise NotThere(problem or "Nothing could be read from this file.", "no_metadata")
        raise NotThere("The file is still to be read.", "not_ready", wait_seconds=SCAN_SOON_SECONDS)
    raw = body.encode()
    if shard == "device":
        name = tree.asset_metadata_name(str(library_id), asset_id)
    else:
        is_a_decoders = photo_md5 and photo_md5 == read_md5 and not is_doubted(sidecars)
        name = tree.metadata_name(photo_md5, shard) if is_a_decoders else ""
    with suppress(CacheAway):  # the database has it; the cache gets it when somebody asks again
        if name and not reading.has(name):
            reading.keep(name, raw)
    etag = photo_md5 if shard != "device" else hashlib.md5(raw, usedforsecurity=False).hexdigest()
    download = Download(len(raw), "application/json", etag=etag, cache_control=ASK_AGAIN, has_ranges=False)
    return serve(request, download, io.BytesIO(raw))


def serve_snapshot(request: HttpRequest, library: Library, md5: str) -> HttpResponseBase:
    """Answer with a published catalog file from the cache tree. Its name is its MD5, so it may be kept for ever."""
    name = snapshot_name(md5)
    found = _found_or_away(f"{source_for(library).root_md5}/{name}")
    if found is None:
        raise NotThere("That snapshot's file is no longer kept here.", "no_file")
    download = Download(
        found.size_bytes,
        "application/vnd.sqlite3",
        md5,
        filename=name,
        attachment=True,
        cache_control=FOR_EVER,
        server_path=found.path,
    )
    return serve(request, download, found.file)


def _serve_cached(
    request: HttpRequest, photo: Stored, name: str, make: Callable[[], bytes], *, is_video: bool = False
) -> HttpResponseBase:
    """Serve a JPEG (or MP4) of the cache tree; if it is missing or empty there, `make` it and store it first.

    While the cache is away it is made from the original, too; Unavailable where that cannot be. So it is for a photo whose MD5
    is only told: whether the cache has that makes no difference then. `make` compares what it reads with the MD5.
    """
    is_away = False
    found = None
    try:
        if read_here.is_read(photo.library, photo):
            found = reading.open_cached(name)
    except CacheAway:
        is_away = True
    if found is None:
        try:
            picture = make()
        except (NotThere, Conflict):
            if is_away:  # the cache may well have it
                raise reading.away() from None
            raise
        if not is_away:
            reading.keep(name, picture)
        found = Cached(io.BytesIO(picture), len(picture), None)
    download = Download(
        found.size_bytes,
        "video/mp4" if is_video else "image/jpeg",
        etag=f"{photo.photo_md5}-mp4" if is_video else photo.photo_md5,
        filename=name_with(photo, "mp4" if is_video else "jpg"),
        cache_control=_cache_control(request, photo),
        server_path=found.path,
    )
    return serve(request, download, found.file)


def _found_or_away(name: str) -> Cached | None:
    """Return an object that can be had from the cache alone; None if it is not there. Raises Unavailable."""
    try:
        return reading.open_cached(name)
    except CacheAway:
        raise reading.away() from None


def _refuse_without_picture(photo: Stored) -> None:
    if photo.state == Photo.State.BROKEN:
        raise NotThere(photo.problem or "This file cannot be shown.", "no_picture")


def _cache_control(request: HttpRequest, photo: Stored) -> str:
    """An address that names the version may be kept for ever; any other must be asked for again (and costs a 304)."""
    if photo.is_in_album:
        return ASK_AGAIN  # who may see it can change with each request
    version = request.GET.get("v", "")
    return FOR_EVER if len(version) >= 8 and photo.photo_md5.startswith(version) else ASK_AGAIN
