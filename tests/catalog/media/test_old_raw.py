"""RAW formats that are not TIFF inside say when, with what and how large."""

from __future__ import annotations

import struct

import pytest

from catalog.media.results import DigestResult
from catalog.media.source import MemorySource
from catalog.media.survey import begin
from tests.catalog.media.metadata_table import EXIF
from tests.catalog.media.photos import jpeg

SECONDS = 1557126489  # 2019-05-06 07:08:09


def mrw() -> bytes:
    blocks = [(b"\0PRD", b"27820001" + struct.pack(">HHHH", 58, 74, 48, 64) + b"\0" * 8), (b"\0TTW", EXIF)]
    body = b"".join(kind + struct.pack(">I", len(block)) + block for kind, block in blocks)
    return b"\0MRM" + struct.pack(">I", len(body)) + body + b"\0" * 64


def heap(records: list[tuple[int, bytes]]) -> bytes:
    """Return one of CRW's directories with its records: the values first, then where they are."""
    values, entries = b"", b""
    for kind, value in records:
        entries += struct.pack("<HII", kind, len(value), len(values))
        values += value
    return values + struct.pack("<H", len(records)) + entries + struct.pack("<I", len(values))


def crw() -> bytes:
    image = heap([(0x1810, struct.pack("<IIfiIII", 64, 48, 1.0, 90, 0, 0, 0))])
    moment = heap([(0x180E, struct.pack("<III", SECONDS, 0, 0))])
    root = heap([(0x300A, heap([(0x300A, image), (0x300A, moment)])), (0x080A, b"Canon\0EOS\0")])
    return b"II" + struct.pack("<I", 26) + b"HEAPCCDR" + b"\0" * 12 + root


def x3f() -> bytes:
    pairs = [("TIME", str(SECONDS)), ("CAMMANUF", "Canon"), ("CAMMODEL", "EOS")]
    places, texts = b"", ""
    for pair in pairs:
        for text in pair:
            places += struct.pack("<I", len(texts))
            texts += text + "\0"
    section = (
        b"SECp" + struct.pack("<IIIII", 0x20000, len(pairs), 0, 0, len(texts)) + places + texts.encode("utf-16-le")
    )
    head = b"FOVb" + struct.pack("<I", 0x20000) + b"\0" * 20 + struct.pack("<III", 64, 48, 90)
    directory = b"SECd" + struct.pack("<II", 0x20000, 1) + struct.pack("<II4s", len(head), len(section), b"PROP")
    return head + section + directory + struct.pack("<I", len(head) + len(section))


def new_x3f() -> bytes:
    """Return one of version 4: another header, and EXIF in a JPEG."""
    picture = jpeg(exif=b"Exif\0\0" + EXIF)
    section = b"SECi" + struct.pack("<IIIIII", 0x20000, 2, 18, 64, 48, 0) + picture
    head = b"FOVb" + struct.pack("<I", 0x40000) + b"\0" * 32 + struct.pack("<III", 64, 48, 90)
    directory = b"SECd" + struct.pack("<II", 0x20000, 1) + struct.pack("<II4s", len(head), len(section), b"IMA2")
    return head + section + directory + struct.pack("<I", len(head) + len(section))


@pytest.mark.parametrize(
    ("data", "kind"), [(mrw(), "minolta-mrw"), (crw(), "canon-crw"), (x3f(), "sigma-x3f"), (new_x3f(), "sigma-x3f")]
)
def test_what_they_say(data: bytes, kind: str) -> None:
    result = DigestResult()
    facts = begin(MemorySource(data), result)
    assert facts is not None and (result.media_type, result.problem) == (f"image/x-{kind}", "")
    assert (facts.size, facts.make, facts.model) == ((48, 64), "Canon", "EOS")
    assert next(facts.embedded_dates()).value == "2019:05:06 07:08:09"


@pytest.mark.parametrize("data", [mrw(), crw(), x3f(), new_x3f()])
def test_cut_and_garbled_ones_do_no_harm(data: bytes) -> None:
    for length in range(16, len(data), 3):
        begin(MemorySource(data[:length]), DigestResult())
        garbled = data[:length] + bytes(255 - byte for byte in data[length : length + 4]) + data[length + 4 :]
        result = DigestResult()
        begin(MemorySource(garbled), result)
        assert "headers are damaged" not in result.problem


def test_a_heap_that_holds_itself_ends() -> None:
    loop = b"\0" * 4 + struct.pack("<HHII", 1, 0x300A, 20, 0) + struct.pack("<I", 4)
    found = begin(MemorySource(b"II" + struct.pack("<I", 26) + b"HEAPCCDR" + b"\0" * 12 + loop), DigestResult())
    assert found is not None and found.found.problem
