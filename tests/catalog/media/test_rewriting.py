"""Every writable file of the corpus is rated, rated anew, un-rated: exiftool reads it, the pixels stay, the bytes come back."""

import hashlib
import json
import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from catalog.media.delta import BadDelta, apply_delta, make_delta
from catalog.media.exiftool import ExifTool, exiftool_command
from catalog.media.not_written import NotWritten, reasons
from catalog.media.pool import DecoderPool
from catalog.media.results import DigestResult
from catalog.media.rewriting import rewrite, rewrite_back, undo_delta
from catalog.media.tag_changes import EXTENSIONS, PERCENT_OF_STARS, DateChange, RatingChange, TagChange, date_said
from catalog.media.task import Job
from catalog.sources.kinds import extension_of, is_media_name
from catalog.sources.local import LocalSource
from tests.corpus import CORPUS, needs_corpus

NEVER_WRITTEN = {"ico", "bmp", "svg", "jxl", "webm", "mkv", "avi"}
"""Formats that hold no rating which others read, or that exiftool does not write: refused with a reason."""
MUST_BE_WRITTEN = {
    "jpg",
    "jpeg",
    "png",
    "apng",
    "gif",
    "webp",
    "tif",
    "tiff",
    "heic",
    "heif",
    "avif",
    "dng",
    "mp4",
    "mov",
}
EVERY_NTH_JPEG = 5
SHARES = {
    "JPEG": {"jpg", "jpeg", "mpo"},
    "films": {"mp4", "mov", "3gp", "mkv", "avi", "webm"},
    "HEIF": {"heic", "heif", "hif", "avif"},
    "others": None,
}
"""Kinds of files that are tried together, so that processes share the work; None stands for all that no other share has."""
CONTAINERS = {"GIF:GIFVersion", "QuickTime:HandlerType", "QuickTime:HandlerVendorID", "Track2:HandlerType"}
"""The format's version, the head of an empty list of tags, which exiftool drops, and one of two handlers: no information."""
FOLLOWS = (
    "Offset",
    "Offsets",
    "ByteCount",
    "ByteCounts",
    "Length",
    "Start",
    "DataSize",
    "ExifByteOrder",
    "Padding",
    "Flags",
)


@cache
def all_chosen() -> list[str]:
    """All files but most of the many JPEGs, which are alike."""
    jpegs, others = [], []
    for folder, _, names in os.walk(CORPUS / "library"):
        for name in names:
            if is_media_name(name):
                path = str(Path(folder, name).relative_to(CORPUS / "library"))
                (jpegs if extension_of(name) == "jpg" else others).append(path)
    return sorted(others) + sorted(jpegs)[::EVERY_NTH_JPEG]


def chosen(share: str) -> list[str]:
    """The chosen files of a share."""
    kinds, of_others = SHARES[share], set().union(*filter(None, SHARES.values()))
    return [p for p in all_chosen() if (extension_of(p) in kinds if kinds else extension_of(p) not in of_others)]


class Bench:
    """A copy of the chosen files of a share, and what is needed to rewrite them."""

    def __init__(self, root: Path, tool: ExifTool, pool: DecoderPool, share: str) -> None:
        self.root, self.tool, self.pool = root, tool, pool
        self.source = LocalSource(root)
        self.paths = chosen(share)
        self.kinds = {extension_of(path) for path in self.paths}
        for path in self.paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CORPUS / "library" / path, root / path)

    def read(self, opener: Any) -> DigestResult:
        ((_, facts),) = self.pool.facts(
            [Job(None, "", opener, {"zone": "UTC", "mtime_ns": 0, "size_bytes": 0, "image_data": True})]
        )
        return facts

    def same(self, first: Any, second: Any) -> bool:
        pictures = [self.pool.preview(Job(None, "", opener), 1024).picture for opener in (first, second)]
        return pictures[0] is not None and pictures[0] == pictures[1]

    def rate(self, path: str, stars: int, base: bytes | None = None, back: bytes | None = None) -> bytes | None:
        """Write stars into one file; return the way back. Raises NotWritten."""
        return self.write(path, RatingChange(stars), base, back)

    def write(self, path: str, change: TagChange, base: bytes | None = None, back: bytes | None = None) -> bytes | None:
        """Write one file; return the way back. Raises NotWritten."""
        facts = (self.root / path).stat()
        old = self.read(lambda: self.source.open(path))
        extension = EXTENSIONS.get(old.media_type, ".bin")
        expected = (facts.st_size, facts.st_mtime_ns)
        with reasons(), self.source.replacement(path, token="t", extension=extension, expected=expected) as new:
            common = (self.read, self.same)
            if back:
                rewrite_back(new, back, change, old, *common, keep_mtime=False)
            else:
                rewrite(new, change, old, self.tool, *common, keep_mtime=False)
            way = undo_delta(new, base=base)
            new.swap()
        return way

    def check_kinds(self, written: Counter[str], refused: Counter[str]) -> None:
        """Every kind that must be written was; no other was, and each of those was refused."""
        assert set(written) >= MUST_BE_WRITTEN & self.kinds
        assert not set(written) & NEVER_WRITTEN
        assert set(refused) >= NEVER_WRITTEN & self.kinds


