"""Which folders are the same one, whatever they are called: bind mounts, other cases and Unicode forms of names."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

from photolala.lib.roots import is_within

_MOUNTS = "/proc/self/mountinfo"
_OCTAL = re.compile(rb"\\([0-7]{3})")
Region = tuple[bytes, bytes]
"""A file system (its device as the kernel writes it), and a folder as that file system calls it."""


class Mounts:
    """What is mounted where, as of one moment."""

    def __init__(self, listing: bytes) -> None:
        """`listing` is in the form of /proc/self/mountinfo; lines of another form are left out."""
        self._by_point: dict[bytes, Region] = {}
        for line in listing.splitlines():
            words = line.split(b" ")
            if len(words) > 5:
                self._by_point[_plain(words[4])] = (words[2], _plain(words[3]))  # a later one hides an earlier one

    @classmethod
    def now(cls) -> Mounts:
        """Return what is mounted now; nothing where the kernel does not say."""
        try:
            return cls(Path(_MOUNTS).read_bytes())
        except OSError:
            return cls(b"")

    def region(self, folder: Path) -> Region | None:
        """Return where a folder (a real path) is on its file system; None if that is not known."""
        path = os.fsencode(folder)
        point = next((above for above in _upwards(path) if above in self._by_point), None)
        if point is None:
            return None
        device, top = self._by_point[point]
        return device, _joined(top, os.path.relpath(path, point))

    def regions(self, folder: Path) -> list[Region]:
        """Return where a folder is on its file system, and what is mounted below it."""
        own, path = self.region(folder), os.fsencode(folder)
        below = [region for mounted, region in self._by_point.items() if _is_below(mounted, path)]
        return [own, *below] if own else below


def overlap(one: Path, other: Path, mounts: Mounts) -> bool:
    """True if a folder (both real paths) is the other one, is in it or holds it or part of it, under whatever name."""
    if is_inside(one, other, mounts) or is_inside(other, one, mounts):
        return True
    mine, theirs = mounts.regions(one), mounts.regions(other)
    return any(_is_region_in(a, b) or _is_region_in(b, a) for a in mine for b in theirs)


def is_inside(inner: Path, outer: Path, mounts: Mounts) -> bool:
    """True if `inner` is the folder `outer`, or can be reached in there (both real paths)."""
    if is_within(inner, outer):
        return True
    if is_within(_folded(inner), _folded(outer)):
        # On a disk that does not tell cases apart, this is the same folder. Nobody else's folder is looked at before.
        try:
            return os.path.samefile(Path(*inner.parts[: len(outer.parts)]), outer)
        except OSError:
            return False
    own = mounts.region(inner)
    return own is not None and any(_is_region_in(own, region) for region in mounts.regions(outer))


def _is_region_in(inner: Region, outer: Region) -> bool:
    return inner[0] == outer[0] and (inner[1] == outer[1] or _is_below(inner[1], outer[1]))


def _folded(path: Path) -> Path:
    return Path(unicodedata.normalize("NFC", unicodedata.normalize("NFC", str(path)).casefold()))


def _plain(word: bytes) -> bytes:
    return _OCTAL.sub(lambda match: bytes((int(match[1], 8),)), word)


def _upwards(path: bytes) -> list[bytes]:
    found = [path]
    while path not in (b"/", b""):
        path = os.path.dirname(path)
        found.append(path)
    return found


def _is_below(path: bytes, folder: bytes) -> bool:
    return path != folder and path.startswith(folder if folder.endswith(b"/") else folder + b"/")


def _joined(top: bytes, below: bytes) -> bytes:
    return top if below == b"." else (top if top.endswith(b"/") else top + b"/") + below
