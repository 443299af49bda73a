"""Make the new version of a file beside the old one, and prove that nothing but what was asked for is different.

The old version is only ever read. What is proven before the new one may take its place: it says what it should, its
kind and its image data are the same, and where exiftool warned of anything, no other tag is lost.
"""

from __future__ import annotations

import html
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from catalog.media.delta import BadDelta, FileBytes, apply_delta, common_start, make_delta
from catalog.media.exiftool import ExifTool, ExifToolFailed, ExifToolMissing, ExifToolTimeout
from catalog.media.image_data import read_map
from catalog.media.not_written import NotWritten
from catalog.media.results import DigestResult
from catalog.media.tag_changes import EXTENSIONS, TagChange
from catalog.sources.replacing import Replacement

_MOST_BYTES_IN_MEMORY = 64 * 1024 * 1024
_SECONDS = 30.0
_SECONDS_PER_BYTE = 1 / (10 * 1024 * 1024)
_ERROR_LINE = re.compile(r"^(?:Error|Can't write)\b.*", re.MULTILINE)
_WARNING_LINE = re.compile(r"^Warning: .*", re.MULTILINE)
_OWN_WORDS = re.compile(r" - /\S*|\s*/(?:proc|tmp|var)/\S+")
_LANGUAGE = re.compile(r"(?<=:Description)-[a-zA-Z]{2,3}(?:-\w+)*$")
"""How exiftool names the texts of one tag in other languages."""
_FOLLOWS = re.compile(
    r"(?:SourceFile|(?:File|ExifTool|System|Composite|JFIF):.*|XMP-x:XMPToolkit|XMP-xmpNote:HasExtendedXMP|RIFF:WebP_Flags"
    r"|[\w-]+:(?:\w*(?:Offsets?|Start|ByteCounts?|Length|DataSize)|ExifByteOrder|Padding|XMP|EXIF))"
)
"""Tags that tell where and how long others are, or which program wrote them: they follow any change."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The new version that lies ready: its facts, size in bytes and modification time in ns."""

    facts: DigestResult
    size_bytes: int
    mtime_ns: int


Reader = Callable[[Callable[[], int]], DigestResult]
"""Reads all facts of the file behind the descriptor that its argument opens, in a sandbox."""

SamePicture = Callable[[Callable[[], int], Callable[[], int]], bool]
"""Tells whether two files show the same pixels, where image data cannot be compared."""


def rewrite(
    replacement: Replacement,
    change: TagChange,
    old: DigestResult,
    tool: ExifTool,
    read: Reader,
    same_picture: SamePicture,
    *,
    keep_mtime: bool,
    extension: str = "",
) -> Rewritten:
    """Write the new version with `change`, prove it, bring it to the disk; `old` are the old version's facts.

    With `extension` the file is of that kind, and its facts are those of the photo that it speaks about. Raises NotWritten
    with the reason. Nothing has taken any place yet: that is `replacement.swap()`.
    """
    kind = extension or EXTENSIONS.get(old.media_type)
    if kind is None:
        raise NotWritten(
            f"Files of this kind ({old.media_type or 'unknown'}) cannot be written safely. Choose XMP files beside the photos "
            "in the library's settings to have it kept in a file.",
            "unsupported",
            is_lasting=True,
        )
    if old.media_type.startswith("video/") and not (old.width and old.height):
        raise NotWritten(
            "The film lacks the part that describes it. It is left as it is, so that it can still be repaired.",
            "damaged",
            is_lasting=True,
        )
    warnings = _run_tool(replacement, change.arguments(old), kind, tool, old.size_bytes)
    new = _read_back(replacement, change, old, read)
    if not change.is_consistent(new):
        sentence = f"Not every field of the new version says {change.sentence}. The photo is as it was."
        raise NotWritten(sentence, "not_verified", is_lasting=True)
    if not extension:
        _require_same_picture(replacement, old, new, same_picture)
    if extension or warnings:
        _require_all_tags(replacement, kind, change.arguments(old), tool)
    facts = replacement.complete(keep_mtime=keep_mtime)
    return Rewritten(new, facts.st_size, facts.st_mtime_ns)


