"""From the bytes of one file to its facts and its thumbnail."""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from catalog.media import picture
from catalog.media.digest import digest_file, preview_file
from catalog.media.limits import DEFAULT_LIMITS, Limits
from catalog.media.results import DigestResult
from catalog.media.survey import survey_file
from tests.catalog.media.photos import corner_picture, corners_of, exif_block, jpeg, nearest, with_xmp, xmp_packet

PARAMS = {"zone": "Europe/Berlin", "mtime_ns": 1_600_000_000_000_000_000}


def digest(
    folder: Path, data: bytes, name: str = "photo.jpg", limits: Limits = DEFAULT_LIMITS, **sidecars: bytes
) -> DigestResult:
    def opened(content: bytes, as_name: str) -> int:
        (folder / as_name).write_bytes(content)
        return os.open(folder / as_name, os.O_RDONLY)

    main = opened(data, name)
    beside = {kind: opened(content, f"beside.{kind}") for kind, content in sidecars.items()}
    try:
        *_, result = digest_file(main, name, PARAMS, beside, limits)
        return result
    finally:
        for descriptor in (main, *beside.values()):
            os.close(descriptor)


@pytest.mark.promise("S4-013", "S4-014", "S4-029", "S4-038", "S4-040", "S2-062")
def test_facts_of_a_photo(tmp_path: Path) -> None:
    block = exif_block(
        {0x010F: "Canon ", 0x0110: "EOS R6", 0x0112: 6},
        {
            0x9003: "2021:07:01 12:00:00", 0x9011: "+02:00", 0x9291: "25", 0x829A: 1 / 250, 0x829D: 2.8,
            0x8827: 400, 0x920A: 35.0, 0xA434: "RF 35mm",
        },
        {1: "N", 2: (48.0, 8.0, 14.5), 3: "W", 4: (11.0, 34.0, 0.0)},
    )  # fmt: skip
    data = jpeg(corner_picture(640, 480), exif=block)
    result = digest(tmp_path, data)
    assert result.photo_md5 == hashlib.md5(data).hexdigest()
    assert result.head_md5 == hashlib.md5(data[:4096]).hexdigest()
    assert (result.media_type, result.width, result.height, result.orientation) == ("image/jpeg", 480, 640, 6)
    assert (result.taken_local, result.taken_at) == ("2021-07-01T12:00:00.250000", "2021-07-01T10:00:00.250000Z")
    assert (result.offset_minutes, result.taken_source, result.taken_estimated) == (120, "exif", False)
    assert (result.camera_make, result.camera_model, result.lens_model) == ("Canon", "EOS R6", "RF 35mm")
    assert (result.iso, result.aperture, result.shutter_speed, result.focal_length) == (400, 2.8, "1/250", 35.0)
    assert (result.latitude, result.longitude) == (
        pytest.approx(48.137361, abs=1e-6),
        pytest.approx(-11.566667, abs=1e-6),
    )
    thumbnail = Image.open(io.BytesIO(result.thumbnail or b""))
    assert (thumbnail.format, thumbnail.size, thumbnail.getexif()) == ("JPEG", (192, 256), {})
    assert (result.problem, result.damaged, result.notes) == ("", False, [])


@pytest.mark.promise("S4-U04")
def test_metadata_body_is_canonical_and_from_the_file_alone(tmp_path: Path) -> None:
    data = jpeg(exif=exif_block({0x010F: "Nikon"}, {0x9003: "2021:07:01 12:00:00"}))
    one = digest(tmp_path, data)
    sidecar = xmp_packet('xmp:Rating="4"')
    other = digest(tmp_path, data, "IMG_20190102_030405.jpg", xmp=sidecar)
    body = json.loads(one.metadata_body)
    assert (
        one.metadata_body
        == other.metadata_body
        == json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    )
    assert body == {
        "photoMD5": one.photo_md5, "width": 64, "height": 48, "captureDate": "2021-07-01T12:00:00", "cameraMake": "Nikon",
        "exifData": {"Make": "Nikon", "DateTimeOriginal": "2021:07:01 12:00:00"},
    }  # fmt: skip
    assert (one.rating, other.rating, other.embedded_rating, other.sidecar_rating) == (None, 4, None, 4)


