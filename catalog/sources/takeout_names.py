"""Which document of Google Takeout speaks about which photo, by their names alone.

Google writes `TITLE.json`, later `TITLE.supplemental-metadata.json`, cut to 46 UTF-16 units before `.json`; the number of a
title that came twice stands elsewhere (`IMG(1).jpg`, `IMG.jpg(1).json`). An edited picture has the original's document, and
so has the video of a Live Photo.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator

EDITED_SUFFIXES = (
    # Always in English: what Google Photos makes of photos by itself.
    *("-animation", "-collage", "-effects", "-mix", "-motion", "-smile"),
    # "edited", in the language of the account.
    *(
        "-edited",
        "-bearbeitet",
        "-modifié",
        "-modifiée",
        "-editado",
        "-ha editado",
        "-editada",
        "-editat",
        "-modificato",
    ),
    *("-modificata", "-bewerkt", "-edytowane", "-edytowano", "-upraveno", "-upravené", "-szerkesztve", "-redigeret"),
    *("-redigert", "-redigerad", "-redigerat", "-muokattu", "-breytt", "-düzenlendi", "-uređeno", "-urejeno"),
    *("-измењено", "-изменено", "-отредактировано", "-редактирано", "-відредаговано", "-змінено", "-επεξεργασμένο"),
    *(
        "-redaguota",
        "-rediģēts",
        "-muudetud",
        "-編集済み",
        "-편집됨",
        "-수정됨",
        "-已修改",
        "-已编辑",
        "-编辑",
        "-已編輯",
    ),
    *("-đã chỉnh sửa", "-แก้ไขแล้ว", "-diedit", "-telah diedit", "-संपादित", "-সম্পাদিত", "-נערך", "-معدّل", "-معدل"),
    *("-تم التعديل", "-ویرایش شده"),
)
"""NFC, lower case. In a language that is not here an edited picture is known by the original beside it."""

_NUMBERED = re.compile(r"(.*)(\(\d+\))", re.DOTALL)
_NUMBERED_JSON = re.compile(r"(.*?)(\(\d+\))?\.json", re.DOTALL | re.IGNORECASE)
_SUFFIX_OF_WORDS = re.compile(r"(.+)-[^\W\d_][^\d_()\-]{1,23}", re.DOTALL)
_SUPPLEMENT = ".supplemental-metadata"
_SHORTEST_CUT_UNITS = 40
"""UTF-16 units; a shorter name was never cut."""
_SHORTEST_CUT_SUFFIX = 2
_HEIC, _JPEG = frozenset({".heic", ".heif"}), frozenset({".jpg", ".jpeg"})

_Key = tuple[str, str]


class TakeoutDocuments:
    """The JSON files of one folder, found by the photos' names in each of their spellings. Linear in the number of names."""

    def __init__(self, documents: Iterable[str], photos: Iterable[str], *, videos: frozenset[str]) -> None:
        """`videos` are the extensions of videos, lower case without dot."""
        self._by_key: dict[_Key, str] = {}
        self._cut: dict[_Key, str] = {}
        self._by_stem: dict[_Key, list[tuple[str, str]]] = {}
        """Extension of the title and document."""
        self._videos = videos
        for name in documents:
            self._note(name)
        self._photos = {folded(photo) for photo in photos} if self._by_key else set()

    def of(self, photo: str) -> str:
        """Return the document that speaks about the photo; "" if there is none."""
        if not self._by_key:
            return ""
        stem, extension = os.path.splitext(folded(photo))
        found = self._of_title(stem, extension)
        if found:
            return found
        is_video = extension[1:] in self._videos
        if is_video:
            found = self._of_picture(stem)  # of the Live Photo that it is a part of
            if found:
                return found
        for original in self._originals(stem):
            found = self._of_title(original, extension) or ("" if is_video else self._of_picture(original))
            if found:
                return found
        return self._of_heic(stem) if extension in _JPEG else ""

    def has_title(self, photo: str) -> bool:
        """True if there is a document of exactly this title."""
        return bool(self._of_title(*os.path.splitext(folded(photo))))

    def _note(self, name: str) -> None:
        match = _NUMBERED_JSON.fullmatch(folded(name))
        if not match:
            return
        title, count = match[1], match[2] or ""
        self._by_key.setdefault((title, count), name)
        start = title.rfind(".")
        if start > 0 and _is_supplement(title[start:], title):
            title = title[:start]
            self._by_key.setdefault((title, count), name)
        elif _units(title) >= _SHORTEST_CUT_UNITS:
            self._cut.setdefault((title, count), name)
        stem, extension = os.path.splitext(title)
        if extension:
            self._by_stem.setdefault((stem, count), []).append((extension, name))

    def _of_title(self, stem: str, extension: str) -> str:
        """Return the document of exactly this title, in all places where its number may stand."""
        full, count = stem + extension, ""
        found = self._by_key.get((full, ""))
        if found:
            return found
        numbered = _NUMBERED.fullmatch(stem)
        if numbered:
            bare, count = numbered[1], numbered[2]
            full = bare + extension
            found = self._by_key.get((full, count))
            if found:
                return found
        found = self._cut_of(full, count)
        if found:
            return found
        # Ancient exports name the document after the stem alone.
        found = self._by_key.get((os.path.splitext(full)[0], count), "")
        if found or not numbered or full in self._photos:
            return found
        # The number was forgotten: nobody else is the photo of that title.
        return self._by_key.get((full, ""), "") or self._cut_of(full, "")

    def _cut_of(self, full: str, count: str) -> str:
        if not self._cut:
            return ""
        for length in range(len(full), 0, -1):
            if _units(full[:length]) < _SHORTEST_CUT_UNITS:
                return ""
            found = self._cut.get((full[:length], count))
            if found:
                return found
        return ""

    def _of_picture(self, stem: str) -> str:
        """Return the document of a picture with this stem, whatever its extension."""
        titles = self._titles_of(stem)
        return next((name for extension, name in titles if extension[1:] not in self._videos), "")

    def _of_heic(self, stem: str) -> str:
        """Return the document of a HEIC picture that was exported as a JPEG."""
        titles = self._titles_of(stem)
        return next((name for ext, name in titles if ext in _HEIC and stem + ext not in self._photos), "")

    def _titles_of(self, stem: str) -> list[tuple[str, str]]:
        numbered = _NUMBERED.fullmatch(stem)
        key = (numbered[1], numbered[2]) if numbered else ("", "")
        return [*self._by_stem.get((stem, ""), ()), *self._by_stem.get(key, ())]

    def _originals(self, stem: str) -> Iterator[str]:
        """Yield what the original of an edited picture may be called, without its extension."""
        numbered = _NUMBERED.fullmatch(stem)
        base, count = (numbered[1], numbered[2]) if numbered else (stem, "")
        for suffix in EDITED_SUFFIXES:
            if base.endswith(suffix):
                original = base[: -len(suffix)]
                yield original + count
                if count and not self._has_photo(original + count):
                    yield original
        if _units(base) >= _SHORTEST_CUT_UNITS:  # the suffix itself may be cut
            start = base.rfind("-")
            tail = base[start:]
            if start > 0 and len(tail) >= _SHORTEST_CUT_SUFFIX and any(s.startswith(tail) for s in EDITED_SUFFIXES):
                yield base[:start] + count
        words = _SUFFIX_OF_WORDS.fullmatch(base)
        if words and self._has_photo(words[1] + count):
            yield words[1] + count

    def _has_photo(self, stem: str) -> bool:
        return any(
            stem + extension in self._photos for extension in (".jpg", ".jpeg", ".heic", ".heif", ".png", ".webp")
        )


def folded(name: str) -> str:
    """Return a name so that NFC and NFD, upper and lower case are one."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).lower()


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _is_supplement(tail: str, title: str) -> bool:
    """True for `.supplemental-metadata` or a beginning of it; for the dot alone only where a name is cut."""
    return _SUPPLEMENT.startswith(tail) and (len(tail) > 1 or _units(title) >= _SHORTEST_CUT_UNITS)


def is_named_after(document: str, photo: str) -> bool:
    """True if the document has the title of exactly this photo, and not of its original or of another part of its shot."""
    stem, extension = os.path.splitext(photo)
    numbered = _NUMBERED.fullmatch(stem)
    others = [numbered[1] + extension] if numbered else []
    documents = TakeoutDocuments([document], others, videos=frozenset())
    return documents.has_title(photo)
