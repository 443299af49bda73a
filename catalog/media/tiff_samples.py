"""Draw TIFF pictures whose samples Pillow does not know: its directory is changed so that each sample is a pixel."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageChops, TiffImagePlugin

from catalog.media.depths import eight_bits

_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _ORIENTATION, _SAMPLES, _ROWS, _PLANAR = 256, 257, 258, 262, 274, 277, 278, 284
_PREDICTOR, _COLOUR_MAP, _TILE_WIDTH, _TILE_HEIGHT, _EXTRA, _FORMAT = 317, 320, 322, 323, 338, 339
UNSIGNED, FLOAT = 1, 3
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_MOST_ENTRIES = 4096


@dataclass(slots=True)
class Layout:
    """How the samples of a picture are stored."""

    width: int
    height: int
    bits: int
    samples: int
    kind: int
    is_planar: bool
    predictor: int
    is_inverted: bool
    """White is zero."""


def open_tiff(file: Any) -> Image.Image:
    """Open a TIFF picture with Pillow so that planes, palettes and samples come out as they are meant."""
    image = TiffImagePlugin.TiffImageFile(file)
    tags = image.tag_v2
    if tags.get(_PLANAR) == 2 and max(tags.get(_BITS, (8,))) > 8 and tags.get(259, 1) == 1:
        # Without libtiff, Pillow takes planes that are not compressed for what they are not.
        before, TiffImagePlugin.READ_LIBTIFF = TiffImagePlugin.READ_LIBTIFF, True
        try:
            file.seek(0)
            image = TiffImagePlugin.TiffImageFile(file)
            tags = image.tag_v2
        finally:
            TiffImagePlugin.READ_LIBTIFF = before
    colours = tags.get(_COLOUR_MAP)
    if image.mode == "P" and colours and max(colours) < 256:
        # Some writers give them eight bits instead of sixteen; the palette would be black.
        third = len(colours) // 3
        parts = zip(colours[:third], colours[third : 2 * third], colours[2 * third :], strict=False)
        image.load()
        image.putpalette(bytes(value for part in parts for value in part))
    return image


def needs_samples(exif_tags: dict[int, Any]) -> bool:
    """Return whether the samples that a first directory describes are such as Pillow takes wrongly or refuses."""
    layout = layout_of(exif_tags)
    return layout is not None and _can_be_flat(layout)


def open_samples(data: bytes, tags: dict[int, Any]) -> Image.Image:
    """Return such a picture with eight bits a sample, not turned. Raises ValueError when its storage is not known."""
    layout = layout_of(tags)
    if layout is None or not _can_be_flat(layout):
        raise ValueError("its samples are of a kind that cannot be drawn")
    halves = 2 if layout.kind == UNSIGNED and layout.bits == 32 else 1
    flat = _flat(bytearray(data), layout, halves)
    image = TiffImagePlugin.TiffImageFile(io.BytesIO(flat))
    profile = image.info.get("icc_profile")
    grey = eight_bits(image)
    if layout.is_inverted:
        grey = ImageChops.invert(grey)
    is_little = data[:2] == b"II"
    channels = []
    for sample in range(layout.samples):
        if layout.is_planar:
            top = sample * layout.height
            channels.append(grey.crop((0, top, layout.width, top + layout.height)))
            continue
        step = layout.samples * halves
        first = sample * halves + (halves - 1 if is_little else 0)
        # The middle of the pixel at x is taken from the middle of the one at x * step + first.
        places = (step, 0, first + 0.5 - step / 2, 0, 1, 0)
        size = (layout.width, layout.height)
        channels.append(
            grey.transform(size, Image.Transform.AFFINE, places, Image.Resampling.NEAREST) if step > 1 else grey
        )
    whole = channels[0] if len(channels) == 1 else Image.merge(MODES[len(channels)], channels)
    if profile:
        whole.info["icc_profile"] = profile
    return whole


def layout_of(tags: dict[int, Any]) -> Layout | None:
    def first(tag: int, default: int) -> int:
        value = tags.get(tag, default)
        value = value[0] if isinstance(value, tuple) and value else value
        return value if isinstance(value, int) else 0

    bits = tags.get(_BITS, 1)
    if isinstance(bits, tuple) and len(set(bits)) != 1:
        return None
    layout = Layout(
        first(_WIDTH, 0),
        first(_HEIGHT, 0),
        first(_BITS, 1),
        first(_SAMPLES, 1),
        first(_FORMAT, UNSIGNED),
        first(_PLANAR, 1) == 2,
        first(_PREDICTOR, 1),
        first(_PHOTOMETRIC, 1) == 0,
    )
    is_known = layout.samples in MODES and first(_PHOTOMETRIC, 1) in (0, 1, 2)
    return layout if is_known and layout.width * layout.height else None


def _can_be_flat(layout: Layout) -> bool:
    is_wide = layout.bits == 32 and layout.kind == UNSIGNED and not layout.is_planar
    is_float = layout.bits == 32 and layout.kind == FLOAT and layout.samples > 1
    is_grey_with_alpha = (layout.bits, layout.kind, layout.samples) == (16, UNSIGNED, 2)
    is_inverted = layout.is_inverted and (layout.bits, layout.kind, layout.samples) == (16, UNSIGNED, 1)
    # A predictor counts in whole pixels.
    return is_inverted or (layout.predictor == 1 and (is_wide or is_float or is_grey_with_alpha))


@dataclass(slots=True)
class Entry:
    """An entry of a directory in `data`, with its first value."""

    data: bytearray
    at: int
    order: str
    tag: int
    value: int

    def write(self, value: int) -> None:
        """Let it hold that one number."""
        struct.pack_into(self.order + "HHII", self.data, self.at, self.tag, 4, 1, value)

    def remove(self) -> None:
        """Let it be one that nobody knows."""
        struct.pack_into(self.order + "HHII", self.data, self.at, 65_000, 4, 1, 0)


def first_directory(data: bytearray) -> Iterator[Entry]:
    """Yield the entries of the first directory. Raises ValueError when it is none of TIFF's."""
    order = "<" if data[:2] == b"II" else ">"
    if struct.unpack_from(order + "H", data, 2)[0] != 42:
        raise ValueError("its samples are of a kind that cannot be drawn")
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    for entry in range(at + 2, at + 2 + 12 * min(count, _MOST_ENTRIES), 12):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        (value,) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, entry + 8)
        yield Entry(data, entry, order, tag, value)