UPRIGHT = {
    1: ["red", "green", "blue", "white"], 2: ["green", "red", "white", "blue"], 3: ["white", "blue", "green", "red"],
    4: ["blue", "white", "red", "green"], 5: ["red", "blue", "green", "white"], 6: ["blue", "red", "white", "green"],
    7: ["white", "green", "blue", "red"], 8: ["green", "white", "red", "blue"],
}  # fmt: skip


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG", "WEBP"])
@pytest.mark.promise("S2-022", "S2-X11")
def test_thumbnails_are_upright(tmp_path: Path, orientation: int, kind: str) -> None:
    block = Image.Exif()
    block[0x0112] = orientation
    out = io.BytesIO()
    corner_picture(800, 600).save(out, kind, exif=block)
    result = digest(tmp_path, out.getvalue())
    assert corners_of(result.thumbnail or b"") == UPRIGHT[orientation]
    assert (result.width, result.height) == ((600, 800) if orientation >= 5 else (800, 600))
    assert result.orientation == orientation


def test_heic_is_not_turned_twice(tmp_path: Path) -> None:
    import pillow_heif

    block = Image.Exif()
    block[0x0112] = 6
    out = io.BytesIO()
    # The writer turns EXIF's orientation into irot and keeps the tag, as telephones do.
    heif = pillow_heif.from_pillow(corner_picture(400, 300))
    heif.info["exif"] = block.tobytes()
    heif.save(out, quality=90)
    data = out.getvalue()
    expected = pillow_heif.open_heif(data).to_pillow()
    result = digest(tmp_path, data, "photo.heic")
    assert (result.width, result.height) == expected.size
    reference = io.BytesIO()
    expected.save(reference, "JPEG", quality=95)
    assert corners_of(result.thumbnail or b"") == corners_of(reference.getvalue())


def test_invalid_orientation_counts_as_upright(tmp_path: Path) -> None:
    result = digest(tmp_path, jpeg(exif=exif_block({0x0112: 9})))
    assert (result.orientation, result.width) == (1, 64)


