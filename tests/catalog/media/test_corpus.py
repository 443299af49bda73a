"""Every file of the corpus goes through the pool and is compared with what exiftool, Pillow and ffmpeg say about it."""

from __future__ import annotations

import json
import math
import os
import re
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from catalog.media.limits import Limits
from catalog.media.pool import DecoderPool
from catalog.media.results import DigestResult, SurveyResult
from catalog.media.task import Job
from catalog.sources.kinds import is_media_name, sidecars_in
from tests.corpus import CORPUS, needs_corpus

ZONE = "Europe/Berlin"
MTIME_NS = 1_600_000_000_000_000_000
pytestmark = needs_corpus

_MODIFY_DATE = (
    "it has EXIF ModifyDate only, the last resort before the file's own time; the reference left that tag out"
)
_XMP_PLACE = "the position is in XMP, the reference holds EXIF's"
_NO_FRAME = "it holds headers and not one frame, which the reference calls readable"
_LENIENT = "a broken file whose EXIF is whole; we take it, the reference stops at the broken part"
_BROKEN_HEADER = "broken on purpose: its header contradicts its picture, which only decoding shows"
DEVIATIONS: dict[tuple[str, str], str] = {
    (f"library/{path}", field): reason
    for path, field, reason in (
        ("commons-imaging/downloads/xmp test.webp", "date", _MODIFY_DATE),
        ("commons-imaging/scans/1pagefax.tif", "date", _MODIFY_DATE),
        ("goexif/broken/infinite_loop_exif.jpg", "date", _MODIFY_DATE),
        ("image-rs/formats/cat.jpg", "date", _MODIFY_DATE),
        ("pigallery2/sidecar styles/flatxmp.jpg", "date", _MODIFY_DATE),
        ("pigallery2/sidecar styles/no_metadata.jpg", "date", _MODIFY_DATE),
        ("pigallery2/sidecar styles/no_metadata_v2.jpg", "date", _MODIFY_DATE),
        (
            "exifr-js/broken/RangeError_Offset_outside_bounds.jpg",
            "date",
            "the reference holds IPTC's date without its time",
        ),
        ("pillow/formats/flower.webp", "date", "its EXIF follows the pixels, where the reference run did not look"),
        ("pillow/formats/hopper_orientation_6.webp", "orientation", "its EXIF follows the pixels, as above"),
        ("nom-exif/broken/exif-no-tz.jpg", "date", _LENIENT),
        ("nom-exif/broken/exif-no-tz.jpg", "place", _LENIENT),
        ("nom-exif/broken/invalid-gps.jpg", "date", _LENIENT),
        ("goexif/broken/huge_tag_exif.jpg", "place", _LENIENT),
        ("pigallery2/unsorted/test_png.png", "date", "PNG's Creation Time, which the reference left out"),
        ("pigallery2/unsorted/video_mkv.mkv", "date", "Matroska's DateUTC, which the reference left out"),
        ("pigallery2/2024/01 Praha/20240107_110258.jpg", "place", _XMP_PLACE),
        ("pigallery2/2024/01 Praha/20240121_102400.JPG", "place", _XMP_PLACE),
        ("pigallery2/2024/01 Praha/20240128_185808.JPG", "place", _XMP_PLACE),
        ("pillow_heif/broken/invalid_id.heic", "survey size", _BROKEN_HEADER),
        ("wuffs/broken/frame-out-of-bounds.gif", "survey size", _BROKEN_HEADER),
        ("mp4ff/broken/init.mp4", "thumbnail", _NO_FRAME),
        ("nom-exif/broken/crash_moov-trak.mp4", "thumbnail", _NO_FRAME),
        ("nom-exif/videos/C0001.MP4", "thumbnail", _NO_FRAME),
    )
}
"""(path, field) -> why we say something else than the reference tools."""


def job_for(path: str, with_sidecars: bool = False) -> Job:
    full = CORPUS / path
    beside = sidecars_in(sorted(os.listdir(full.parent))).get(full.name, {}) if with_sidecars else {}
    openers = {kind: lambda name=name: os.open(full.parent / name, os.O_RDONLY) for kind, name in beside.items()}
    params = {"zone": ZONE, "mtime_ns": MTIME_NS, "size_bytes": full.stat().st_size}
    return Job(path, full.name, lambda: os.open(full, os.O_RDONLY), params, openers)


