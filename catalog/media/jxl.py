"""Read JPEG XL: size and orientation from the codestream's first bits, EXIF and XMP from the boxes around it."""

from __future__ import annotations

from catalog.media.decoder_libraries import load
from catalog.media.found import Found
from catalog.media.isobmff import boxes
from catalog.media.jpeg2000 import keep_words
from catalog.media.source import Source

_WORDS = (b"Exif", b"xml ")
_LONGEST_BYTES = 4 * 1024 * 1024
_LOSSY, _LOSSY_WITH_ALPHA, _LOSSLESS = 8.0, 12.0, 19.5
"""Bytes per pixel that libjxl and the drawing take, measured; the colours of what is lossy are coded as XYB."""
_RATIOS = ((1, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Width to height, by the number in the header."""


def read_jxl(source: Source) -> Found:
    """Return what the headers say. The codestream's orientation counts, EXIF's does not. Sets `problem` without a size."""
    found = Found()
    stream = source.read(0, 64) if source.read(0, 2) == b"\xff\x0a" else b""
    for kind, start, end in boxes(source) if not stream else ():
        if kind in (b"jxlc", b"jxlp") and not stream:
            stream = source.read(start + (4 if kind == b"jxlp" else 0), min(end - start, 64))
        elif kind in _WORDS:
            keep_words(kind, source.read(start, min(end - start, _LONGEST_BYTES)), found)
        elif kind == b"brob" and source.read(start, 4) in _WORDS:
            packed = source.read(start + 4, min(end - start - 4, _LONGEST_BYTES))
            plain = _unpacked(packed)
            if plain:
                keep_words(source.read(start, 4), plain, found)
            else:
                found.note("A compressed part of the file is damaged or too large and was skipped.")
    if stream[:2] == b"\xff\x0a":
        _read_size(_Bits(stream[2:]), found)
    if not found.width or not found.height:
        found.problem = "The JPEG XL file's header gives no size."
    return found


def _unpacked(packed: bytes) -> bytes:
    """Return the content of a compressed box, nothing if it is damaged or larger than words are."""
    brotli = load("brotli")
    unpacker, plain = brotli.Decompressor(), b""
    try:
        plain = unpacker.process(packed, output_buffer_limit=_LONGEST_BYTES)
    except brotli.error:
        return b""
    return plain if unpacker.is_finished() else b""


class _Bits:
    """The bits of a codestream, the lowest of each byte first; behind the end there are zeros."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        """Return the next `count` bits as a number."""
        value = self._number & ((1 << count) - 1)
        self._number >>= count
        return value


def _read_size(bits: _Bits, found: Found) -> None:
    is_small = bits.take(1)
    height = _length(bits, is_small)
    ratio = bits.take(3)
    width = _length(bits, is_small) if not ratio else height * _RATIOS[ratio][0] // _RATIOS[ratio][1]
    found.width, found.height = width, height
    found.transform = 1
    needed = _LOSSY
    if not bits.take(1):  # not all are defaults
        more = bits.take(1)
        if more:
            found.transform = 1 + bits.take(3)
        needed = _bytes_per_pixel(bits, has_more=bool(more))
    found.decoded_bytes = round(width * height * needed)


def _bytes_per_pixel(bits: _Bits, *, has_more: bool) -> float:
    """Return how much memory libjxl and the drawing take, by what stands behind the orientation."""
    if has_more and bits.take(3):  # an intrinsic size, a preview or an animation, whose fields are not read
        return _LOSSLESS
    if bits.take(1):  # floating point
        return _LOSSLESS
    if bits.take(2) == 3:
        bits.take(6)
    bits.take(1)
    channels = bits.take(2)
    if channels > 1 or (channels == 1 and not bits.take(1)):
        return _LOSSLESS
    is_lossy = bits.take(1)
    return (_LOSSY_WITH_ALPHA if channels else _LOSSY) if is_lossy else _LOSSLESS


def _length(bits: _Bits, is_small: int) -> int:
    if is_small:
        return 8 * (bits.take(5) + 1)
    return 1 + bits.take((9, 13, 18, 30)[bits.take(2)])
