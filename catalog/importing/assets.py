"""What lies on a phone and not (yet) here: its assets by the platform's ids, with what the phone tells and a small picture.

Each device has one library of its own (`source` "device") in which its assets are photos in the state "on the phone". They
are shown in the timeline; their files are not here, so nothing of them can be opened, scanned, written or exported.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from django.utils import timezone as clock

from accounts.models import Device
from catalog.cache import reading, tree
from catalog.edits.favourites import check_stars
from catalog.entries import counts
from catalog.entries.album_items import forget_items
from catalog.entries.previews import decoder
from catalog.entries.taken import taken_columns, within
from catalog.media.dates import Stamp
from catalog.media.task import Job
from catalog.models import Favourite, Library, Photo, PhotoMetadata
from catalog.sources.names import skipped_part
from catalog.sources.placing import numbered
from operations.database_conflicts import retried_on_conflict
from operations.running import OperationFailed
from photolala.lib.paths import escape_path

SOURCE = "device"
BY_THE_DEVICE = "device"
"""The source of a capture time that a phone told."""
MOST_AT_ONCE = 500
LARGEST_PICTURE_BYTES = 4 * 1024 * 1024
LONGEST_ID = 400
_BIG = 2**63 - 1


class AssetRefused(Exception):
    """An asset cannot be taken down; the text is a sentence."""


class NoPicture(Exception):
    """The bytes are no picture; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Asset:
    """What a phone tells of one asset. `modified` changes when the asset does, and then another picture is wanted."""

    asset_id: str
    filename: str
    media_type: str
    modified: str = ""
    taken: Stamp | None = None
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    size_bytes: int = 0
    latitude: float | None = None
    longitude: float | None = None
    favorite: int | None = None
    favorite_changed: datetime | None = None
    """When the phone's own stars changed, if it knows."""
    photo_md5: str = ""


def library_of(device: Device) -> Library:
    """Return the device's library; made when it is first asked for.

    A device that tells an id that it keeps has the same library whenever it signs in, also after it was signed out.
    """
    former = f"device://{device.pk}"
    root = former
    if device.stable_id:
        key = hashlib.sha256(f"{device.user_id}\n{device.stable_id}".encode()).hexdigest()[:32]
        root = f"device://{key}"
        own = Library.objects.filter(source=SOURCE, owner=device.user)
        if not own.filter(root=root).exists():
            with suppress(IntegrityError), transaction.atomic():  # another request was first
                own.filter(root=former).update(root=root)
    try:
        library, _ = Library.objects.get_or_create(
            root=root,
            source=SOURCE,
            owner=device.user,
            defaults={
                "name": device.name[:200] or "Phone",
                "ratings": Library.Ratings.DATABASE,
                "scan_every_hours": 0,
                "time_zone": settings.TIME_ZONE,
            },
        )
    except IntegrityError:
        library = Library.objects.get(root=root)
    return library


def know_by(device: Device, stable_id: str) -> None:
    """Note the id that a device keeps, if it told none when it signed in."""
    if stable_id and not device.stable_id:
        Device.objects.filter(pk=device.pk, stable_id="").update(stable_id=stable_id)
        device.stable_id = stable_id


