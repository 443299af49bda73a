"""Serve thumbnails, previews, originals and metadata of what a user may see; what the cache lost is made anew."""

import hashlib
import io
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase

from accounts.models import User
from catalog.albums import access
from catalog.cache import reading, tree
from catalog.cache.reading import CacheAway, Cached
from catalog.entries import read_here
from catalog.entries.listing import is_doubted
from catalog.entries.previews import PREVIEW_EDGE_PX, DecoderBusy, decoder
from catalog.media.task import Job
from catalog.models import Library, Photo, TrashItem
from catalog.roots.reach import source_for
from catalog.roots.trash_folder import folder_of_item
from catalog.snapshots.schema import snapshot_name
from catalog.sources.base import FileChanged, NotARegularFile, Source, SourceUnavailable
from photolala.lib.digests import md5_of_descriptor
from photolala.lib.paths import join_path, unescape_path
from photolala.web.parameters import is_present
from photolala.web.ranges import Download, opened, serve
from photolala.web.refusals import Conflict, NotThere, Unavailable

FOR_EVER = "private, max-age=31536000, immutable"
ASK_AGAIN = "private, no-cache"
LARGEST_HASHED_BYTES = 256 * 1024 * 1024
SCAN_SOON_SECONDS = 5
_COLUMNS = (
    "pk",
    "photo_md5",
    "read_md5",
    "directory",
    "filename",
    "size_bytes",
    "mtime_ns",
    "media_type",
    "state",
    "is_shown",
    "has_thumbnail",
    "problem",
    "asset_id",
    "head_md5",
    "library_id",
    "library__root",
    "library__source",
    "library__time_zone",
)


@dataclass(frozen=True)
class Stored:
    """A photo's row, as far as serving needs it."""

    pk: UUID
    photo_md5: str
    read_md5: str
    directory: str
    filename: str
    size_bytes: int
    mtime_ns: int
    media_type: str
    state: str
    is_shown: bool
    has_thumbnail: bool
    problem: str
    asset_id: str
    head_md5: str
    library: Library
    is_in_album: bool = False
    """It is seen through an album: where it is kept, and its name, are not told."""

    @property
    def told_path(self) -> str:
        """What errors call it."""
        return "of this photo" if self.is_in_album else self.path

    @property
    def path(self) -> str:
        """Relative to the root, in escaped form."""
        return join_path(self.directory, self.filename)


def find(user: User, photo_id: UUID) -> Stored:
    """Return the photo if `user` may see it; Http404 otherwise. The one query that authorises."""
    return _stored(Photo.objects.visible_to(user), photo_id)


def find_in_album(user: Any, album_id: UUID, photo_id: UUID) -> Stored:
    """Return the photo if the album shows it to `user`; Http404 otherwise. The one query that authorises."""
    return _stored(access.photos_in(user, album_id), photo_id, is_in_album=True)


def _stored(photos: QuerySet[Photo], photo_id: UUID, *, is_in_album: bool = False) -> Stored:
    row = photos.filter(pk=photo_id).values_list(*_COLUMNS).first()
    if row is None:
        raise Http404
    library_id, root, source, zone = row[-4:]
    library = Library(pk=library_id, root=root, source=source, time_zone=zone)
    return Stored(**dict(zip(_COLUMNS[:-4], row, strict=False)), library=library, is_in_album=is_in_album)


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
    return _serve_cached(request, photo, name, partial(_make_thumbnail, photo))