def rewrite_back(
    replacement: Replacement,
    delta: bytes,
    change: TagChange,
    old: DigestResult,
    read: Reader,
    same_picture: SamePicture,
    *,
    keep_mtime: bool,
) -> Rewritten:
    """Like `rewrite`, but make the new version from `delta`, which leads to the very bytes of an earlier one."""
    try:
        replacement.write_new(apply_delta(FileBytes(replacement.original), delta))
    except BadDelta as error:
        raise NotWritten(f"{error} Nothing was changed.", "no_way_back", is_lasting=True) from None
    new = _read_back(replacement, change, old, read)
    _require_same_picture(replacement, old, new, same_picture)
    facts = replacement.complete(keep_mtime=keep_mtime)
    return Rewritten(new, facts.st_size, facts.st_mtime_ns)


def _run_tool(
    replacement: Replacement, arguments: list[str], extension: str, tool: ExifTool, size_bytes: int
) -> list[str]:
    """Let exiftool write the new version; return its warnings."""
    seconds = _SECONDS + size_bytes * _SECONDS_PER_BYTE
    with _with_extension(replacement.original_path, extension) as path:
        words = ["-api", "LargeFileSupport=1", *arguments, "-o", replacement.temporary_path, path]
        try:
            said = tool.ask(words, seconds)
        except ExifToolMissing as error:
            raise NotWritten(str(error), "tool_missing") from None
        except ExifToolTimeout as error:
            raise NotWritten(f"{error} The photo is as it was.", "timeout") from None
        except ExifToolFailed as error:
            raise NotWritten(f"{error} The photo is as it was; it is tried again.", "tool_died") from None
    error_line = _ERROR_LINE.search(said)
    if error_line:
        replacement.require_room()  # a disk that has become full meanwhile is no fault of the file's
        raise _refused(error_line[0])
    return _WARNING_LINE.findall(said)


def _refused(line: str) -> NotWritten:
    """Return the reason for what exiftool would not write."""
    reason = _OWN_WORDS.sub("", html.unescape(line)).removeprefix("Error:").replace("[minor]", "").strip(" .")[:200]
    if "No space left" in reason:
        sentence = "The disk is full, so the photo is as it was. It is tried again when there is room."
        return NotWritten(sentence, "no_space")
    return NotWritten(
        f"The file is damaged or unusual, so that nothing can be written into it safely ({reason}). It is as it was. Choose "
        "XMP files beside the photos in the library's settings to have it kept in a file.",
        "malformed",
        is_lasting=True,
    )


def _read_back(replacement: Replacement, change: TagChange, old: DigestResult, read: Reader) -> DigestResult:
    """Return the new version's facts if it says what it should."""
    try:
        new = read(replacement.open_new)
    except FileNotFoundError:
        raise NotWritten("exiftool wrote nothing. The photo is as it was.", "not_verified") from None
    if not new.photo_md5:
        raise NotWritten(f"What was written cannot be read back: {new.problem} The photo is as it was.", "not_verified")
    if change.is_done(new):
        return new
    if new.photo_md5 == old.photo_md5:
        sentence = f"Files of this kind ({old.media_type}) cannot hold {change.sentence}. It is as it was."
        raise NotWritten(sentence, "unsupported", is_lasting=True)
    sentence = f"What was read back from the new version is not {change.sentence}. The photo is as it was."
    raise NotWritten(sentence, "not_verified", is_lasting=True)


def _require_same_picture(
    replacement: Replacement, old: DigestResult, new: DigestResult, same_picture: SamePicture
) -> None:
    shape = (old.media_type, old.width, old.height, old.orientation)
    if (new.media_type, new.width, new.height, new.orientation) != shape:
        sentence = "The new version would not be the same picture. The photo is as it was."
        raise NotWritten(sentence, "not_verified", is_lasting=True)
    if not _has_same_image(replacement, old, new, same_picture):
        sentence = "The new version's image data would differ. The photo is as it was."
        raise NotWritten(sentence, "not_verified", is_lasting=True)


