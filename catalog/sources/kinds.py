"""Which names a walk considers, and which files beside a photo speak about it."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable

PICTURE_EXTENSIONS = frozenset(
    [
        "jpg",
        "jpeg",
        "jpe",
        "jfif",
        "mpo",
        "png",
        "apng",
        "gif",
        "webp",
        "tif",
        "tiff",
        "bmp",
        "dib",
        "ico",
        "heic",
        "heif",
        "heics",
        "heifs",
        "hif",
        "avif",
        "avifs",
        "jxl",
        "jp2",
        "psd",
        "svg",
    ]
)
RAW_EXTENSIONS = frozenset(
    [
        "cr2",
        "cr3",
        "crw",
        "nef",
        "nrw",
        "arw",
        "srf",
        "sr2",
        "dng",
        "orf",
        "raf",
        "rw2",
        "pef",
        "srw",
        "3fr",
        "erf",
        "kdc",
        "dcr",
        "mrw",
        "raw",
        "rwl",
        "x3f",
        "iiq",
    ]
)
VIDEO_EXTENSIONS = frozenset(
    ["mov", "mp4", "m4v", "3gp", "3g2", "avi", "mkv", "webm", "mts", "m2ts", "mpg", "mpeg", "wmv", "qt"]
)
MEDIA_EXTENSIONS = PICTURE_EXTENSIONS | RAW_EXTENSIONS | VIDEO_EXTENSIONS
"""Lower case, without the dot."""

EDITED_SUFFIXES = (
    "-edited",
    "-bearbeitet",
    "-modifié",
    "-editado",
    "-modificato",
    "-bewerkt",
    "-edytowane",
    "-編集済み",
    "-effects",
    "-collage",
)
_NUMBERED = re.compile(r"(.*)(\(\d+\))")
_NUMBERED_JSON = re.compile(r"(.*?)(\(\d+\))?\.json", re.DOTALL | re.IGNORECASE)
_SUPPLEMENT = ".supplemental-metadata"
_SHORTEST_CUT_NAME = 40
"""Takeout cuts long names; a shorter title is never taken for a cut one."""


def extension_of(name: str) -> str:
    """Return the lower-case extension of `name` without its dot, or an empty text."""
    return os.path.splitext(name)[1][1:].lower()


def is_media_name(name: str | bytes) -> bool:
    """Return whether a walk considers a file of that name: a known extension, not hidden."""
    text = os.fsdecode(name)
    return not text.startswith(".") and extension_of(text) in MEDIA_EXTENSIONS


def sidecars_in(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Map each photo of one directory to its sidecars, {"xmp": name, "takeout": name}; photos without any are left out.

    One pass over the names and a few look-ups for each: linear in their number. `IMG.jpg.xmp` goes before `IMG.xmp`, and the
    latter speaks for a photo only if no second photo shares its stem (a RAW beside its JPEG counts as one: both take it).
    """
    names = list(names)
    xmp = {name.lower(): name for name in names if name.lower().endswith(".xmp")}
    documents = _Takeout(name for name in names if name.lower().endswith(".json"))
    photos = [name for name in names if is_media_name(name)]
    stems: dict[str, list[str]] = {}
    if xmp:
        for name in photos:
            stems.setdefault(os.path.splitext(name)[0].lower(), []).append(name)
    found: dict[str, dict[str, str]] = {}
    for name in photos:
        beside: dict[str, str] = {}
        stem = os.path.splitext(name)[0].lower()
        if name.lower() + ".xmp" in xmp:
            beside["xmp"] = xmp[name.lower() + ".xmp"]
        elif stem + ".xmp" in xmp and _is_one_photo(stems[stem]):
            beside["xmp"] = xmp[stem + ".xmp"]
        document = documents.of(name)
        if document:
            beside["takeout"] = document
        if beside:
            found[name] = beside
    return found