def serve_preview(request: HttpRequest, photo: Stored) -> HttpResponseBase:
    """Answer with a JPEG of at most 1,600 px for the lightbox, made when it is first asked for."""
    _refuse_without_picture(photo)
    if photo.asset_id:
        return _serve_asset(request, photo)
    if not _is_kept(photo):
        picture = _make_preview(photo)
        control = _cache_control(request, photo) if photo.photo_md5 else "private, no-store"
        download = Download(
            len(picture), "image/jpeg", photo.photo_md5, filename=_named(photo, "jpg"), cache_control=control
        )
        return serve(request, download, io.BytesIO(picture))
    return _serve_cached(
        request, photo, tree.preview_name(photo.photo_md5, photo.library.source), partial(_make_preview, photo)
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
        filename=_named(photo, "jpg"),
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
        file = opened(_open(source, photo))
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
        filename=_file_name(photo),
        attachment=is_present(request.GET, "download") or not is_media,
        cache_control=_cache_control(request, photo) if is_known else ASK_AGAIN,
        server_path=_path_here(photo),
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
        filename=_named(photo, "mp4" if is_video else "jpg"),
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


def _make_thumbnail(photo: Stored) -> bytes:
    found = _decode(photo, decoder.digest)
    if found.photo_md5 and found.photo_md5 != photo.photo_md5:
        raise _other_content(photo)
    if found.thumbnail is None or not found.photo_md5:
        raise NotThere(found.problem or "No thumbnail could be made of this file.", "no_picture")
    _note_read(photo)
    return found.thumbnail


def _make_preview(photo: Stored) -> bytes:
    found = _decode(photo, partial(decoder.preview, edge_px=PREVIEW_EDGE_PX), is_shared=_is_kept(photo))
    if found.picture is None:
        raise NotThere(found.problem or "No picture could be made of this file.", "no_picture")
    return found.picture


def _is_kept(photo: Stored) -> bool:
    """Tell whether a preview may go into the cache, where everybody's photos of the same MD5 find it."""
    return bool(photo.photo_md5) and photo.size_bytes <= LARGEST_HASHED_BYTES


def open_as_known(photo: Stored, *, is_shared: bool = False) -> int:
    """Return a descriptor of the file as the catalog knows it, for the caller to close. Raises problems.

    What will be shared by MD5 is made of bytes that have that MD5 (`is_shared`): size and time of a file can be forged.
    """
    source = source_for(photo.library)
    try:
        descriptor = _open(source, photo, as_known=True)
    finally:
        source.close()
    if is_shared:
        if md5_of_descriptor(descriptor) != photo.photo_md5:
            os.close(descriptor)
            raise _other_content(photo)
        _note_read(photo)
    return descriptor


def _decode(photo: Stored, verb: Callable[[Job], Any], *, is_shared: bool = False) -> Any:
    """Open the file as the catalog knows it and hand it to the decoder. Raises problems."""
    descriptor = open_as_known(photo, is_shared=is_shared)
    # The pool closes what it opens, and opens again when a decoder crashed on it: hence the copies.
    params = {"zone": photo.library.time_zone, "mtime_ns": photo.mtime_ns, "size_bytes": photo.size_bytes}
    try:
        return verb(Job(photo.path, photo.filename, partial(os.dup, descriptor), params))
    except DecoderBusy:
        raise Unavailable(
            "Many pictures are being made just now. Try again in a moment.", "busy", wait_seconds=3
        ) from None
    finally:
        os.close(descriptor)


def _open(source: Source, photo: Stored, *, as_known: bool = False) -> int:
    """Return a descriptor of the photo's file, or raise the problem that says why there is none."""
    try:
        return source.open(photo.path, expected=(photo.size_bytes, photo.mtime_ns) if as_known else None)
    except FileChanged:
        raise _changed(photo) from None
    except (FileNotFoundError, NotADirectoryError, NotARegularFile, ValueError):
        if as_known and photo.state == Photo.State.MISSING:
            descriptor = _opened_in_trash(source, photo)
            if descriptor is not None:
                return descriptor
        if not _is_reachable(source):
            raise Unavailable(
                "The folder of this library cannot be reached. Is its disk or share mounted? Nothing is lost.",
                "root_unavailable",
                wait_seconds=60,
            ) from None
        raise NotThere(
            f"The file {photo.told_path} is not in its place. A scan of the library will find it if it was moved.",
            "file_gone",
        ) from None
    except OSError as error:
        raise Unavailable(
            f"The file {photo.told_path} cannot be read now: {error.strerror}.", "unreadable", wait_seconds=60
        ) from None


def _opened_in_trash(source: Source, photo: Stored) -> int | None:
    """Return a descriptor of a deleted photo's file as the catalog knows it; None if it is not in the trash."""
    item = TrashItem.objects.filter(photo=photo.pk).first()
    if item is None:
        return None
    path = f"{folder_of_item(item)}/{item.filename}"
    with suppress(OSError, ValueError):  # FileChanged is one, too
        return source.open(path, expected=(photo.size_bytes, photo.mtime_ns))
    return None


def _is_reachable(source: Source) -> bool:
    try:
        source.check()
    except SourceUnavailable:
        return False
    return True


def _path_here(photo: Stored) -> bytes | None:
    """Return where the original is on this machine, for a web server in front; None if it is in a bucket."""
    if photo.library.source != "local":
        return None
    return os.path.join(unescape_path(photo.library.root), unescape_path(photo.path))  # noqa: PTH118 - bytes


def _changed(photo: Stored) -> Conflict:
    return Conflict(
        f"The file {photo.told_path} has changed since it was scanned. Scan the library again.", "file_changed"
    )


def _note_read(photo: Stored) -> None:
    if photo.read_md5 != photo.photo_md5:
        read_here.note_read(photo.pk, photo.photo_md5)


def _other_content(photo: Stored) -> Conflict:
    """Return the problem of a file of the known size and time that has another MD5; the next scan reads it."""
    read_here.note_other_content(photo.library, photo.pk, photo.photo_md5)
    return _changed(photo)


def _refuse_without_picture(photo: Stored) -> None:
    if photo.state == Photo.State.BROKEN:
        raise NotThere(photo.problem or "This file cannot be shown.", "no_picture")


def _cache_control(request: HttpRequest, photo: Stored) -> str:
    """An address that names the version may be kept for ever; any other must be asked for again (and costs a 304)."""
    if photo.is_in_album:
        return ASK_AGAIN  # who may see it can change with each request
    version = request.GET.get("v", "")
    return FOR_EVER if len(version) >= 8 and photo.photo_md5.startswith(version) else ASK_AGAIN


def _file_name(photo: Stored) -> str:
    if photo.is_in_album:
        extension = os.path.splitext(photo.filename)[1]
        return f"{photo.pk}{extension if extension.isascii() else ''}"
    return unescape_path(photo.filename).decode("utf-8", "replace")


def _named(photo: Stored, extension: str) -> str:
    return f"{os.path.splitext(_file_name(photo))[0]}.{extension}"
