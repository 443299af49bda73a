"""Random damage to small files of every kind that can be made here: listed, drawn or refused, and never a stumble."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from catalog.media.pool import DecoderPool
from catalog.media.task import Job
from tests.catalog.media.photos import corner_picture, exif_block, jpeg, with_xmp

STUMBLES = ("crashed", "decoder failed", "time limit", "nonsense", "headers are damaged (")


def samples() -> dict[str, bytes]:
    block = exif_block(
        {0x010F: "Canon", 0x0112: 6, 0x4746: 3},
        {0x9003: "2021:07:01 12:00:00", 0x9291: "25"},
        {1: "N", 2: (48.0, 8.0, 1.0)},
    )
    found = {"a.jpg": with_xmp(jpeg(exif=block), 'xmp:Rating="3" xmp:CreateDate="2021-07-01T12:00:00.5+02:00"')}
    for kind in ("PNG", "TIFF", "WEBP", "AVIF", "GIF", "BMP", "ICO"):
        out = io.BytesIO()
        options = {"exif": block} if kind in ("PNG", "TIFF", "WEBP", "AVIF") else {}
        corner_picture().save(out, kind, **options)
        found[f"a.{kind.lower()}"] = out.getvalue()
    heif = io.BytesIO()
    import pillow_heif

    pillow_heif.from_pillow(corner_picture()).save(heif, exif=block)
    found["a.heic"] = heif.getvalue()
    return found


def damaged(folder: Path, seed: int, count: int) -> Iterator[Job]:
    chance = random.Random(seed)
    originals = list(samples().items())
    for number in range(count):
        name, whole = chance.choice(originals)
        data = bytearray(whole)
        reach = len(data) if chance.random() < 0.4 else min(len(data), 600)
        for _ in range(chance.choice((1, 2, 5, 20))):
            data[chance.randrange(reach)] = chance.choice((0, 127, 128, 255, chance.randrange(256)))
        if chance.random() < 0.1:
            del data[chance.randrange(len(data)) :]
        path = folder / f"{number}-{name}"
        path.write_bytes(data)
        yield Job(path.name, name, lambda path=path: os.open(path, os.O_RDONLY), {"zone": "UTC"})


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_damage_is_survived(tmp_path: Path, seed: int) -> None:
    with DecoderPool(2) as pool:
        digests = {job.key: result for job, result in pool.digest(damaged(tmp_path, seed, 300))}
        surveys = {job.key: result for job, result in pool.survey(damaged(tmp_path, seed, 300))}
    assert len(digests) == len(surveys) == 300
    stumbles = [
        f"{key}: {r.problem}"
        for results in (digests, surveys)
        for key, r in results.items()
        if any(word in r.problem for word in STUMBLES)
    ]
    assert stumbles == []
    assert sum(result.thumbnail is not None for result in digests.values()) > 100
    assert all(result.thumbnail or result.problem for result in digests.values())
    for result in digests.values():
        if result.thumbnail:
            assert max(Image.open(io.BytesIO(result.thumbnail)).size) <= 256
