"""Sends what a person selected: one photo as it is, several as a ZIP that is made while it is sent."""

import logging
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from accounts.models import User
from catalog.roots.reach import source_for
from exports import downloads
from exports.formats.zip_once import UnreadEntry, ZipOnce
from exports.ledger.names import TakenNames
from exports.reading.originals import Original, OriginalUnreadable, open_original
from photolala.web.ranges import Download, opened, serve
from photolala.web.refusals import NotThere

from .plan import Chosen, Missing, Plan, plan_download

READ_BYTES = 1 << 18
MISSING_NAME = "missing.txt"
_LAST_SECOND = 4_354_819_199  # the end of 2107, as far as ZIP counts

logger = logging.getLogger(__name__)


def serve_selection(
    request: HttpRequest, user: User, photo_ids: Sequence[UUID], album: UUID | None = None
) -> HttpResponseBase:
    """Answer with the photo itself if it is one, else with a ZIP of all that can be had, and a text that says what cannot.

    Raises what `plan_download` does, TooManyRequests, and Unavailable while too many files are being sent. A file that changes
    while it is sent breaks the download off: nobody is to take it for whole.
    """
    plan = plan_download(user, photo_ids, album)
    if plan.is_one_file:
        return _serve_one(request, plan.chosen[0])
    return downloads.serve_archive(request, archive_of(plan), name=plan.name, user_id=user.pk, has_ranges=False)


def archive_of(plan: Plan) -> ZipOnce:
    """Return the ZIP of what is planned; its size is known, nothing is read yet."""
    entries = [
        UnreadEntry(one.original.target, one.original.size_bytes, _modified(one.original), partial(_read, one))
        for one in plan.chosen
    ]
    if plan.missing:
        text = _text_of(plan.missing, len(plan.chosen) + len(plan.missing)).encode()
        name = TakenNames(one.original.target for one in plan.chosen).claim(MISSING_NAME)
        entries.append(UnreadEntry(name, len(text), timezone.now(), lambda: [text]))
    return ZipOnce(entries)


def _serve_one(request: HttpRequest, chosen: Chosen) -> HttpResponseBase:
    source = source_for(chosen.library)
    try:
        file = opened(open_original(source, chosen.original))
    except OriginalUnreadable as reason:
        raise NotThere(f"There is nothing to download. {reason}", "nothing_to_download") from None
    finally:
        source.close()
    is_media = chosen.media_type.startswith(("image/", "video/"))
    download = Download(
        chosen.original.size_bytes,
        chosen.media_type if is_media else "application/octet-stream",
        filename=chosen.original.target,
        attachment=True,
        cache_control="private, no-store",
        has_ranges=False,
    )
    return serve(request, download, file)


def _read(chosen: Chosen) -> Iterator[bytes]:
    """Yield the bytes of an original. Raises OriginalUnreadable if it is not the file that the catalog knows."""
    source = source_for(chosen.library)
    try:
        descriptor = open_original(source, chosen.original)
    except OriginalUnreadable as reason:
        logger.warning("A download stops at %s: %s", chosen.original.path, reason)
        raise
    finally:
        source.close()
    try:
        begun = os.fstat(descriptor)
        while chunk := os.read(descriptor, READ_BYTES):
            yield chunk
        ended = os.fstat(descriptor)
        if (ended.st_size, ended.st_mtime_ns) != (begun.st_size, begun.st_mtime_ns):
            raise OriginalUnreadable(
                "It changed while it was sent."
            )  # what was sent may be half the one, half the other
    finally:
        os.close(descriptor)


def _modified(original: Original) -> datetime:
    return datetime.fromtimestamp(min(max(original.mtime_ns // 10**9, 0), _LAST_SECOND), UTC)


def _text_of(missing: Sequence[Missing], count: int) -> str:
    """Return what the ZIP says of photos that are not in it; lines end as all systems show them."""
    lines = [
        f"Of {count:,} selected photos, {len(missing):,} are not in this archive. None was changed or deleted.",
        "",
    ]
    lines += [f"{one.name or one.id}: {one.reason}" for one in missing]
    return "\r\n".join([*lines, ""])
