"""Which names a walk considers, and which files beside a photo speak about it."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from catalog.sources.takeout_names import TakeoutDocuments, folded

PICTURE_EXTENSIONS = frozenset((
    "jpg", "jpeg", "jpe", "jfif", "mpo", "png", "apng", "gif", "webp", "tif", "tiff", "bmp", "dib", "ico",
    "heic", "heif", "heics", "heifs", "hif", "avif", "avifs", "jxl", "jp2", "psd", "svg", "jif", "jfi", "pjpeg",
    "pjp", "insp", "jpf", "jpx", "j2k", "j2c", "jpc", "psb",
))  # fmt: skip
RAW_EXTENSIONS = frozenset((
    "cr2", "cr3", "crw", "nef", "nrw", "arw", "srf", "sr2", "dng", "orf", "raf", "rw2", "pef", "srw", "3fr",
    "erf", "kdc", "dcr", "mrw", "raw", "rwl", "x3f", "iiq", "gpr", "fff", "mef", "mos", "ori", "dcs", "k25",
    "kc2", "bay", "cap", "ptx", "pxn", "cs1",
))  # fmt: skip
VIDEO_EXTENSIONS = frozenset((
    "mov", "mp4", "m4v", "3gp", "3g2", "avi", "mkv", "webm", "mts", "m2ts", "mpg", "mpeg", "wmv", "qt", "3gpp",
    "3gpp2", "3gp2", "f4v", "asf", "mpe", "m1v", "m2v", "m2p", "mp2v", "m2t", "ts", "tp", "trp", "vob", "mod",
    "tod", "dv", "dif", "flv", "ogv", "ogm", "mxf", "insv", "divx",
))  # fmt: skip
MEDIA_EXTENSIONS = PICTURE_EXTENSIONS | RAW_EXTENSIONS | VIDEO_EXTENSIONS
"""Lower case, without the dot."""

_PACKETS = {"ts": (188, 192), "mod": (2048,)}
"""Extensions that TypeScript, trackers of music and others use, too, with the bytes of which such a video is a multiple."""
SHARED_EXTENSIONS = frozenset(_PACKETS)
_LARGE_BYTES = 4 * 1024 * 1024

_MOTION = re.compile(r"(?:mvimg_\d{8}_\d{6}.*|.*\.m[pv](?:~\d+)?)", re.DOTALL | re.IGNORECASE)
"""What Google Takeout calls the video of a motion photo, beside the picture: `MVIMG_20180722_120942`, `PXL_1.MP`."""

_FIRST_EDITS = re.compile(r"img_o(\d{4,})")


def extension_of(name: str) -> str:
    """Return the lower-case extension of `name` without its dot, or an empty text."""
    return os.path.splitext(name)[1][1:].lower()


def may_be_video(name: str, size_bytes: int) -> bool:
    """Return whether a file with one of SHARED_EXTENSIONS may be a video: it is a whole number of packets, or large.

    So none has to be opened in a walk. What is no video all the same is listed with what it begins like.
    """
    packets = _PACKETS.get(extension_of(name), ())
    return size_bytes > 0 and (size_bytes >= _LARGE_BYTES or any(size_bytes % one == 0 for one in packets))


def why_left_out(name: str) -> str:
    """Return why a walk leaves out a file whose name looks like that of a photo, empty for other names."""
    if name.startswith("."):
        is_bare = name[1:].lower() in MEDIA_EXTENSIONS - SHARED_EXTENSIONS
        return (
            "Its name is nothing but an extension, which makes it a hidden file. Rename it to have it listed."
            if is_bare
            else ""
        )
    if name[-1:] in (".", " ") and is_media_name(name.rstrip(". ")):
        return "Its name ends with a dot or a space after the extension. Rename it to have it listed."
    return ""


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
    xmp = {folded(name): name for name in names if name.lower().endswith(".xmp")}
    photos = [name for name in names if is_media_name(name)]
    documents = TakeoutDocuments(
        (name for name in names if name.lower().endswith(".json")), photos, videos=VIDEO_EXTENSIONS
    )
    stems: dict[str, list[str]] = {}
    if xmp:
        for name in photos:
            stems.setdefault(folded(os.path.splitext(name)[0]), []).append(name)
    found: dict[str, dict[str, str]] = {}
    for name in photos:
        beside: dict[str, str] = {}
        stem = folded(os.path.splitext(name)[0]) if xmp else ""
        if xmp and folded(name) + ".xmp" in xmp:
            beside["xmp"] = xmp[folded(name) + ".xmp"]
        elif stem + ".xmp" in xmp and _is_one_photo(stems[stem]):
            beside["xmp"] = xmp[stem + ".xmp"]
        document = documents.of(name)
        if document:
            beside["takeout"] = document
        if beside:
            found[name] = beside
    return found


def companions_in(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the files that travel with each photo of a folder, by kind: XMP, Takeout's JSON, Apple's edits (AAE; the first
    ones of a photo that was edited twice are called `IMG_O1.AAE`), the XMP of a Live Photo, which names neither of its files,
    and the video of a motion photo that Takeout leaves without an extension of its own.
    """
    names = list(names)
    found = {name: dict(beside) for name, beside in sidecars_in(names).items()}
    by_stem: dict[str, dict[str, str]] = {}
    for name in names:
        if is_media_name(name):
            continue
        stem, extension = os.path.splitext(folded(name))
        if extension == ".aae":
            by_stem.setdefault(stem, {})["aae"] = name
            if first := _FIRST_EDITS.fullmatch(stem):
                by_stem.setdefault(f"img_{first[1]}", {})["first_aae"] = name
        elif extension == ".xmp":
            by_stem.setdefault(stem, {})["shot_xmp"] = name
        elif _MOTION.fullmatch(name):
            by_stem.setdefault(folded(name), {})["motion"] = name
    if not by_stem:
        return found
    shots: dict[str, list[str]] = {}
    for name in names:
        if is_media_name(name) and folded(os.path.splitext(name)[0]) in by_stem:
            shots.setdefault(folded(os.path.splitext(name)[0]), []).append(name)
    for stem, photos in shots.items():
        beside = by_stem[stem]
        if sorted(map(_kind_of, photos)) != ["picture", "video"]:
            beside.pop("shot_xmp", None)
        for name in photos if beside else ():
            own = found.setdefault(name, {})
            own.update((kind, other) for kind, other in beside.items() if other not in own.values())
    return found


def sidecar_target(kind: str, name: str, photo: str, new_photo: str) -> str:
    """Return what a sidecar is called beside its photo's new name, so that it is still found."""
    if photo == new_photo:
        return name
    if kind == "takeout":
        return f"{new_photo}.json"
    if not (name.isascii() and photo.isascii()):
        name, photo = unicodedata.normalize("NFC", name), unicodedata.normalize("NFC", photo)
    if name.lower().startswith(photo.lower()):
        return new_photo + name[len(photo) :]
    new_stem = os.path.splitext(new_photo)[0]
    if kind == "first_aae":
        return f"{new_stem[:4]}O{new_stem[4:]}{os.path.splitext(name)[1]}"
    return new_stem + name[len(os.path.splitext(photo)[0]) :]


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
    kinds = [_kind_of(name) for name in names]
    return len(names) == len(set(kinds)) and not {"video", "picture"} <= set(kinds)


def _kind_of(name: str) -> str:
    extension = extension_of(name)
    return "raw" if extension in RAW_EXTENSIONS else "video" if extension in VIDEO_EXTENSIONS else "picture"