def swapped_profile() -> bytes:
    """The sRGB profile with red and green changed round, under another name."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(profile[128:132], "big")
    entries = {bytes(profile[at : at + 4]): at for at in range(132, 132 + 12 * count, 12)}
    red, green = entries[b"rXYZ"] + 4, entries[b"gXYZ"] + 4
    profile[red : red + 8], profile[green : green + 8] = profile[green : green + 8], profile[red : red + 8]
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be")).replace(b"sRGB", b"swap")


def test_colour_profiles_become_srgb(tmp_path: Path) -> None:
    red = Image.new("RGB", (64, 64), (220, 20, 20))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile, colour in ((srgb, "red"), (swapped_profile(), "green"), (b"no profile at all", "red")):
        thumbnail = digest(tmp_path, jpeg(red, icc_profile=profile)).thumbnail or b""
        assert b"ICC_PROFILE" not in thumbnail
        assert nearest(Image.open(io.BytesIO(thumbnail)).getpixel((30, 30))) == colour


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(out, "PNG")
    assert digest(tmp_path, out.getvalue()).placeholder == "#ffffff"
    palette = io.BytesIO()
    Image.new("P", (32, 32), 0).save(palette, "GIF", transparency=0)
    assert digest(tmp_path, palette.getvalue()).placeholder == "#ffffff"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16", "RGBA"])
def test_every_kind_of_pixel_is_drawn(tmp_path: Path, mode: str) -> None:
    grey = corner_picture(300, 200).convert("L")
    image = grey.convert("I").point(lambda value: value * 257).convert("I;16") if mode == "I;16" else grey.convert(mode)
    out = io.BytesIO()
    image.save(out, "PNG")
    result = digest(tmp_path, out.getvalue())
    thumbnail = Image.open(io.BytesIO(result.thumbnail or b"")).convert("L")
    dark, light = thumbnail.getpixel((60, 120)), thumbnail.getpixel((200, 120))
    assert thumbnail.size == (256, 171) and light - dark > 150


def test_small_pictures_are_not_enlarged(tmp_path: Path) -> None:
    result = digest(tmp_path, jpeg(corner_picture(20, 10)))
    assert Image.open(io.BytesIO(result.thumbnail or b"")).size == (20, 10)


@pytest.mark.parametrize(
    ("attributes", "stars", "note"),
    [
        ('xmp:Rating="5"', 5, ""),
        ('xmp:Rating="0"', 0, ""),
        ('xmp:Rating="3.5"', 4, "rounded"),
        ('xmp:Rating="-1"', None, "rejected"),
        ('xmp:Rating="99"', 2, "outside"),
        ('MicrosoftPhoto:Rating="75"', 4, ""),
        ('MicrosoftPhoto:Rating="40"', 2, ""),
        ('xmp:Rating="many"', 2, "outside"),
    ],
)
@pytest.mark.promise("S2-023", "S2-046", "S2-X09")
def test_ratings(tmp_path: Path, attributes: str, stars: int | None, note: str) -> None:
    data = with_xmp(jpeg(exif=exif_block({0x4746: 2})), attributes)
    result = digest(tmp_path, data)
    assert result.rating == stars
    assert note in " ".join(result.notes) and bool(note) == bool(result.notes)


@pytest.mark.parametrize(
    ("gps", "note"),
    [
        ({1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)}, "0, 0"),
        ({1: "N", 2: (95.0, 0.0, 0.0), 3: "E", 4: (200.0, 0.0, 0.0)}, "not on the globe"),
        ({2: (48.0, 0.0, 0.0), 3: "E", 4: (11.0, 0.0, 0.0)}, "incomplete"),
    ],
)
def test_places_that_are_none(tmp_path: Path, gps: dict, note: str) -> None:
    result = digest(tmp_path, jpeg(exif=exif_block(gps=gps)))
    assert (result.latitude, result.longitude) == (None, None)
    assert any(note in sentence for sentence in result.notes)


def test_words(tmp_path: Path) -> None:
    keywords = "<dc:subject><rdf:Bag><rdf:li>Zoë</rdf:li><rdf:li>sea; sun</rdf:li></rdf:Bag></dc:subject>"
    languages = '<rdf:li xml:lang="de">Meer</rdf:li><rdf:li xml:lang="x-default">Sea</rdf:li>'
    described = f"<dc:description><rdf:Alt>{languages}</rdf:Alt></dc:description>"
    data = jpeg(exif=exif_block({0x010E: "OLYMPUS DIGITAL CAMERA"}))
    assert digest(tmp_path, data).caption == ""
    packet = xmp_packet("", keywords + described)
    body = b"http://ns.adobe.com/xap/1.0/\0" + packet
    result = digest(tmp_path, data[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + data[2:])
    assert (result.caption, result.keywords) == ("Sea", ["Zoë", "sea; sun"])


def test_takeout_fills_what_the_file_lacks(tmp_path: Path) -> None:
    document = {
        "photoTakenTime": {"timestamp": "1563092100"},
        "description": "By the lake",
        "geoData": {"latitude": 47.5, "longitude": 9.5},
    }
    result = digest(tmp_path, jpeg(), takeout=b"\xef\xbb\xbf" + json.dumps(document).encode())
    assert (result.taken_local, result.taken_source) == ("2019-07-14T10:15:00", "sidecar")
    assert (result.caption, result.latitude, result.longitude) == ("By the lake", 47.5, 9.5)


@pytest.mark.parametrize(
    ("kind", "content", "word"),
    [
        ("xmp", b"", "empty"),
        ("xmp", b"<x:xmpmeta", "well-formed"),
        ("xmp", b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "entities"),
        ("takeout", b"{", "readable JSON"),
        ("takeout", b'{"a":' * 100_000, "readable JSON"),
    ],
)
def test_bad_sidecars_give_a_note_and_no_more(tmp_path: Path, kind: str, content: bytes, word: str) -> None:
    result = digest(tmp_path, jpeg(), **{kind: content})
    assert result.problem == "" and result.thumbnail
    assert any(word in note for note in result.notes)
    assert "root:" not in repr(result)


@pytest.mark.parametrize(
    "content", [b"[1]", b"[" * 100_000, b'{"features": [], "description": "no"}', b'"text"', b"no JSON", b""]
)
def test_json_that_is_no_takeout_makes_no_note(tmp_path: Path, content: bytes) -> None:
    result = digest(tmp_path, jpeg(), takeout=content)
    assert (result.notes, result.caption, result.problem, result.is_trashed) == ([], "", "", False)


def test_takeout_of_wrong_types(tmp_path: Path) -> None:
    document = {"photoTakenTime": 5, "description": ["x"], "geoData": {"latitude": "47", "longitude": True}}
    result = digest(tmp_path, jpeg(), takeout=json.dumps(document).encode())
    assert (result.taken_source, result.caption, result.latitude) == ("file", "", None)


def test_a_bomb_is_listed_and_not_drawn(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("L", (4000, 4000)).save(out, "PNG")
    result = digest(tmp_path, out.getvalue(), limits=Limits(picture_bytes=1024 * 1024))
    assert (result.width, result.height, result.thumbnail) == (4000, 4000, None)
    assert result.problem.startswith("Too large to draw: 4,000 x 4,000")


def test_half_a_file_gives_half_a_picture(tmp_path: Path) -> None:
    import random

    noise = Image.frombytes("RGB", (400, 300), random.Random(1).randbytes(360_000))
    noise.paste((220, 20, 20), (0, 0, 400, 60))
    data = jpeg(noise)
    result = digest(tmp_path, data[: len(data) // 2])
    assert result.damaged and "Only a part" in result.problem
    thumbnail = Image.open(io.BytesIO(result.thumbnail or b"")).convert("RGB")
    assert nearest(thumbnail.getpixel((100, 10))) == "red"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"\0" * 5000, "zeros"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "list"),
    ],
)
def test_what_is_no_picture_gets_a_sentence(tmp_path: Path, content: bytes, word: str) -> None:
    result = digest(tmp_path, content, "photo.jpg")
    assert word in result.problem and result.problem.startswith("Not a picture or video")
    assert result.photo_md5 == hashlib.md5(content).hexdigest() and result.media_type == ""


def test_large_files_are_streamed_with_the_same_result(tmp_path: Path) -> None:
    data = jpeg(corner_picture(640, 480), exif=exif_block({0x0112: 6}))
    whole, streamed = digest(tmp_path, data), digest(tmp_path, data, limits=Limits(in_memory_bytes=1000))
    streamed.mtime_ns = whole.mtime_ns
    assert whole == streamed


def test_previews(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(corner_picture(2000, 1500), exif=exif_block({0x0112: 8})))
    descriptor = os.open(path, os.O_RDONLY)
    result = preview_file(descriptor, 1000, Limits())
    os.close(descriptor)
    assert (result.width, result.height, result.problem) == (750, 1000, "")
    assert corners_of(result.picture or b"") == UPRIGHT[8]


def test_survey_agrees_with_the_digest(tmp_path: Path) -> None:
    data = jpeg(corner_picture(640, 480), exif=exif_block({0x0112: 6}, {0x9003: "2021:07:01 12:00:00"}))
    full = digest(tmp_path, data)
    descriptor = os.open(tmp_path / "photo.jpg", os.O_RDONLY)
    quick = survey_file(descriptor, "photo.jpg", PARAMS, {})
    os.close(descriptor)
    for name in (
        "head_md5",
        "media_type",
        "width",
        "height",
        "orientation",
        "taken_local",
        "taken_at",
        "taken_source",
        "problem",
    ):
        assert getattr(quick, name) == getattr(full, name)


@pytest.mark.parametrize(
    ("said", "means"),
    [
        (OSError("image file is truncated (3 bytes not processed)"), "the file is cut off"),
        (ValueError("Invalid input: Unexpected end of file: Extent in iloc box"), "the file is cut off"),
        (OSError("decoder error -2"), "its data are damaged"),
        (ValueError("unpack_from requires a buffer of at least 5 bytes"), "its data are damaged"),
        (KeyError("exif"), "its data are damaged"),
        (ValueError(""), "its data are damaged"),
        (ValueError(2147483647), "its data are damaged"),
        (ValueError("it has no pixels."), "it has no pixels"),
    ],
)
def test_reasons_speak_of_the_file_not_of_the_code(said, means):
    assert picture._reason(said) == means
