"""What kind of file it is, by its first bytes and never by its name."""

from __future__ import annotations

_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"))
_HEIF_GENERAL = frozenset((b"mif1", b"msf1", b"mif2", b"miaf", b"1pic"))
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_VIDEO_BRANDS = {b"qt  ": "video/quicktime", b"M4V ": "video/x-m4v", b"M4VH": "video/x-m4v", b"M4VP": "video/x-m4v"}
_TOP_BOXES = frozenset((b"moov", b"mdat", b"free", b"wide", b"skip", b"pnot"))
_SMALLEST_LETTER = 0x20
"""A size that begins with less is no text, and below 512 MiB."""

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"FUJIFILMCCD-RAW", "image/x-fuji-raf"),
    (0, b"FOVb", "image/x-sigma-x3f"),
    (0, b"\0MRM", "image/x-minolta-mrw"),
    (0, b"IIRO", "image/x-olympus-orf"),
    (0, b"IIRS", "image/x-olympus-orf"),
    (0, b"MMOR", "image/x-olympus-orf"),
    (0, b"IIU\0", "image/x-panasonic-rw2"),
    (0, b"II*\0\x10\0\0\0CR", "image/x-canon-cr2"),
    (6, b"HEAPCCDR", "image/x-canon-crw"),
    (8, b"IIIICwaR", "image/x-phaseone-iiq"),
    (8, b"MMMMRawT", "image/x-phaseone-iiq"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"II+\0", "image/tiff"),
    (0, b"MM\0+", "image/tiff"),
    (0, b"BM", "image/bmp"),
    (0, b"\0\0\1\0", "image/vnd.microsoft.icon"),
    (0, b"8BPS", "image/vnd.adobe.photoshop"),
    (0, b"\xff\x0a", "image/jxl"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"),
    (0, b"\xff\x4f\xff\x51", "image/jp2"),
    (0, b"\x1aE\xdf\xa3", "video/x-matroska"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-wmv"),
    (0, b"\x1f\x07\0\x3f", "video/dv"),
    (0, b"\x1f\x07\0\xbf", "video/dv"),
    (0, b"FLV\1", "video/x-flv"),
    (0, b"OggS\0", "video/ogg"),
    (0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02", "video/mxf"),
    (0, b"\0\0\1\xba", "video/mpeg"),
    (0, b"\0\0\1\xb3", "video/mpeg"),
)


def media_type_of(head: bytes) -> str:
    """Return the MIME type that the first 4,096 bytes of a file show, or an empty text for anything but pictures and films."""
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"AVI ": "video/x-msvideo"}.get(head[8:12], "")
    if head[4:8] == b"ftyp":
        return _of_brands(head)
    for offset, magic, media_type in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            if media_type == "video/x-matroska" and b"webm" in head[:64]:
                return "video/webm"
            return media_type
    if head[4:8] in (b"moov", b"mdat") or (head[4:8] in _TOP_BOXES and head[0] < _SMALLEST_LETTER):
        return "video/quicktime"
    if len(head) > 576 and head[0] == head[188] == head[376] == 0x47:
        return "video/mp2t"
    if len(head) > 580 and head[4] == head[196] == head[388] == 0x47:
        return "video/mp2t"
    if _is_cut_stream(head):
        return "video/mp2t"
    start = head[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<svg", b"<?xml", b"<!doctype svg")) and b"<svg" in start:
        return "image/svg+xml"
    return ""


def _is_cut_stream(head: bytes) -> bool:
    """Return whether packets of a transport stream follow each other, but not from the first byte on, as after a cut."""
    for packet in (188, 192):
        marks = [head[at : at + 7 * packet + 1 : packet] for at in range(packet)]
        if bytes(8 * b"G") in marks:
            return True
    return False


def _of_brands(head: bytes) -> str:
    length = int.from_bytes(head[:4], "big")
    major = head[8:12]
    brands = [head[position : position + 4] for position in range(16, min(length, len(head), 256), 4)]
    if major == b"crx ":
        return "image/x-canon-cr3"
    if major in _AVIF_BRANDS:
        return "image/avif"
    if major in _HEIF_BRANDS:
        return "image/heic"
    if major in _HEIF_GENERAL:
        if _AVIF_BRANDS & set(brands):
            return "image/avif"
        return "image/heic" if _HEIF_BRANDS & set(brands) else "image/heif"
    if major in _VIDEO_BRANDS:
        return _VIDEO_BRANDS[major]
    if major[:3] in (b"3gp", b"3g2"):
        return "video/3gpp" if major[:3] == b"3gp" else "video/3gpp2"
    return "video/mp4"


def describe_stranger(head: bytes) -> str:
    """Return a sentence that says what a file that is no picture or film begins like."""
    start = head[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    lower = start.lower()
    if not head:
        looks = "the file is empty"
    elif not head.strip(b"\0"):
        looks = "it begins with zeros, like a copy that was never finished"
    elif lower.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        looks = "it begins like HTML"
    elif lower.startswith(b"<"):
        looks = "it begins like XML"
    elif lower.startswith(b"ffconcat"):
        looks = "it begins like a list of other files for ffmpeg"
    elif lower.startswith(b"#extm3u"):
        looks = "it begins like a playlist"
    elif start[:1] in (b"{", b"["):
        looks = "it begins like JSON"
    elif start[:4] == b"\0\5\x16\7":
        looks = "it is a macOS resource file"
    elif all(byte >= 32 or byte in (9, 10, 13) for byte in head[:256]):
        looks = "it begins like text"
    else:
        looks = "its first bytes are those of no known format"
    return f"Not a picture or video: {looks}."
