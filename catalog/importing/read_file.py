"""What was read of a file that is being imported, on its way into the library."""

import os
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from catalog.entries.sql import Row
from catalog.media.results import DigestResult
from catalog.models import ImportItem
from catalog.sources.kinds import sidecar_target
from catalog.sources.takeout_names import is_named_after

SPEAKING = ("xmp", "takeout")
"""The kinds of sidecars that a scan reads."""

_EDITED_BY_A_PHONE = re.compile(r"img_e(\d{4,})")


class FileFacts(NamedTuple):
    """What tells that a file is another one now."""

    size_bytes: int
    mtime_ns: int


class PlacedSidecar(NamedTuple):
    """A sidecar in the library, beside its photo."""

    name: str
    facts: FileFacts


@dataclass(slots=True)
class ReadFile:
    """One file of a window, what was read of it, and its place in the library."""

    item: ImportItem
    result: DigestResult
    columns: Row = field(default_factory=dict)
    sidecars: dict[str, ImportItem] = field(default_factory=dict)
    """The sidecars that travel with it, by kind."""
    names: dict[str, str] = field(default_factory=dict)
    """What they are called in the library, by kind."""
    told_date: tuple[datetime, int] | None = None
    """Wall clock, and minutes east of UTC, as a table of an export tells them; the file itself knows no date."""
    was_placed: bool = False
    """A killed import had put it into the library already."""
    facts: FileFacts | None = None
    """Size and time of the file in the library, once it is there."""
    beside: dict[str, PlacedSidecar] = field(default_factory=dict)
    """Its sidecars in the library, by kind, once they are there."""

    @property
    def is_video(self) -> bool:
        """True for videos; they take the folder and date of the picture beside them."""
        return self.result.media_type.startswith("video/")


def stem_of(name: str) -> str:
    """Return a file name without its extension."""
    return os.path.splitext(name)[0]


def shot_stem(name: str) -> str:
    """Return what the names of the files of one shot have in common; a phone calls the edited picture of `IMG_1` `IMG_E1`."""
    stem = stem_of(name).lower()
    edited = _EDITED_BY_A_PHONE.fullmatch(stem)
    return f"img_{edited[1]}" if edited else stem


def names_beside(one: ReadFile, photo: str) -> dict[str, str]:
    """Return what the sidecars of a file are called in the library, by kind, if the file itself is called `photo`."""
    return {kind: name_beside(kind, beside, one.item, photo) for kind, beside in one.sidecars.items()}


def name_beside(kind: str, beside: ImportItem, of: ImportItem, photo: str) -> str:
    """Return what a sidecar is called beside `of`'s file if that is called `photo` in the library.

    A Takeout document of an edited picture has the original's name, which stays free for the original.
    """
    if kind == "takeout" and not is_named_after(beside.filename, of.filename):
        return f"{photo}.json"
    return sidecar_target(kind, beside.filename, of.filename, photo)
