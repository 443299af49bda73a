"""The short video inside a picture: where it begins, whoever wrote it, and what only pretends to be one."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from catalog.media.motion import motion_bytes, video_at_end
from catalog.media.source import MemorySource

PICTURE = b"\xff\xd8" + b"p" * 5000 + b"\xff\xd9"


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


VIDEO = box(b"ftyp", b"mp42") + box(b"moov", b"m" * 500) + box(b"mdat", b"d" * 3000)


def directory(*items: str) -> bytes:
    """XMP as Google's phones write it, with the list of the file's parts."""
    parts = "".join(f'<rdf:li rdf:parseType="Resource"><Container:Item {one}/></rdf:li>' for one in items)
    return f"<x><Container:Directory><rdf:Seq>{parts}</rdf:Seq></Container:Directory></x>".encode()


def samsung(appended: bytes) -> bytes:
    """Samsung's directory of what was appended: one part of another kind, and the video."""
    name = b"MotionPhoto_Data"
    other = struct.pack("<2xHI", 0x0A01, 5) + b"Image" + b"x" * 20
    video = struct.pack("<2xHI", 0x0A30, len(name)) + name + appended
    entries = struct.pack("<2xHII", 0x0A01, len(other) + len(video), len(other))
    entries += struct.pack("<2xHII", 0x0A30, len(video), len(video))
    index = b"SEFH" + struct.pack("<II", 106, 2) + entries
    return other + video + index + struct.pack("<I", len(index)) + b"SEFT"


KINDS = {
    "micro video": ("image/jpeg", PICTURE + VIDEO, [b'<d GCamera:MicroVideoOffset="%d"/>' % len(VIDEO)]),
    "as an element": (
        "image/jpeg",
        PICTURE + VIDEO,
        [b"<GCamera:MicroVideoOffset>%d</GCamera:MicroVideoOffset>" % len(VIDEO)],
    ),
    "list of parts": (
        "image/jpeg",
        PICTURE + b"gainmap" * 9 + VIDEO,
        [
            directory(
                'Item:Mime="image/jpeg" Item:Semantic="Primary" Item:Length="0" Item:Padding="0"',
                'Item:Semantic="GainMap" Item:Length="63" Item:Mime="image/jpeg"',
                f'Item:Mime="video/mp4" Item:Semantic="MotionPhoto" Item:Length="{len(VIDEO)}" Item:Padding="0"',
            )
        ],
    ),
    "samsung": ("image/jpeg", PICTURE + samsung(VIDEO), []),
    "heif": ("image/heic", box(b"ftyp", b"heic") + box(b"meta", b"m" * 90) + box(b"mpvd", VIDEO), []),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_video_is_found_and_nothing_that_follows_it(kind: str, tmp_path: Path) -> None:
    media_type, data, packets = KINDS[kind]
    before_end = motion_bytes(MemorySource(data), media_type, packets)
    start = data.index(VIDEO)
    assert before_end == len(data) - start
    (tmp_path / "photo").write_bytes(b"another star in the head" + data)  # what is written in front moves no end
    descriptor = os.open(tmp_path / "photo", os.O_RDONLY)
    try:
        assert video_at_end(descriptor, before_end) == (start + 24, start + 24 + len(VIDEO))
        assert video_at_end(descriptor, before_end - 1) is None
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("media_type", "data", "packets"),
    [
        ("image/jpeg", PICTURE, []),
        ("image/jpeg", PICTURE, [b'<d GCamera:MicroVideoOffset="2000"/>']),  # it says so, and there is none
        ("image/jpeg", PICTURE + VIDEO, []),  # nothing says so
        ("image/jpeg", PICTURE + VIDEO, [b'<d GCamera:MicroVideoOffset="999999999999"/>']),
        ("image/jpeg", PICTURE + VIDEO, [directory('Item:Semantic="MotionPhoto" Item:Length="7"')]),
        ("image/jpeg", PICTURE + b"SEFH" + b"\xff" * 40 + struct.pack("<I", 44) + b"SEFT", []),
        ("image/jpeg", struct.pack("<I", 2**32 - 1) + b"SEFT", []),
        ("image/heic", box(b"ftyp", b"heic") + b"\0\0\0\4mpvd", []),
        (
            "image/heic",
            PICTURE,
            [b"<Item Semantic " * 200_000],
        ),  # would be read 200,000 times if each went on to the end
        ("image/png", PICTURE + VIDEO, [b'<d GCamera:MicroVideoOffset="%d"/>' % len(VIDEO)]),
        ("video/mp4", VIDEO, []),
    ],
)
def test_what_only_pretends_is_none(media_type: str, data: bytes, packets: list[bytes]) -> None:
    assert motion_bytes(MemorySource(data), media_type, packets) == 0
