"""Read IPTC-IIM records: captions, keywords and dates as newspapers wrote them, and Photoshop's blocks around them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from catalog.media.exif import tidy

_UTF8_MARK = b"\x1b%G"
_MOST_RECORDS = 5000
LONGEST_CAPTION_BYTES = 2000
_LONGEST_KEYWORD_BYTES = 64
_TEXTS = frozenset(range(5, 200))


@dataclass(slots=True)
class Iptc:
    """The records that matter here."""

    title: str = ""
    caption: str = ""
    text: str = ""
    """How its text is encoded: `utf-8`, `unmarked` (UTF-8 or ASCII without the mark), `legacy`; empty without records."""
    keywords: list[str] = field(default_factory=list)
    date_created: str = ""
    """As `YYYY-MM-DD HH:MM:SS+hh:mm` as far as the file says."""


def iptc_from_photoshop(blocks: bytes) -> bytes:
    """Return the IPTC block (resource 0x0404) among Photoshop's image resources, or nothing."""
    return photoshop_resources(blocks).get(0x0404, b"")


def photoshop_resources(blocks: bytes) -> dict[int, bytes]:
    """Return Photoshop's image resources by number, the first of each; what follows a garbled one is left out."""
    position = 0
    found: dict[int, bytes] = {}
    while position + 12 <= len(blocks):
        if blocks[position : position + 4] not in (b"8BIM", b"AgHg", b"DCSR", b"PHUT"):
            break
        resource = int.from_bytes(blocks[position + 4 : position + 6], "big")
        name_bytes = blocks[position + 6] + 1
        position += 6 + name_bytes + name_bytes % 2
        length = int.from_bytes(blocks[position : position + 4], "big")
        position += 4
        found.setdefault(resource, blocks[position : position + length])
        position += length + length % 2
    return found


def read_iptc(data: bytes) -> Iptc:
    """Return the records in `data`; what is cut off or garbled is left out."""
    found = Iptc()
    is_utf8, is_legacy = False, False
    date = time = ""
    position = 0
    for _ in range(_MOST_RECORDS):
        if position + 5 > len(data) or data[position] != 0x1C:
            break
        record, dataset = data[position + 1], data[position + 2]
        length = int.from_bytes(data[position + 3 : position + 5], "big")
        position += 5
        if length & 0x8000:
            break
        value = data[position : position + length]
        position += length
        if (record, dataset) == (1, 90):
            is_utf8 = value == _UTF8_MARK
        if record != 2:
            continue
        is_legacy = is_legacy or (dataset in _TEXTS and not _is_utf8(value))
        if dataset == 5:
            found.title = found.title or _text(value, is_utf8, 1000)
        elif dataset == 120:
            found.caption = found.caption or _text(value, is_utf8)
        elif dataset == 25:
            word = _text(value, is_utf8, 200)
            if word and len(found.keywords) < 500:
                found.keywords.append(word)
        elif dataset == 55:
            date = value.decode("latin-1").strip()
        elif dataset == 60:
            time = value.decode("latin-1").strip()
    found.date_created = _moment(date, time)
    if position:
        found.text = "utf-8" if is_utf8 else "legacy" if is_legacy else "unmarked"
    return found


def caption_for_iptc(text: str) -> str:
    """Return as much of `text` as the caption's record may hold, in whole characters: all of it, as a rule."""
    return text.encode("utf-8")[:LONGEST_CAPTION_BYTES].decode("utf-8", "ignore").rstrip()


def keywords_for_iptc(words: Iterable[str]) -> list[str]:
    """Return as much of each keyword as its record may hold, in whole characters, each once."""
    cut = (word.encode("utf-8")[:_LONGEST_KEYWORD_BYTES].decode("utf-8", "ignore").strip() for word in words)
    return list(dict.fromkeys(word for word in cut if word))


def is_cut_for_iptc(caption: str, whole: str) -> bool:
    """Return whether `caption` is what IPTC's record can hold of the longer text `whole`."""
    return caption != whole and bool(caption) and caption == caption_for_iptc(whole)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _moment(date: str, time: str) -> str:
    if len(date) != 8 or not date.isdigit():
        return date if len(date) == 10 else ""
    moment = f"{date[:4]}-{date[4:6]}-{date[6:8]}"
    if len(time) >= 6 and time[:6].isdigit():
        moment += f" {time[:2]}:{time[2:4]}:{time[4:6]}{time[6:]}"
    return moment


def _text(value: bytes, is_utf8: bool, limit: int = 10_000) -> str:
    try:
        return tidy(value.decode("utf-8"), limit)
    except UnicodeDecodeError:
        # A file that promises UTF-8 and cuts a character at the end is still UTF-8.
        return tidy(value.decode("utf-8", "ignore") if is_utf8 else value.decode("cp1252", "replace"), limit)
