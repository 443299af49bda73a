"""What the folders, archives and documents of Google Takeout are called, and what a document says of itself."""

import json
import re
from enum import Enum
from typing import Any, NamedTuple

from catalog.media.takeout_people import keywords_told

MOST_BYTES = 64 * 1024
"""A longer document is none of Takeout's: those of photos have about a thousand bytes."""
_ARCHIVE = re.compile(r"takeout-\d{8}t\d{6}z", re.IGNORECASE)
_ICLOUD = re.compile(r"icloud[^\d/]{1,40} \d{1,5} [^\d/]{1,10} (\d{1,5})(?!\d)", re.IGNORECASE)
"""`iCloud Photos Part 1 of 9`, `iCloud-bilder Del 1 av 6`."""
_ROOT = re.compile(r"(?:^|/)Takeout(?: \d+)?/(.+)$", re.IGNORECASE)
_YEAR = re.compile(
    r"(?:photos from|fotos von|photos de|photos du|fotos de|fotos del|foto da|foto dal|foto del|foto['’]s uit|foto['’]s van|"
    r"zdjęcia z|foton från|bilder från|bilder fra|billeder fra|fotos fra|kuvat vuodelta|kuvia vuodelta|fotky z roku|"
    r"fotografie z roku|fotografie z|fotók:?|poze din|fotografii din|фото из|фото за|фотографии за|фото з|foto dari|"
    r"ảnh từ|φωτογραφίες από|fotoğraflar|fotografije iz|снимки от) (?:\d{4})(?: год| г\.?| року| р\.?)?"
    r"|\d{4}(?: ?年の写真| ?년의 사진| ?年的照片| ?年的相片|년 사진| tarihli fotoğraflar| yılından fotoğraflar)",
    re.IGNORECASE,
)


class Subject(Enum):
    """What a document speaks about."""

    PHOTO = "photo"
    ALBUM = "album"
    OTHER = "other"


class Document(NamedTuple):
    """What is read of a document when no decoder reads it together with its photo."""

    subject: Subject
    title: str = ""
    description: str = ""
    is_favourite: bool = False
    is_trashed: bool = False
    names: tuple[str, ...] = ()
    """Of an album: its photos in their order, where it lists them."""
    keywords: tuple[str, ...] = ()
    """Of a photo: who is in it, and whether it was archived or locked."""


def export_of(archive: str, otherwise: object) -> str:
    """Return what the archives of one export share, by the name of one of them; `otherwise` if it does not tell."""
    found = _ARCHIVE.search(archive)
    if found:
        return found[0].lower()
    apple = _ICLOUD.search(archive)
    return f"icloud {apple[1]}" if apple else str(otherwise)


def folder_in_export(directory: str) -> str:
    """Return a folder's path within the export, the same in each part; "" for what lies in none."""
    found = _ROOT.search(directory)
    return found[1] if found else ""


def is_year_folder(folder: str) -> bool:
    """True for the folders that hold all photos of a year, as far as their languages are known: these are no albums."""
    return _YEAR.fullmatch(folder.rpartition("/")[2]) is not None


def read_document(body: bytes) -> Document:
    """Return what a document says; OTHER for what is none of Takeout's."""
    other = Document(Subject.OTHER)
    if len(body) > MOST_BYTES:
        return other
    try:
        said: Any = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return other
    if not isinstance(said, dict):
        return other
    title, description = said.get("title"), said.get("description")
    words = _clean(title), _clean(description)
    if isinstance(said.get("photoTakenTime"), dict):
        likes = said.get("favorited") is True, said.get("trashed") is True
        return Document(Subject.PHOTO, *words, *likes, keywords=tuple(keywords_told(said)))
    return Document(Subject.ALBUM, *words) if words[0].strip() else other


def _clean(text: Any) -> str:
    """Return a text as any database holds it; "" for what is none. JSON can name zeros, and halves of characters."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode().strip() if isinstance(text, str) else ""
