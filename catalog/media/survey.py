"""Survey one file: a few reads of its first bytes, enough to show it in a timeline."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from catalog.media import dates
from catalog.media.containers import examine
from catalog.media.decoder_libraries import zone_named
from catalog.media.detect import describe_stranger, media_type_of
from catalog.media.facts import Facts
from catalog.media.found import Found
from catalog.media.name_dates import from_name
from catalog.media.results import UNREADABLE, DigestResult, SurveyResult
from catalog.media.sidecars import Sidecar, read_takeout_sidecar, read_xmp_sidecar
from catalog.media.source import DescriptorSource, Source
from catalog.media.takeout_edits import date_given_there
from catalog.media.tiff import raw_media_type
from catalog.media.xmp import LONGEST_PACKET_BYTES

HEAD_BYTES = 4096
_SIDECAR_READERS = {"xmp": read_xmp_sidecar, "takeout": read_takeout_sidecar}


def read_sidecars(descriptors: dict[str, int]) -> dict[str, Sidecar]:
    """Read the sidecars behind the descriptors; what is no regular file or cannot be read gives a note."""
    sidecars = {}
    for kind in ("xmp", "takeout"):
        descriptor = descriptors.get(kind)
        if descriptor is None:
            continue
        try:
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
            data = os.pread(descriptor, LONGEST_PACKET_BYTES + 1, 0) if is_file else b""
        except OSError as error:
            sidecars[kind] = Sidecar(notes=[f"The file beside the photo could not be read: {error.strerror}."])
            continue
        sidecars[kind] = _SIDECAR_READERS[kind](data)
    return sidecars


def survey_file(
    descriptor: int, name: str, params: dict[str, Any], sidecar_descriptors: dict[str, int]
) -> SurveyResult:
    """Return what the first bytes of the file behind `descriptor` tell; `name` is read for a date only.

    Never raises for bad content.
    """
    result = SurveyResult()
    source = open_source(descriptor, result)
    if source is None:
        return result
    facts = begin(source, result)
    if params.get("head_only"):
        _allow_for_head(source.size, int(params["size_bytes"]), result)
    if facts is not None and facts.found.exif is not None and facts.found.exif.thumbnail:
        result.placeholder = _placeholder(facts.found.exif.thumbnail)
    apply_dates(result, facts, name, params, read_sidecars(sidecar_descriptors))
    finish_notes(result, facts)
    return result


def _allow_for_head(head_bytes: int, size_bytes: int, result: SurveyResult) -> None:
    """Set the whole file's size, and leave to the digest what is missing only because no more than the head was read."""
    result.size_bytes = size_bytes
    if head_bytes < size_bytes and result.media_type and result.problem:
        result.problem = ""


def open_source(descriptor: int, result: SurveyResult) -> DescriptorSource | None:
    """Set size and time of `result` from the descriptor and return its bytes; None, with a problem, if it is no readable
    regular file."""
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            result.problem = "Not an ordinary file."
            return None
        result.size_bytes, result.mtime_ns = status.st_size, status.st_mtime_ns
        return DescriptorSource(descriptor, status.st_size)
    except OSError as error:
        result.problem = f"{UNREADABLE}{error.strerror}."
        return None


def begin(source: Source, result: SurveyResult) -> Facts | None:
    """Set type, head MD5 and sizes of `result`; None, with a problem, for a file that is no picture or film."""
    head = source.read(0, HEAD_BYTES)
    result.head_md5 = hashlib.md5(head, usedforsecurity=False).hexdigest()
    result.media_type = media_type_of(head)
    if not result.media_type:
        result.problem = describe_stranger(head)
        return None
    try:
        found = examine(source, result.media_type)
    except (ValueError, IndexError, ArithmeticError, TypeError, KeyError, OSError, struct.error) as error:
        # A reader that stumbles over a lie must cost the facts of one file, not the file's place in the list.
        found = Found(problem=f"The file's headers are damaged ({type(error).__name__}).")
    if (
        result.media_type.startswith("video/")
        and not found.problem
        and not (found.width and found.duration_ms is not None)
    ):
        _ask_demuxer(source, result.media_type, found)
    if result.media_type == "image/tiff":
        result.media_type = raw_media_type(found.exif) or result.media_type
    facts = Facts(found)
    result.width, result.height = facts.size
    result.orientation = facts.orientation
    result.duration_ms = found.duration_ms
    result.problem = found.problem
    return facts