@retried_on_conflict
def register(library: Library, assets: Sequence[Asset]) -> list[str]:
    """Add assets to a device's library, or bring them up to date; return the ids of those whose pictures are wanted.

    Raises AssetRefused for names that no scan would see, once the file is sent; nothing is taken down then.
    One transaction. A photo keeps its id, stars and albums as long as the asset keeps its platform id.
    """
    now = clock.now()
    by_id = {asset.asset_id: asset for asset in assets}
    for asset in assets:
        if skipped_part(asset.filename):
            raise AssetRefused(
                f"The asset {asset.asset_id} is called “{asset.filename}”: hidden files, and files of systems, are not taken. "
                "Nothing of these was taken down; leave it out."
            )
    with transaction.atomic():
        Library.objects.select_for_update().get(pk=library.pk)
        known = {photo.asset_id: photo for photo in Photo.objects.filter(library=library).of_assets(list(by_id))}
        taken = set(
            Photo.objects.filter(library=library)
            .filter(filename__in=_names(by_id.values()))
            .values_list("filename", flat=True)
        )
        wanted = []
        told: list[PhotoMetadata] = []
        for key, asset in by_id.items():
            photo = known.get(key)
            head = hashlib.md5(f"{key}\n{asset.modified}".encode(), usedforsecurity=False).hexdigest()
            if photo is None:
                photo = Photo(
                    library=library, asset_id=key, filename=_free_name(library, asset, taken), added_at=now, mtime_ns=0
                )
                taken.add(photo.filename)
            is_changed = photo.head_md5 != head
            _tell(library, photo, asset)
            photo.head_md5, photo.state, photo.is_shown, photo.needs_digest = head, Photo.State.REMOTE, True, False
            photo.has_thumbnail = photo.has_thumbnail and not is_changed
            photo.missing_since = None
            photo.save()
            if not photo.has_thumbnail:
                wanted.append(key)
            told.append(PhotoMetadata(photo=photo, body=_body(asset)))
            if asset.favorite is not None:
                _like(library, photo, asset.favorite, _changed_at(photo, asset, now))
        before = PhotoMetadata.objects.filter(photo__in=[one.photo_id for one in told])
        bodies = {one.photo_id: one.body for one in told}
        stale = [key for key, body in before.values_list("photo", "body") if bodies[key] != body]
        PhotoMetadata.objects.bulk_create(told, update_conflicts=True, unique_fields=["photo"], update_fields=["body"])
        counts.bump_revision(library)
    reading.forget(  # made anew when it is asked for
        tree.asset_metadata_name(str(library.pk), one.photo.asset_id) for one in told if one.photo_id in stale
    )
    counts.refresh_counts(library)
    return wanted


def store_picture(library: Library, photo: Photo, data: bytes) -> None:
    """Keep a small upright picture of an asset, drawn anew by a shut-in decoder.

    Raises NoPicture, DecoderBusy, and Unavailable while the cache is away: the phone sends it again.
    """
    working = Path(settings.DATA_DIR) / "working"
    working.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=working) as file:
        file.write(data)
        file.flush()
        job = Job(
            photo.asset_id,
            "picture.jpg",
            partial(os.open, f"/proc/self/fd/{file.fileno()}", os.O_RDONLY | os.O_CLOEXEC),
            {"zone": "UTC", "mtime_ns": 0, "size_bytes": len(data)},
        )
        drawn = decoder.digest(job)
    if drawn.thumbnail is None:
        raise NoPicture(drawn.problem or "No picture could be read from this.")
    try:
        with tree.writing():
            name = tree.asset_thumbnail_name(str(library.pk), photo.asset_id)
            tree.cache().save(name, ContentFile(drawn.thumbnail))
    except OperationFailed:
        raise reading.away() from None
    body = PhotoMetadata.objects.filter(photo=photo).values_list("body", flat=True).first()
    if body:
        reading.keep(tree.asset_metadata_name(str(library.pk), photo.asset_id), body.encode())
    Photo.objects.filter(pk=photo.pk).update(has_thumbnail=True, placeholder=drawn.placeholder)
    counts.bump_revision(library)


def remove(library: Library, asset_ids: Sequence[str]) -> int:
    """Forget assets that are no longer on the device, or are in a library by now; return how many."""
    gone = _forget(library, asset_ids)
    names = (tree.asset_thumbnail_name, tree.asset_metadata_name)
    reading.forget(name_of(str(library.pk), photo.asset_id) for photo in gone for name_of in names)
    counts.refresh_counts(library)
    return len(gone)


