"""Small real photo files, made where a test wants them."""

import os
import random
from pathlib import Path

from PIL import Image


def make_jpeg(
    path: Path,
    *,
    seed: int = 0,
    size: tuple[int, int] = (64, 48),
    taken: str | None = "2024:05:17 12:00:00",
    orientation: int | None = None,
    camera: tuple[str, str] | None = ("Canon", "Canon EOS 6D"),
    mtime: float | None = None,
) -> Path:
    """Write a JPEG whose picture, and so its MD5, depends on `seed`; `taken` is EXIF's DateTimeOriginal."""
    generator = random.Random(f"{seed}-{size}")
    picture = Image.new("RGB", (8, 8))
    picture.putdata([tuple(generator.randrange(256) for _ in range(3)) for _ in range(64)])
    exif = Image.Exif()
    if camera:
        exif[0x010F], exif[0x0110] = camera
    if orientation:
        exif[0x0112] = orientation
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.resize(size, Image.Resampling.BICUBIC).save(path, "JPEG", quality=85, exif=exif)
    written = 1_500_000_000 + seed if mtime is None else mtime  # long ago: what was just written is read twice
    os.utime(path, (written, written))
    return path


def make_library(root: Path, count: int, *, per_folder: int = 50, size: tuple[int, int] = (64, 48)) -> Path:
    """Write `count` different JPEGs below `root`, in folders by year and month; return `root`."""
    for number in range(count):
        month = number // per_folder
        folder = root / f"{2000 + month // 12}" / f"{month % 12 + 1:02}"
        taken = f"{2000 + month // 12}:{month % 12 + 1:02}:{number % 28 + 1:02} {number % 24:02}:30:{number % 60:02}"
        make_jpeg(folder / f"IMG_{number:05}.JPG", seed=number, size=size, taken=taken, mtime=1_500_000_000 + number)
    return root
