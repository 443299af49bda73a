"""Catalog what an import put into the library: it was read whole already, so that no scan has to."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from django.utils import timezone

from catalog.cache import tree
from catalog.edits.dates import Setting, plan, set_dates
from catalog.edits.favourites import FULL
from catalog.edits.ratings import set_ratings
from catalog.entries import counts
from catalog.entries import rows as entries_rows
from catalog.entries.columns import digested_row, surveyed_row
from catalog.entries.folder_comparison import Entry, doubted, is_racy, sidecar_signature
from catalog.entries.owner_stars import mirror_for_owner
from catalog.entries.rows import Claimed
from catalog.entries.sql import Row
from catalog.importing.read_file import ReadFile
from catalog.models import Import, Library, Photo


class _Surveyed(NamedTuple):
    """A file in the library, and its row as a scan that saw it would write it."""

    read: ReadFile
    row: Row
    entry: Entry


def write_derived(library: Library, placed: Sequence[ReadFile]) -> None:
    """Write thumbnails and metadata to the cache; call it before the rows that name them are written."""
    with tree.writing():
        for one in placed:
            if one.result.thumbnail:
                write = tree.write_makeshift if one.result.is_makeshift else tree.write_thumbnail
                write(one.result.photo_md5, one.result.thumbnail, library.source)
            if one.result.metadata_body:
                tree.write_metadata(one.result.photo_md5, one.result.metadata_body, library.source)


def catalog_files(library: Library, wanted: Import, placed: Sequence[ReadFile]) -> None:
    """Write the rows of what is in the library now, and name them in the items. Call it in a transaction."""
    surveyed = _surveyed(library, placed)
    if not surveyed:
        return
    entries_rows.insert_surveyed([one.row for one in surveyed])
    here = Photo.objects.filter(library=library, directory__in={one.row["directory"] for one in surveyed})
    here = here.filter(filename__in=[one.row["filename"] for one in surveyed])
    by_place = {(photo.directory, photo.filename): photo for photo in here.select_related("library")}
    for one in surveyed:
        one.read.item.photo = by_place[one.row["directory"], one.row["filename"]].pk
    digested = [_digested(by_place[one.row["directory"], one.row["filename"]], one) for one in surveyed]
    entries_rows.apply_digests(library, digested)
    rated = [row["id"] for row in digested if row["rating"]]
    if rated:
        mirror_for_owner(library, rated)
    liked = [
        row["id"]
        for row, one in zip(digested, surveyed, strict=True)
        if one.read.result.is_favourite and not row["rating"]
    ]
    if liked:
        set_ratings(wanted.user, liked, FULL)
    dated = [(by_place[one.row["directory"], one.row["filename"]], one.read.told_date) for one in surveyed]
    planned = [plan([photo], Setting(*told))[0] for photo, told in dated if told is not None]
    if planned:
        set_dates(wanted.user, planned)
    counts.bump_revision(library)


def _surveyed(library: Library, placed: Sequence[ReadFile]) -> list[_Surveyed]:
    now = timezone.now()
    surveyed = []
    for one in placed:
        if one.facts is None:
            continue
        place = (one.item.target_directory, one.item.target_filename)
        names = {kind: sidecar.name for kind, sidecar in one.beside.items()}
        entry = (*one.facts, sidecar_signature(names, dict(one.beside.values())))
        one.result.size_bytes, one.result.mtime_ns = one.facts
        row = surveyed_row(library, place, entry, one.result, added_at=now)
        surveyed.append(_Surveyed(one, row, entry))
    return surveyed


def _digested(photo: Photo, one: _Surveyed) -> Row:
    size_bytes, mtime_ns, sidecars = one.entry
    claimed = Claimed(
        photo.pk,
        photo.claim_token,
        photo.directory,
        photo.filename,
        size_bytes,
        mtime_ns,
        photo.media_type,
        sidecars,
    )
    row = digested_row(claimed, one.read.result)
    written = (mtime_ns, *(sidecar.facts.mtime_ns for sidecar in one.read.beside.values()))
    if any(is_racy(each, time.time_ns()) for each in written):
        row["sidecars"] = doubted(row["sidecars"])
    return row
