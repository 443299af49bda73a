"""A caption in one file of each kind: exiftool reads it in every field that the kind has, and the bytes come back."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from catalog.media.exiftool import ExifTool
from catalog.media.pool import DecoderPool
from catalog.media.tag_changes import CaptionChange, escaped
from catalog.sources.local import LocalSource
from tests.catalog.browsing.test_video_renditions import make_film
from tests.catalog.media.test_rewriting import Bench, tags_in

WORDS = "Grüße aus «Bamberg»\nund 日本 😀 = <b>&amp;</b> -x"
XMP, IPTC, EXIF, KEYS = "XMP-dc:Description", "IPTC:Caption-Abstract", "IFD0:ImageDescription", "Keys:Description"
FIELDS = {
    "a.jpg": {XMP, IPTC, EXIF},
    "a.tif": {XMP, IPTC, EXIF},
    "a.png": {XMP, EXIF},
    "a.webp": {XMP, EXIF},
    "a.heic": {XMP, EXIF},
    "a.gif": {XMP},
    "a.mp4": {XMP, KEYS},
    "a.mov": {XMP, KEYS},
}


class SmallBench(Bench):
    """One small file of each kind."""

    def __init__(self, root: Path, tool: ExifTool, pool: DecoderPool) -> None:
        self.root, self.tool, self.pool = root, tool, pool
        root.mkdir()
        self.source = LocalSource(root)
        register_heif_opener()
        for name in FIELDS:
            if name.endswith((".mp4", ".mov")):
                make_film(root / name)
                continue
            stream = io.BytesIO()
            kind = {"jpg": "JPEG", "tif": "TIFF", "heic": "HEIF"}.get(name[2:], name[2:].upper())
            Image.new("RGB", (64, 48), (90, 160, 40)).save(stream, kind)
            (root / name).write_bytes(stream.getvalue())

    def said(self, *names: str) -> dict[str, dict[str, Any]]:
        """Return the captions in these files, field by field."""
        rows = tags_in(self.root, names)
        return {
            name: {field: row[field] for field in (XMP, IPTC, EXIF, KEYS) if field in row} for name, row in rows.items()
        }


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with ExifTool() as tool, DecoderPool(2) as pool:
        yield SmallBench(tmp_path_factory.mktemp("captions") / "library", tool, pool)


def test_every_kind_holds_it_and_gives_the_bytes_back(bench):
    before = {name: (bench.root / name).read_bytes() for name in FIELDS}
    ways = {name: bench.write(name, CaptionChange(WORDS)) for name in FIELDS}
    assert bench.said(*FIELDS) == {name: dict.fromkeys(fields, WORDS) for name, fields in FIELDS.items()}
    for name in FIELDS:
        bench.write(name, CaptionChange(""), back=ways[name])
        assert (bench.root / name).read_bytes() == before[name], name


def test_records_that_are_there_are_kept_in_step_where_they_are_unusual(bench):
    path = bench.root / "a.png"
    before = path.read_bytes()
    bench.tool.ask(["-overwrite_original", "-IPTC:Caption-Abstract=Theirs", str(path)], 60)
    assert bench.said("a.png") == {"a.png": {IPTC: "Theirs"}}
    bench.write("a.png", CaptionChange(WORDS))
    assert bench.said("a.png") == {"a.png": dict.fromkeys((XMP, IPTC, EXIF), WORDS)}
    bench.write("a.png", CaptionChange(""))
    assert bench.said("a.png") == {"a.png": {XMP: ""}}
    path.write_bytes(before)


@pytest.mark.parametrize("text", ["-overwrite_original", "=<&amp;\n#x", " # a", "😀é\t"])
def test_no_text_is_an_option(text):
    words = escaped(text)
    assert words.isascii() and words.isprintable()
    assert not set(words) & set("-=<>\n\t\"'\\@$")