@pytest.fixture(scope="module")
def expected() -> dict[str, dict[str, Any]]:
    every = json.loads((CORPUS / "expected.json").read_text())
    return {path: facts for path, facts in every.items() if is_media_name(Path(path).name) or "no_extension" in path}


@pytest.fixture(scope="module")
def nasty() -> dict[str, dict[str, Any]]:
    return {entry["path"]: entry for entry in json.loads((CORPUS / "nasty.json").read_text())}


@pytest.fixture(scope="module")
def digests(expected: dict[str, dict[str, Any]]) -> dict[str, DigestResult]:
    with DecoderPool(2, Limits(seconds=60)) as pool:
        return {job.key: result for job, result in pool.digest(job_for(path) for path in expected)}


@pytest.fixture(scope="module")
def surveys(expected: dict[str, dict[str, Any]]) -> dict[str, SurveyResult]:
    with DecoderPool(2, Limits(seconds=60)) as pool:
        return {job.key: result for job, result in pool.survey(job_for(path) for path in expected)}


def differences(field: str, pairs: dict[str, tuple[Any, Any]]) -> list[str]:
    return [
        f"{path}: {field} {ours!r}, expected {theirs!r}"
        for path, (ours, theirs) in sorted(pairs.items())
        if ours != theirs and (path, field) not in DEVIATIONS
    ]


def none_of(wrong: list[str]) -> None:
    """Fail with the whole list, one difference a line."""
    if wrong:
        pytest.fail("\n".join([f"{len(wrong)} differences:", *wrong]), pytrace=False)


def decodes(facts: dict[str, Any]) -> bool:
    return bool((facts.get("pillow") or facts.get("ffprobe") or {}).get("ok"))


def upright_size(facts: dict[str, Any]) -> tuple[int, int] | None:
    drawn = facts.get("pillow") or {}
    kind = facts.get("fileType")
    if not decodes(facts):
        return None
    width, height = drawn.get("size") or (facts.get("width"), facts.get("height"))
    if kind in ("HEIC", "HEIF", "TIFF", "BTF") and "ffprobe" not in facts:
        # pillow-heif has applied irot, and Pillow turns TIFF by itself.
        return width, height
    if "ffprobe" in facts or kind == "AVIF":
        return (height, width) if facts.get("rotation") in (90, 270) else (width, height)
    return (height, width) if facts.get("orientation", 1) in (5, 6, 7, 8) else (width, height)


def seconds_of(text: str) -> datetime | None:
    match = re.match(r"(\d{4})[:-](\d\d)[:-](\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d))?)?", text)
    try:
        moment = datetime(*(int(part or 0) for part in match.groups())) if match else None
    except ValueError:
        return None
    return moment if moment and moment.year >= 1826 and moment < datetime.now() else None


def expected_date(facts: dict[str, Any]) -> datetime | None:
    keys = (
        "dateTimeOriginal",
        "createDate",
        "xmpDateTimeOriginal",
        "photoshopDateCreated",
        "xmpCreateDate",
        "keysCreationDate",
    )
    for key in keys:
        moment = seconds_of(str(facts.get(key, "")))
        if moment:
            return moment
    moment = seconds_of(str(facts.get("quicktimeCreateDateUTC", "")))
    if moment:
        return moment.replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(ZONE)).replace(tzinfo=None)
    return seconds_of(str(facts.get("iptcDateCreated", "")))


def test_every_file_is_answered(
    digests: dict[str, DigestResult], surveys: dict[str, SurveyResult], expected: dict[str, Any]
) -> None:
    assert set(digests) == set(surveys) == set(expected)
    unnamed = [path for path, result in digests.items() if not result.head_md5 or not result.photo_md5]
    none_of(unnamed)


def test_sizes(digests: dict[str, DigestResult], surveys: dict[str, SurveyResult], expected: dict[str, Any]) -> None:
    theirs = {path: size for path, facts in expected.items() if (size := upright_size(facts))}
    wrong = differences(
        "size", {path: ((digests[path].width, digests[path].height), size) for path, size in theirs.items()}
    )
    quick = {p: ((s.width, s.height), (digests[p].width, digests[p].height)) for p, s in surveys.items() if s.width}
    none_of(wrong + differences("survey size", quick))