def tags_in(root: Path, paths: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What one fresh exiftool says of all these files."""
    words = [*exiftool_command(), "-json", "-G1", "-n", "-a", "-b", "-fast0", "-api", "LargeFileSupport=1"]
    listing = "\n".join(str(root / path) for path in paths)
    said = subprocess.run([*words, "-@", "-"], input=listing.encode(), capture_output=True, check=False).stdout
    return {str(Path(row["SourceFile"]).relative_to(root)): row for row in json.loads(said)}


@cache
def original_tags(paths: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """What exiftool says of these files of the corpus."""
    return tags_in(CORPUS / "library", paths)


@cache
def original_pixels(path: str) -> str | None:
    """The digest of what a file of the corpus shows."""
    return _pixels_or_none(CORPUS / "library" / path)


def pixels(path: Path) -> str:
    """A digest of all that is shown: by Pillow, of films the packets, of RAWs the sensor's values."""
    import av
    import pillow_heif
    import rawpy
    from PIL import Image

    digest = hashlib.md5()
    if path.suffix.lower() == ".dng":
        with rawpy.imread(str(path)) as raw:
            digest.update(raw.raw_image.tobytes())
    elif path.suffix.lower() in (".mp4", ".mov", ".3gp") and path.read_bytes()[4:8] == b"ftyp":
        with av.open(str(path)) as film:
            for packet in film.demux():
                digest.update(bytes(packet))
    else:
        pillow_heif.register_heif_opener()
        with Image.open(path) as image:
            image.load()
            digest.update(f"{image.size} {image.mode}".encode())
            digest.update(image.tobytes())
    return digest.hexdigest()


def other_tags(row: dict[str, Any]) -> dict[str, Any]:
    """The tags that a rating must leave alone."""
    kept = {}
    for name, value in row.items():
        group, _, tag = name.partition(":")
        if group in ("File", "ExifTool", "System", "Composite", "SourceFile", "XMP-x") or "Rating" in tag:
            continue
        if value in ("", []) or tag.endswith(FOLLOWS) or tag in ("XMP", "EXIF", "HasExtendedXMP", "MPImage2"):
            continue
        kept[name] = value
    return kept


@pytest.mark.slow
@needs_corpus
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.promise("S2-024", "S2-046", "S2-047", "S2-067")
def test_every_writable_file_of_the_corpus(tmp_path, share):
    written: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    with ExifTool() as tool, DecoderPool(2) as pool:
        bench = Bench(tmp_path / "library", tool, pool, share)
        before = {path: (bench.root / path).read_bytes() for path in bench.paths}
        ways: dict[str, bytes | None] = {}
        stars_before = {}
        for path in bench.paths:
            stars_before[path] = bench.read(lambda path=path: bench.source.open(path)).embedded_rating or 0
            first = 4 if stars_before[path] != 4 else 3
            try:
                ways[path] = bench.rate(path, first)
                written[extension_of(path)] += 1
            except NotWritten as reason:
                assert str(reason).endswith("."), path
                assert (bench.root / path).read_bytes() == before[path], path
                refused[extension_of(path)] += 1
        done = sorted(ways)
        originals, tags = original_tags(tuple(done)), tags_in(bench.root, done)
        losses: dict[tuple[str, str], Any] = {}
        for path in done:
            row = tags[path]
            first = 4 if stars_before[path] != 4 else 3
            # Where the XMP is broken, EXIF alone holds the stars.
            assert row.get("XMP-xmp:Rating", row.get("IFD0:Rating")) == first, (path, sorted(row))
            percent = row.get("XMP-microsoft:RatingPercent", row.get("IFD0:RatingPercent"))
            assert percent == PERCENT_OF_STARS[first], path
            if extension_of(path) in ("jpg", "jpeg", "tif", "tiff", "dng"):
                assert row.get("IFD0:Rating") == first, path
            others = other_tags(row)
            lost = {
                name: value
                for name, value in other_tags(originals[path]).items()
                if others.get(name) != value and name not in CONTAINERS
            }
            losses |= {(path, name): (value, row.get(name)) for name, value in lost.items()}
            assert _pixels_or_none(bench.root / path) == original_pixels(path), path
        assert not losses, "\n".join(map(str, losses.items()))
        for path in done[::4]:
            ways[path] = bench.rate(path, 2, base=ways[path])
        for path in done:
            bench.rate(path, stars_before[path], back=ways[path])
            assert (bench.root / path).read_bytes() == before[path], path
    bench.check_kinds(written, refused)


@needs_corpus
def test_the_shares_are_all_chosen_files_of_all_kinds():
    together = [path for share in SHARES for path in chosen(share)]
    assert sorted(together) == sorted(all_chosen())
    assert {extension_of(path) for path in together} >= MUST_BE_WRITTEN | NEVER_WRITTEN


TAKEN = DateChange(datetime(2015, 3, 4, 5, 6, 7), 330)
DATE_TAGS = ("Date", "Created", "OffsetTime", "SubSecTime", "Keys")
"""Parts of the names of tags that a date may write."""


@pytest.mark.slow
@needs_corpus
@pytest.mark.parametrize("share", SHARES)
def test_a_date_in_every_writable_file_of_the_corpus(tmp_path, share):
    written: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    with ExifTool() as tool, DecoderPool(2) as pool:
        bench = Bench(tmp_path / "library", tool, pool, share)
        ways: dict[str, bytes | None] = {}
        said: dict[str, Any] = {}
        for path in bench.paths:
            before = (bench.root / path).read_bytes()
            old = bench.read(lambda path=path: bench.source.open(path))
            said[path] = date_said(old)
            change = replace(TAKEN, is_video=old.media_type.startswith("video/"))
            try:
                ways[path] = bench.write(path, change)
                written[extension_of(path)] += 1
            except NotWritten as reason:
                assert str(reason).endswith("."), path
                assert (bench.root / path).read_bytes() == before, path
                refused[extension_of(path)] += 1
        done = sorted(ways)
        original, tags = original_tags(tuple(done)), tags_in(bench.root, done)
        losses: dict[tuple[str, str], Any] = {}
        wall = "2015:03:04 05:06:07"
        for path in done:
            row = tags[path]
            expected = {}
            if extension_of(path) in ("jpg", "jpeg", "tif", "tiff", "dng", "heic"):
                expected = {"ExifIFD:DateTimeOriginal": wall, "ExifIFD:OffsetTimeOriginal": "+05:30"}
            elif "QuickTime:CreateDate" in original[path]:  # some films have no head that could hold one
                expected = {"QuickTime:CreateDate": "2015:03:03 23:36:07", "Keys:CreationDate": f"{wall}+05:30"}
            elif row.get("ExifIFD:DateTimeOriginal") != wall:
                expected = {"XMP-exif:DateTimeOriginal": f"{wall}+05:30"}
            losses |= {(path, n): (value, row.get(n)) for n, value in expected.items() if row.get(n) != value}
            kept = {
                name: value
                for name, value in other_tags(original[path]).items()
                if name not in CONTAINERS and not any(part in name for part in DATE_TAGS)
            }
            others = other_tags(row)
            losses |= {(path, n): (v, row.get(n)) for n, v in kept.items() if others.get(n) != v}
            assert _pixels_or_none(bench.root / path) == original_pixels(path), path
        assert not losses, "\n".join(map(str, losses.items()))
        for path in done:
            taken = said[path]["taken"]
            back = DateChange(datetime.fromisoformat(taken) if taken else None, said[path]["offset"])
            bench.write(path, back, back=ways[path])
            assert (bench.root / path).read_bytes() == (CORPUS / "library" / path).read_bytes(), path
    bench.check_kinds(written, refused)


def _pixels_or_none(path: Path) -> str | None:
    try:
        return pixels(path)
    except Exception:
        return None  # a file that nobody can decode


def test_a_delta_leads_back_and_says_when_it_cannot():
    old = random.Random(1).randbytes(128_000)
    new = b"head" + old[:70_000] + b"middle" * 99 + old[70_000:]
    delta = make_delta(old, new)
    assert delta is not None
    assert len(delta) < 300
    assert b"".join(apply_delta(new, delta)) == old
    with pytest.raises(BadDelta):
        b"".join(apply_delta(new[:-1] + b"x", delta))
    with pytest.raises(BadDelta):
        b"".join(apply_delta(new, delta[:40]))
    with pytest.raises(BadDelta):
        b"".join(apply_delta(new, b"nonsense"))
    assert make_delta(os.urandom(3_000_000), b"something else") is None


@pytest.mark.parametrize("argument", ["two\nlines", "--", "", "naïve", "tab\there"])
def test_exiftool_is_never_handed_what_it_could_misread(argument):
    with ExifTool() as tool, pytest.raises(ValueError, match="must not be handed"):
        tool.ask(["-ver", argument], 5)
    assert tool.pid is None