def _flat(data: bytearray, layout: Layout, halves: int) -> bytearray:
    """Change the first directory in `data`: one sample a pixel, side by side, or plane below plane."""
    across = 1 if layout.is_planar else layout.samples * halves
    for entry in first_directory(data):
        value = rows_of_planes(entry, layout)
        new = {
            _WIDTH: value * across,
            _TILE_WIDTH: value * across,
            _HEIGHT: value * (layout.samples if layout.is_planar else 1),
            _ROWS: value,
            _BITS: layout.bits // halves,
            _SAMPLES: 1,
            _PLANAR: 1,
            _PHOTOMETRIC: 1,
            _FORMAT: layout.kind,
            _ORIENTATION: 1,
        }.get(entry.tag)
        if entry.tag == _EXTRA:
            entry.remove()
        elif new is not None:
            entry.write(new)
    return data


def rows_of_planes(entry: Entry, layout: Layout) -> int:
    """Return an entry's value; rows of a strip that do not fill a plane are all its rows. Raises ValueError where they cannot
    be."""
    if layout.is_planar and entry.tag in (_ROWS, _TILE_HEIGHT) and layout.height % entry.value:
        if entry.tag == _TILE_HEIGHT or entry.value < layout.height:
            raise ValueError("its planes are of a kind that cannot be drawn")
        return layout.height
    return entry.value