def test_orientation(digests: dict[str, DigestResult], expected: dict[str, Any]) -> None:
    theirs = {path: facts.get("orientation", 1) for path, facts in expected.items() if decodes(facts)}
    none_of(
        differences("orientation", {p: (digests[p].orientation, o if 1 <= o <= 8 else 1) for p, o in theirs.items()})
    )


@pytest.mark.promise("S2-021")
def test_capture_dates(
    digests: dict[str, DigestResult], surveys: dict[str, SurveyResult], expected: dict[str, Any]
) -> None:
    pairs = {}
    for path, facts in expected.items():
        result = digests[path]
        own = result.taken_source in ("exif", "xmp", "quicktime", "iptc")
        ours = datetime.fromisoformat(result.taken_local).replace(microsecond=0) if result.taken_local and own else None
        theirs = expected_date(facts)
        if theirs or ours:
            pairs[path] = ours, theirs
    quick = {p: (s.taken_local, digests[p].taken_local) for p, s in surveys.items()}
    none_of(differences("date", pairs) + differences("survey date", quick))


def test_offsets(digests: dict[str, DigestResult], expected: dict[str, Any]) -> None:
    pairs = {}
    for path, facts in expected.items():
        offset = re.fullmatch(r"([+-])(\d\d):(\d\d)", str(facts.get("offsetTimeOriginal", "")))
        if offset and digests[path].taken_source == "exif":
            minutes = (int(offset[2]) * 60 + int(offset[3])) * (-1 if offset[1] == "-" else 1)
            pairs[path] = digests[path].offset_minutes, minutes
    assert len(pairs) > 40
    none_of(differences("offset", pairs))


def test_cameras(digests: dict[str, DigestResult], expected: dict[str, Any]) -> None:
    pairs = {p: (digests[p].camera_make, str(f["make"]).strip()) for p, f in expected.items() if "make" in f}
    models = {p: (digests[p].camera_model, str(f["model"]).strip()) for p, f in expected.items() if "model" in f}
    assert len(pairs) > 80
    none_of(differences("make", pairs) + differences("model", models))


def is_place(latitude: float, longitude: float) -> bool:
    return (latitude, longitude) != (0, 0) and abs(latitude) <= 90 and abs(longitude) <= 180


def test_places(digests: dict[str, DigestResult], expected: dict[str, Any]) -> None:
    wrong = []
    for path, facts in expected.items():
        latitude, longitude = facts.get("latitude"), facts.get("longitude")
        ours = digests[path].latitude, digests[path].longitude
        if isinstance(latitude, (int, float)) and isinstance(longitude, (int, float)) and is_place(latitude, longitude):
            near = None not in ours and all(
                math.isclose(a, b, abs_tol=1e-4) for a, b in zip(ours, (latitude, longitude), strict=True)
            )
        else:
            near = ours == (None, None)
        if not near and (path, "place") not in DEVIATIONS:
            wrong.append(f"{path}: place {ours}, expected {(latitude, longitude)}")
    none_of(wrong)


def expected_rating(facts: dict[str, Any]) -> int | None:
    if "ratingXMP" in facts and facts["ratingXMP"] == -1:
        return None
    for key in ("ratingXMP", "ratingEXIF"):
        value = facts.get(key)
        if value is not None and 0 <= float(value) <= 5:
            return math.floor(float(value) + 0.5)
    return None


def test_ratings(digests: dict[str, DigestResult], expected: dict[str, Any]) -> None:
    pairs = {p: (digests[p].rating, expected_rating(f)) for p, f in expected.items()}
    assert sum(theirs is not None for _, theirs in pairs.values()) > 20
    none_of(differences("rating", pairs))