def companions_in(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the files that travel with each photo of a folder, by kind: XMP, Takeout's JSON, Apple's edits (AAE)."""
    names = list(names)
    found = {name: dict(beside) for name, beside in sidecars_in(names).items()}
    edits = {os.path.splitext(name)[0].lower(): name for name in names if extension_of(name) == "aae"}
    if edits:
        for name in names:
            if is_media_name(name) and os.path.splitext(name)[0].lower() in edits:
                found.setdefault(name, {})["aae"] = edits[os.path.splitext(name)[0].lower()]
    return found


def sidecar_target(kind: str, name: str, photo: str, new_photo: str) -> str:
    """Return what a sidecar is called beside its photo's new name, so that it is still found."""
    if photo == new_photo:
        return name
    if kind == "takeout":
        return f"{new_photo}.json"
    if name.lower().startswith(photo.lower()):
        return new_photo + name[len(photo) :]
    return os.path.splitext(new_photo)[0] + name[len(os.path.splitext(photo)[0]) :]


class Companions(dict[str, str]):
    """The files that travel with one photo, by kind."""

    def renamed(self, photo: str, new_photo: str) -> dict[str, str]:
        """Return for each what it is called beside the photo's new name."""
        return {name: sidecar_target(kind, name, photo, new_photo) for kind, name in self.items()}


class Folder:
    """The names in a folder from which photos are taken away, one after the other, each with what is its own by then."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = set(names)
        self._beside = companions_in(self._names)
        self._users = Counter(name for companions in self._beside.values() for name in set(companions.values()))

    def take(self, photo: str) -> Companions:
        """Return the files that speak about `photo` and about no other photo that is still there; `photo` leaves."""
        own = self._beside.pop(photo, {})
        self._users.subtract(set(own.values()))
        return Companions({kind: name for kind, name in own.items() if not self._users[name]})


def _is_one_photo(names: list[str]) -> bool:
    kinds = [
        (
            "raw"
            if extension_of(name) in RAW_EXTENSIONS
            else "video"
            if extension_of(name) in VIDEO_EXTENSIONS
            else "picture"
        )
        for name in names
    ]
    return len(names) == len(set(kinds)) and not {"video", "picture"} <= set(kinds)


class _Takeout:
    """The JSON files of one directory of Google Takeout, found by the photo's name in each of its spellings."""

    def __init__(self, names: Iterable[str]) -> None:
        self.by_key: dict[tuple[str, str], str] = {}
        self.cut: dict[tuple[str, str], str] = {}
        for name in names:
            match = _NUMBERED_JSON.fullmatch(name)
            if not match:
                continue
            title, count = match[1], match[2] or ""
            self.by_key.setdefault((title.lower(), count), name)
            start = title.rfind(".s")
            if start > 0 and _SUPPLEMENT.startswith(title[start:].lower()):
                self.by_key.setdefault((title[:start].lower(), count), name)
            elif len(title) >= _SHORTEST_CUT_NAME:
                self.cut.setdefault((title.lower(), count), name)

    def of(self, photo: str) -> str:
        if not self.by_key:
            return ""
        stem, dot_extension = os.path.splitext(photo)
        for spelling in (stem, *self._originals(stem)):
            found = self._of_spelling(spelling, dot_extension)
            if found:
                return found
        return ""

    def _originals(self, stem: str) -> Iterable[str]:
        numbered = _NUMBERED.fullmatch(stem)
        base, count = (numbered[1], numbered[2]) if numbered else (stem, "")
        for suffix in EDITED_SUFFIXES:
            if base.lower().endswith(suffix):
                yield base[: -len(suffix)] + count

    def _of_spelling(self, stem: str, dot_extension: str) -> str:
        found = self.by_key.get(((stem + dot_extension).lower(), ""))
        if found:
            return found
        count = ""
        numbered = _NUMBERED.fullmatch(stem)
        if numbered:
            stem, count = numbered[1], numbered[2]
            found = self.by_key.get(((stem + dot_extension).lower(), count))
            if found:
                return found
        full = (stem + dot_extension).lower()
        for length in range(len(full), _SHORTEST_CUT_NAME - 1, -1):
            found = self.cut.get((full[:length], count))
            if found:
                return found
        # Ancient exports name the document after the stem alone.
        return self.by_key.get((stem.lower(), count), "")
