"""Digest one file: read it once, take every fact from those bytes, then draw its thumbnail."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Any

from catalog.media.body import metadata_body
from catalog.media.drawing import THUMBNAIL_EDGE_PX
from catalog.media.facts import Facts
from catalog.media.image_data import image_digest, image_map
from catalog.media.limits import Limits
from catalog.media.memory import HELD_BYTES, can_be_streamed
from catalog.media.motion import motion_bytes
from catalog.media.picture import draw
from catalog.media.results import CAPTION_CHARACTERS, DigestResult, PreviewResult
from catalog.media.sidecars import Sidecar
from catalog.media.source import DescriptorSource, MemorySource, Source
from catalog.media.survey import apply_dates, begin, finish_notes, open_source, read_sidecars
from catalog.media.takeout_edits import place_given_there
from catalog.media.words import Words

_CHUNK_BYTES = 1024 * 1024


def digest_file(
    descriptor: int,
    name: str,
    params: dict[str, Any],
    sidecar_descriptors: dict[str, int],
    limits: Limits,
    *,
    draws: bool = True,
) -> Iterator[DigestResult]:
    """Yield the result twice: with all facts, and again with the thumbnail. What happens in between costs the thumbnail only.

    Without `draws` there is no thumbnail, and one result.
    """
    result = DigestResult()
    opened = open_source(descriptor, result)
    if opened is None:
        yield result
        return
    source = _read_once(opened, result, limits)
    facts = begin(source, result)
    sidecars = read_sidecars(sidecar_descriptors)
    apply_dates(result, facts, name, params, sidecars)
    order = {name: bool(params.get(name)) for name in ("sidecar_first", "file_first")}
    apply_facts(result, facts, sidecars, **order)
    finish_notes(result, facts)
    if facts is not None:
        result.motion_bytes = motion_bytes(source, result.media_type, facts.found.xmp_packets)
    if params.get("image_data"):
        result.image_map = image_map(source, result.media_type)
    if draws:
        result.image_digest = image_digest(source, result.media_type)
    yield result
    if facts is None or not draws:
        return
    if source.size > HELD_BYTES and can_be_streamed(result.media_type):
        source = opened
    drawing = draw(source, result.media_type, facts, THUMBNAIL_EDGE_PX, limits)
    result.thumbnail, result.damaged = drawing.jpeg, drawing.damaged
    result.placeholder = drawing.colour or result.placeholder
    if result.media_type.startswith("image/") and not drawing.problem and not drawing.damaged:
        result.look = drawing.look
    if drawing.problem and not result.problem:
        result.problem, result.too_large = drawing.problem[:500], drawing.too_large
    if drawing.problem:
        result.needed_bytes = min(drawing.needed_bytes, 2**62)
        result.short_of_memory = drawing.short_of_memory
    size = drawing.source_size
    is_raw = result.media_type.startswith("image/x-")
    if size[0] and size != (result.width, result.height) and not (is_raw and result.width):
        # A decoder knows better than a header; only a RAW has edges that are cut off.
        result.width, result.height = size
        facts.found.width, facts.found.height = size if facts.turn < 5 else size[::-1]
        result.metadata_body = metadata_body(facts, result.photo_md5)
    yield result


def preview_file(descriptor: int, edge_px: int, limits: Limits) -> PreviewResult:
    """Draw the file behind `descriptor` upright into `edge_px` pixels."""
    facts_holder = DigestResult()
    opened = open_source(descriptor, facts_holder)
    if opened is None:
        return PreviewResult(problem=facts_holder.problem)
    facts = begin(opened, facts_holder)
    if facts is None:
        return PreviewResult(problem=facts_holder.problem)
    drawing = draw(opened, facts_holder.media_type, facts, edge_px, limits)
    problem = drawing.problem or ("" if drawing.jpeg else facts_holder.problem)
    result = PreviewResult(drawing.jpeg, drawing.width, drawing.height, problem[:500], drawing.damaged)
    result.short_of_memory = drawing.short_of_memory
    result.needed_bytes = min(drawing.needed_bytes, 2**62) if problem else 0
    return result


def _read_once(opened: DescriptorSource, result: DigestResult, limits: Limits) -> Source:
    if opened.size <= limits.in_memory_bytes:
        parts, position = [], 0
        while position < opened.size:
            part = os.pread(opened.descriptor, opened.size - position, position)
            if not part:
                break
            parts.append(part)
            position += len(part)
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        result.photo_md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        result.size_bytes = len(data)
        return MemorySource(data)
    digest, position = hashlib.md5(usedforsecurity=False), 0
    while part := os.pread(opened.descriptor, _CHUNK_BYTES, position):
        digest.update(part)
        position += len(part)
    result.photo_md5, result.size_bytes = digest.hexdigest(), position
    return opened


def apply_facts(
    result: DigestResult,
    facts: Facts | None,
    sidecars: dict[str, Sidecar],
    *,
    sidecar_first: bool = False,
    file_first: bool = False,
) -> None:
    """Set camera, place, stars and words of `result`: an XMP file's first, which is what a person said last, then the
    photo's own, then Takeout's; a place that was given in Google Photos comes before the photo's own.
    With `file_first` the photo's own count before all others.

    Stars are the photo's own first; with `sidecar_first` the XMP file's, as where they are written into such.
    """
    if facts is not None:
        result.camera_make, result.camera_model, result.lens_model = facts.make, facts.model, facts.lens
        result.iso, result.aperture, result.focal_length = facts.iso, facts.aperture, facts.focal_length
        result.shutter_speed, result.content_identifier = facts.shutter_speed, facts.content_identifier
        result.metadata_body = metadata_body(facts, result.photo_md5)
        result.embedded_rating = facts.words.rating
        result.captions_differ = facts.descriptions_differ
        result.embedded_keywords, result.keywords_differ = facts.words.keywords, facts.keywords_differ
        result.embedded_keywords_are_cut = facts.words.keywords_are_cut
        result.embedded_keyword_paths = facts.words.keyword_paths
        result.has_windows_keywords = bool(facts.windows_keywords)
        result.embedded_latitude, result.embedded_longitude = facts.words.latitude, facts.words.longitude
        result.iptc_text, result.has_iptc_caption = facts.iptc.text, bool(facts.iptc.caption)
    own: list[Words] = [facts.words] if facts is not None else []
    in_xmp = [sidecars["xmp"].words] if "xmp" in sidecars else []
    others = [sidecar.words for kind, sidecar in sidecars.items() if kind != "xmp"]
    every = [*own, *in_xmp, *others] if file_first else [*in_xmp, *own, *others]
    result.sidecar_rating = next((s.words.rating for s in sidecars.values() if s.words.rating is not None), None)
    result.is_favourite = any(sidecar.is_favourite for sidecar in sidecars.values())
    result.is_trashed = any(sidecar.is_trashed for sidecar in sidecars.values())
    result.told_keywords = [word for sidecar in sidecars.values() for word in sidecar.told_keywords]
    ratings = [result.embedded_rating, result.sidecar_rating]
    result.rating = next((r for r in (ratings[::-1] if sidecar_first else ratings) if r is not None), None)
    for words in in_xmp:
        result.sidecar_caption = words.caption[:CAPTION_CHARACTERS]
        result.sidecar_caption_is_none = words.caption_is_none
        result.sidecar_keywords, result.sidecar_keywords_are_none = words.keywords, words.keywords_are_none
        result.sidecar_keywords_are_cut = words.keywords_are_cut
        result.sidecar_keyword_paths = words.keyword_paths
        result.sidecar_latitude, result.sidecar_longitude = words.latitude, words.longitude
    # A title speaks for a photo only where nobody described it.
    leading = [] if file_first else [words for words in in_xmp if sidecar_first or not words.caption_is_title]
    described = [*(in_xmp if sidecar_first else leading), *own, *in_xmp, *others]
    decided = next((words for words in described if words.caption or words.caption_is_none), None)
    result.caption = decided.caption[:CAPTION_CHARACTERS] if decided else ""
    result.keywords = next((words.keywords for words in every if words.keywords or words.keywords_are_none), [])
    given = place_given_there(facts, sidecars["takeout"]) if facts is not None and "takeout" in sidecars else None
    if given is not None and not any(words.place for words in in_xmp):
        result.takeout_latitude, result.takeout_longitude = given
        every = every if file_first else others
    for words in every:
        if result.latitude is None and words.latitude is not None:
            result.latitude, result.longitude = words.latitude, words.longitude