SIDECARS: dict[str, tuple[int | None, str, str]] = {
    "made-here/sidecars/base.jpg": (3, "", "file"),
    "made-here/sidecars/both.jpg": (4, "", "file"),
    "made-here/sidecars/UPPER.JPG": (1, "", "file"),
    "made-here/sidecars/utf16.jpg": (4, "", "file"),
    "made-here/sidecars/ext.jpg": (5, "2017-05-06T07:08:09", "sidecar"),
    "made-here/sidecars/conflict.jpg": (1, "2001-01-01T00:00:00", "sidecar"),
    "made-here/sidecars/xxe.jpg": (None, "", "file"),
    "made-here/sidecars/bomb.jpg": (None, "", "file"),
    "made-here/sidecars/locked.jpg": (None, "", "file"),
    "made-here/sidecars/notxml.jpg": (None, "", "file"),
    "made-here/sidecars/unclosed.jpg": (None, "", "file"),
    "librephotos/2018/10/niaz.jpg": (5, "2018-10-04T19:21:55", "sidecar"),
    "pigallery2/sidecar styles/bunny_1sec.mp4": (4, "2024-02-27T17:51:32", "quicktime"),
    "pigallery2/sidecar styles/bunny_1sec_v2.mp4": (4, "2024-02-27T17:51:32", "quicktime"),
}
TAKEOUT = "library/made-here/Takeout/Google Photos/Photos from 2019"


def test_sidecars() -> None:
    with DecoderPool(1) as pool:
        results = {job.key: r for job, r in pool.digest(job_for(f"library/{path}", True) for path in SIDECARS)}
    wrong = []
    for path, (rating, taken, source) in SIDECARS.items():
        result = results[f"library/{path}"]
        ours = result.rating, (result.taken_local or "") if taken else "", result.taken_source
        if ours != (rating, taken, source) or result.problem:
            wrong.append(f"{path}: {ours}, expected {(rating, taken, source)} {result.problem}")
    none_of(wrong)
    assert "root:" not in repr(results) and not results["library/made-here/sidecars/bomb.jpg"].caption


def test_every_takeout_photo_finds_its_document() -> None:
    names = sorted(name for name in os.listdir(CORPUS / TAKEOUT) if is_media_name(name))
    with DecoderPool(1) as pool:
        results = {
            Path(job.key).name: r for job, r in pool.digest(job_for(f"{TAKEOUT}/{name}", True) for name in names)
        }
    unreadable = {name for name, r in results.items() if any("Takeout file" in note for note in r.notes)}
    assert unreadable == {"bad json.jpg"}
    beside = sidecars_in(os.listdir(CORPUS / TAKEOUT))
    wrong = []
    for name in set(results) - unreadable - {"types.jpg"}:
        document = json.loads((CORPUS / TAKEOUT / beside[name]["takeout"]).read_text("utf-8-sig"))
        seconds = int(document["photoTakenTime"]["timestamp"])
        if seconds != datetime.fromisoformat(str(results[name].taken_at)).timestamp():
            wrong.append(f"{name}: {results[name].taken_at}, expected {seconds}")
    none_of(wrong)


def test_what_decodes_has_a_thumbnail(digests: dict[str, DigestResult], expected: dict[str, Any]) -> None:
    missing = [
        f"{path}: {digests[path].problem}"
        for path, facts in sorted(expected.items())
        if decodes(facts) and not digests[path].thumbnail and (path, "thumbnail") not in DEVIATIONS
    ]
    none_of(missing)


def test_what_has_no_thumbnail_has_a_reason(digests: dict[str, DigestResult]) -> None:
    silent = [path for path, result in digests.items() if not result.thumbnail and not result.problem]
    none_of(silent)


def test_no_decoder_crashed_or_stumbled(digests: dict[str, DigestResult], surveys: dict[str, SurveyResult]) -> None:
    words = ("crashed", "time limit", "decoder failed", "headers are damaged (")
    found = [
        f"{path}: {r.problem}"
        for results in (digests, surveys)
        for path, r in results.items()
        if any(w in r.problem for w in words)
    ]
    none_of(found)


def test_nasty_files_are_listed_with_reason_or_drawn(digests: dict[str, DigestResult], nasty: dict[str, Any]) -> None:
    wrong = []
    for path, entry in nasty.items():
        result = digests.get(path)
        if result is None:
            continue
        if entry["decodes"] is False and not result.problem and (path, "nasty") not in DEVIATIONS:
            wrong.append(f"{path}: {entry['kind']}, but no word about it")
    none_of(wrong)