def _require_all_tags(replacement: Replacement, extension: str, arguments: list[str], tool: ExifTool) -> None:
    lost = _lost_tags(replacement, extension, arguments, tool)
    if lost:
        raise NotWritten(
            f"Writing would lose other information in the file ({', '.join(lost[:5])}). It is as it was. Choose XMP files "
            "beside the photos in the library's settings to have it kept in a file.",
            "lossy",
            is_lasting=True,
        )


def _has_same_image(replacement: Replacement, old: DigestResult, new: DigestResult, same_picture: SamePicture) -> bool:
    if old.image_map and new.image_map:
        return _has_same_bytes(replacement, old.image_map, new.image_map)
    return same_picture(lambda: os.dup(replacement.original), replacement.open_new)


def _has_same_bytes(replacement: Replacement, old_map: str, new_map: str) -> bool:
    """Compare the image data of both versions byte by byte."""
    try:
        (old_places, old_words), (new_places, new_words) = read_map(old_map), read_map(new_map)
    except ValueError:
        return False
    if old_words != new_words:
        return False
    descriptor = replacement.open_new()
    try:
        old, new = FileBytes(replacement.original), FileBytes(descriptor)
        if [end - start for start, end in old_places] == [end - start for start, end in new_places]:
            pairs = zip(old_places, new_places, strict=True)
            return all(common_start(old, a, new, b, end - a) == end - a for (a, end), (b, _) in pairs)
        return all(a == b for a, b in zip_longest(old.parts(old_places), new.parts(new_places)))
    finally:
        os.close(descriptor)


def _lost_tags(replacement: Replacement, extension: str, arguments: list[str], tool: ExifTool) -> list[str]:
    """Return the names of tags that the old version has and the new one has not, or with another value.

    `arguments` are exiftool's: what they write is no loss, in any language.
    """
    written = {argument.partition("=")[0].lstrip("-").rstrip("^-") for argument in arguments if "=" in argument}
    with _with_extension(replacement.original_path, extension) as path:
        before = _tags(path, tool)
    with _with_extension(replacement.temporary_path, extension) as path:
        after = _tags(path, tool)
    kept = {name: value for name, value in before.items() if value not in ("", []) and not _FOLLOWS.fullmatch(name)}
    return [name for name, value in kept.items() if _LANGUAGE.sub("", name) not in written and after.get(name) != value]


def _tags(path: str, tool: ExifTool) -> dict[str, Any]:
    words = ["-json", "-G1", "-n", "-a", "-e", "-api", "LargeFileSupport=1", "-api", "MissingTagValue=", path]
    try:
        said = tool.ask(words, _SECONDS)
        found = json.loads(said[said.index("[") :])[0]
    except ExifToolFailed as error:
        raise NotWritten(f"{error} The photo is as it was; it is tried again.", "tool_died") from None
    except (ValueError, IndexError):
        found = None
    if not isinstance(found, dict):
        sentence = "What else is in the file cannot be told, so that nothing was written. The photo is as it was."
        raise NotWritten(sentence, "not_verified", is_lasting=True)
    return found


def undo_delta(replacement: Replacement, old_md5: str = "", base: bytes | None = None) -> bytes | None:
    """Return what leads from the new version back to the old one (see `way_between`)."""
    descriptor = replacement.open_new()
    try:
        return way_between(FileBytes(replacement.original), FileBytes(descriptor), old_md5, base)
    finally:
        os.close(descriptor)


def way_between(old: FileBytes, new: FileBytes, old_md5: str = "", base: bytes | None = None) -> bytes | None:
    """Return what leads from `new` back to `old`, or, with `base`, to where that leads from `old`.

    `old_md5` is the photo MD5 of `old` where it is known. None if the way would take too much, or if `old` is too large to be
    held in memory for `base`.
    """
    if base is None:
        return make_delta(old, new, old_md5=old_md5)
    if len(old) > _MOST_BYTES_IN_MEMORY:
        return None
    try:
        return make_delta(b"".join(apply_delta(old, base)), new)
    except BadDelta:
        return None


@contextmanager
def _with_extension(path: str, extension: str) -> Iterator[str]:
    """Give a path a name with `extension`: exiftool goes by it where several kinds look alike inside."""
    with tempfile.TemporaryDirectory(prefix="photolala-") as folder:
        link = Path(folder) / f"file{extension}"
        link.symlink_to(path)
        yield str(link)