def _ask_demuxer(source: Source, media_type: str, found: Found) -> None:
    """Complete what is known of a film whose headers are not read here (Matroska, MPEG), or that tells them only in part."""
    from catalog.media.video import examine_film

    examine_film(source, media_type, found)


def apply_dates(
    result: SurveyResult, facts: Facts | None, name: str, params: dict[str, Any], sidecars: dict[str, Sidecar]
) -> None:
    """Choose the capture time among the file, its sidecars, its name and its modification time, and set it on `result`.

    What somebody gave in an XMP file beside it counts first, or in Google Photos, unless `params` say `file_first`.
    """
    now = dates.EPOCH + timedelta(seconds=time.time())
    zone = zone_named(str(params.get("zone") or "UTC"))
    mtime_ns = int(params.get("mtime_ns") or result.mtime_ns)
    taken = dates.choose(_candidates(facts, name, mtime_ns, sidecars, now), zone, now)
    for candidate in sidecars["xmp"].captured if "xmp" in sidecars else ():
        beside = dates.choose([candidate], zone, now)
        if beside.local is None:
            continue
        if isinstance(result, DigestResult):
            result.sidecar_taken, result.sidecar_offset = beside.local.isoformat(), beside.offset_minutes
        if not params.get("file_first") and not dates.says_as_much(taken, beside, str(candidate.value)):
            taken = beside
        break
    if "takeout" in sidecars and not ("xmp" in sidecars and sidecars["xmp"].candidates):
        taken = _given_in_takeout(result, facts, sidecars["takeout"], name, taken, zone, now, params)
    result.notes.extend(taken.notes)
    for sidecar in sidecars.values():
        result.notes.extend(sidecar.notes)
    if taken.local is None or taken.at is None:
        return
    result.taken_local = taken.local.isoformat()
    result.offset_minutes = taken.offset_minutes
    result.taken_at = taken.at.isoformat().replace("+00:00", "Z")
    result.taken_source = taken.source
    result.taken_estimated = taken.is_estimated


def _given_in_takeout(
    result: SurveyResult,
    facts: Facts | None,
    document: Sidecar,
    name: str,
    own: dates.Taken,
    zone: ZoneInfo,
    now: datetime,
    params: dict[str, Any],
) -> dates.Taken:
    """Return the date of Takeout's `document` if it counts before the file's own one, else that."""
    if facts is None or own.source not in dates.IN_THE_FILE or own.local is None:
        return own
    candidate = date_given_there(facts, document, name, result.media_type, now)
    given = dates.choose([candidate] if candidate else [], zone, now)
    if given.local is None:
        return own
    if isinstance(result, DigestResult):
        result.takeout_taken = given.local.isoformat()
    if params.get("file_first"):
        return own
    shown = own.local.isoformat(" ", "seconds")
    given.notes = [*own.notes, f"The file's own date {shown!r} was skipped: another one was given in Google Photos."]
    return given


def finish_notes(result: SurveyResult, facts: Facts | None) -> None:
    """Move the notes of the readers to `result`, each once."""
    if facts is not None:
        result.notes.extend(facts.notes)
    result.notes = list(dict.fromkeys(note[:500] for note in result.notes))[:50]


def _candidates(
    facts: Facts | None, name: str, mtime_ns: int, sidecars: dict[str, Sidecar], now: datetime
) -> Iterator[dates.Candidate]:
    nothing: tuple[dates.Candidate, ...] = ()
    yield from facts.embedded_dates() if facts else nothing
    yield from chain.from_iterable(sidecar.candidates for sidecar in sidecars.values())
    yield from facts.later_dates() if facts else nothing
    in_name = from_name(name, now)
    if in_name is not None:
        yield in_name
    yield from facts.last_dates() if facts else nothing
    in_file = dates.from_mtime(mtime_ns)
    if in_file is not None:
        yield in_file


def _placeholder(thumbnail: bytes) -> str:
    from catalog.media.picture import average_of_jpeg

    return average_of_jpeg(thumbnail)