@retried_on_conflict
def _forget(library: Library, asset_ids: Sequence[str]) -> list[Photo]:
    """Delete the rows of assets; return them."""
    with transaction.atomic():
        rows = Photo.objects.filter(library=library).of_assets(list(asset_ids)).select_for_update(of=("self",))
        gone = list(rows.order_by("pk"))
        forget_items([photo.pk for photo in gone])
        Photo.objects.filter(pk__in=[photo.pk for photo in gone]).delete()
        counts.bump_revision(library)
    return gone


def _names(assets: Any) -> list[str]:
    return [escape_path(asset.filename) for asset in assets]


def _free_name(library: Library, asset: Asset, taken: set[str]) -> str:
    name = wanted = escape_path(asset.filename)
    number = 2
    while name in taken or (number > 2 and Photo.objects.filter(library=library, directory="", filename=name).exists()):
        name, number = numbered(wanted, number), number + 1
    return name


def _tell(library: Library, photo: Photo, asset: Asset) -> None:
    photo.media_type = asset.media_type
    photo.width, photo.height = asset.width, asset.height
    photo.duration_ms = within(asset.duration_ms, 0, _BIG)
    photo.size_bytes = asset.size_bytes
    photo.photo_md5 = asset.photo_md5
    has_place = asset.latitude is not None and asset.longitude is not None
    photo.latitude, photo.longitude = (asset.latitude, asset.longitude) if has_place else (None, None)
    if not photo.taken_held:
        for name, value in _taken(library, asset.taken).items():
            setattr(photo, name, value)


def _body(asset: Asset) -> str:
    """Return what the phone tells as the metadata JSON of formats.md §2."""
    taken = asset.taken
    date = taken.local.isoformat() if taken else None
    if taken and taken.offset_minutes is not None:
        date = taken.local.replace(tzinfo=timezone(timedelta(minutes=taken.offset_minutes))).isoformat()
    body = {
        "photoMD5": asset.photo_md5 or None,
        "width": asset.width,
        "height": asset.height,
        "captureDate": date,
        "gpsLatitude": asset.latitude,
        "gpsLongitude": asset.longitude,
        "duration": None if asset.duration_ms is None else asset.duration_ms / 1000,
    }
    known = {name: value for name, value in body.items() if value is not None}
    return json.dumps(known, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _taken(library: Library, taken: Stamp | None) -> dict[str, Any]:
    if taken is None:
        return taken_columns(None, None, None, "")
    offset = taken.offset_minutes
    zone = ZoneInfo(library.time_zone) if offset is None else timezone(timedelta(minutes=offset))
    local: datetime = taken.local
    instant = local.replace(tzinfo=zone).astimezone(UTC)
    return taken_columns(local.isoformat(), instant.isoformat(), offset, BY_THE_DEVICE)


def _changed_at(photo: Photo, asset: Asset, now: datetime) -> datetime | None:
    """Return when the phone's stars changed, None if they did not since it told them last.

    A phone that knows no time is believed as of now, but only about another number than the one it told before; of one that
    an earlier version took down nothing is known, and what was given here meanwhile stays.
    """
    if asset.favorite_changed is not None:
        return min(asset.favorite_changed, now)
    before = photo.told_rating
    if before is None:
        return now if photo.rated_at is None else None
    return now if before != asset.favorite else None


def _like(library: Library, photo: Photo, stars: int, changed_at: datetime | None) -> None:
    """The phone's own heart is the owner's star of an asset, unless one was given here after it changed."""
    check_stars(stars)
    mine = Photo.objects.filter(pk=photo.pk)
    mine.update(told_rating=stars)
    if changed_at is None or (photo.rated_at is not None and changed_at <= photo.rated_at):
        return
    if stars:
        Favourite.objects.update_or_create(user_id=library.owner_id, photo=photo, defaults={"rating": stars})
    else:
        Favourite.objects.filter(user_id=library.owner_id, photo=photo).delete()
    mine.update(rating=stars or None, rating_held=True, rated_at=changed_at)
