"""What one thread does with files that are to be written: prepares new versions and proves them. It asks no database."""

import hashlib
import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any

from catalog.entries.folder_comparison import sidecar_signature
from catalog.files.prepared import Prepared, SidecarVersion, Task
from catalog.media.exiftool import ExifTool
from catalog.media.file_changes import KeywordChange, PlaceChange, embedded_place, sidecar_place
from catalog.media.not_written import NotWritten, reasons
from catalog.media.pool import DecoderPool
from catalog.media.results import DigestResult
from catalog.media.rewriting import Rewritten, rewrite, rewrite_back, undo_delta
from catalog.media.sidecar_files import SidecarChange, sidecar_name
from catalog.media.tag_changes import EXTENSIONS, CaptionChange, DateChange, date_said
from catalog.media.task import Job
from catalog.sources.held_root import HeldRoot
from catalog.sources.kinds import sidecars_in
from catalog.sources.local import LocalSource
from catalog.sources.new_files import NewFile
from catalog.sources.replacing import Replacement

_COMPARED_EDGE_PX = 1024


class FileWriter:
    """Prepares new versions with an exiftool and a decoder of its own. One object serves one thread at a time."""

    def __init__(self, root: str, decoders: Callable[[], DecoderPool], held: HeldRoot | None = None) -> None:
        """`held` is the open root below which all is read and written."""
        self.source = LocalSource(root, held=held, is_real=True)
        self._tool = ExifTool()
        self._pool = decoders()

    def __enter__(self) -> "FileWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes and close the folders."""
        self._tool.close()
        self._pool.close()
        self.source.close()

    def _prepared(self, task: Task, old: DigestResult, **more: Any) -> Prepared:
        """Return what is known of the file as it was, and `more`."""
        first = (
            (old.sidecar_rating, old.embedded_rating) if task.is_sidecar else (old.embedded_rating, old.sidecar_rating)
        )
        counted = next((rating for rating in first if rating is not None), 0)
        before: dict[str, Any] = {
            "old_md5": old.photo_md5,
            "old_rating": old.embedded_rating or 0,
            "rating_before": counted,
            "old_date": date_said(old),
            "old_caption": old.caption,
            "caption_before": _caption_before(task, old),
            "old_keywords": old.embedded_keywords,
            "keywords_before": _keywords_before(task, old),
            **_places_before(task, old),
            "beside": _said_beside(task, old) if more.get("sidecar") and not task.is_sidecar else {},
        }
        return Prepared(task, old, **before, **more)

    def prepare(self, task: Task) -> Prepared:
        """Return the proven new versions of the task's file and its sidecar, or what was already so. Raises NotWritten.

        Nothing takes its place: that is `Prepared.swap`.
        """
        with reasons(), ExitStack() as stack:
            beside = self.sidecars(task)
            old = self.facts(task, partial(self.source.open, task.path), beside)
            self._require_known(task, old)
            task = task.keeping(old)
            sidecar, sidecars = None, None
            if self._needs_sidecar(task, old, beside):
                sidecar, sidecars = self._new_sidecar(task, old, beside.get("xmp", ""))
                stack.callback(sidecar.place.close)
            more: dict[str, Any] = {"sidecar": sidecar, "sidecars": sidecars}
            if task.is_sidecar or task.change.is_done(old):
                prepared = self._prepared(task, old, **more)
            else:
                prepared = self._prepare_file(task, old, beside, more)
            stack.pop_all()
        return prepared

    def _prepare_file(self, task: Task, old: DigestResult, beside: dict[str, str], more: dict[str, Any]) -> Prepared:
        with ExitStack() as stack:
            replacement = stack.enter_context(
                self.source.replacement(
                    task.path,
                    token=task.token,
                    extension=EXTENSIONS.get(old.media_type, ".bin"),
                    expected=(task.size_bytes, task.mtime_ns),
                )
            )
            if task.way is not None and task.is_way_wanted:
                way, rewritten = None, self._rewrite_back(replacement, task.way.delta, task, old, beside)
            else:
                way, rewritten = task.way, self._rewrite(replacement, task, old)
            back = undo_delta(replacement, old.photo_md5, way.delta if way else None)
            stack.pop_all()
        more |= {"replacement": replacement, "rewritten": rewritten, "undo_delta": back, "way": way}
        return self._prepared(task, old, **more)

    def _rewrite(self, replacement: Replacement, task: Task, old: DigestResult) -> Rewritten:
        read = partial(self.facts, task)
        return rewrite(replacement, task.change, old, self._tool, read, self._same_picture, keep_mtime=task.keep_mtime)

    def _rewrite_back(
        self,
        replacement: Replacement,
        delta: bytes,
        task: Task,
        old: DigestResult,
        beside: dict[str, str],
    ) -> Rewritten:
        """Make the very bytes of the earlier version; where that fails, write like anything else.

        What that version left to its sidecars they say still.
        """
        read = partial(self.facts, task, beside=beside)
        same, keep_mtime, change = self._same_picture, task.keep_mtime, task.change
        if isinstance(change, KeywordChange):
            change = replace(change, is_way_back=True)
        try:
            return rewrite_back(replacement, delta, change, old, read, same, keep_mtime=keep_mtime)
        except NotWritten:
            with suppress(FileNotFoundError):
                os.unlink(replacement.temporary_path)
            return self._rewrite(replacement, task, old)

    def _require_known(self, task: Task, old: DigestResult) -> None:
        if not task.photo_md5:
            raise NotWritten("The file is still to be read by a scan; it is written after that.", "not_read_yet")
        if not old.photo_md5:
            self.source.check()
            os.close(self.source.open(task.path))  # says why
            raise NotWritten(f"The file cannot be read: {old.problem}", "unreadable", is_lasting=True)
        if old.photo_md5 != task.photo_md5 or old.size_bytes != task.size_bytes or old.mtime_ns != task.mtime_ns:
            raise NotWritten(
                "The file was changed by another program since it was scanned, and is as that left it. It is written after "
                "the next scan.",
                "changed",
            )

    # -- sidecars -----------------------------------------------------------------------------------------------------

    def sidecars(self, task: Task) -> dict[str, str]:
        """Return the names of the file's sidecars by kind."""
        listed = self.source.list_directory(task.directory)
        return sidecars_in(name for name, _, _ in listed.files).get(task.filename, {})

    def _needs_sidecar(self, task: Task, old: DigestResult, beside: dict[str, str]) -> bool:
        """True if an XMP file is to be written: one that is there is, too, if it says something else."""
        if task.is_sidecar and isinstance(task.change, DateChange):
            sentence = "Dates are not written into XMP files alone."
            raise NotWritten(sentence, "unsupported", is_lasting=True)
        change = SidecarChange(task.change)
        return change.is_wanted(old) if task.is_sidecar else "xmp" in beside and change.is_contradicted(old)

    def _new_sidecar(self, task: Task, old: DigestResult, name: str) -> tuple[SidecarVersion, str]:
        """Prepare the new version of the XMP file `name`, or a new one; return it and the signature of all sidecars then."""
        change = SidecarChange(task.change)
        prefix = f"{task.directory}/" if task.directory else ""
        listed = self.source.list_directory(task.directory)
        facts = {name: (size, mtime) for name, size, mtime in listed.files}
        if name:
            if name not in facts:
                raise NotWritten("The XMP file beside the photo is gone just now; it is tried again.", "busy")
            version, written = self._changed_sidecar(task, change, old, prefix + name, facts[name])
        else:
            name, data = sidecar_name(task.filename), change.new_file()
            if name in facts:
                raise NotWritten("An XMP file appeared beside the photo just now; it is tried again.", "busy")
            folder, raw = self.source.folder_of(prefix + name)
            place = NewFile(folder, raw, task.token, data)
            version = SidecarVersion(place, "", hashlib.md5(data, usedforsecurity=False).hexdigest())
            written = (place.facts.st_size, place.facts.st_mtime_ns)
        facts[name] = written
        beside = sidecars_in(facts)
        others = [photo for photo, own in beside.items() if own.get("xmp") == name and photo != task.filename]
        return replace(version, others=others), sidecar_signature(beside.get(task.filename, {}), facts)

    def _changed_sidecar(
        self, task: Task, change: SidecarChange, old: DigestResult, path: str, expected: tuple[int, int]
    ) -> tuple[SidecarVersion, tuple[int, int]]:
        """Prepare the new version of an XMP file that is there; return it, its size in bytes and mtime in ns."""

        def read(opener: Callable[[], int]) -> DigestResult:
            return self.facts(task, partial(self.source.open, task.path), opened={"xmp": opener})

        with ExitStack() as stack:
            place = stack.enter_context(
                self.source.replacement(path, token=task.token, extension=".xmp", expected=expected)
            )
            new = rewrite(place, change, old, self._tool, read, self._same_picture, keep_mtime=False, extension=".xmp")
            before, after = (_md5_behind(opener) for opener in (lambda: os.dup(place.original), place.open_new))
            stack.pop_all()
        return SidecarVersion(place, before, after), (new.size_bytes, new.mtime_ns)

    # -- decoders -----------------------------------------------------------------------------------------------------

    def facts(
        self,
        task: Task,
        opener: Callable[[], int],
        beside: dict[str, str] | None = None,
        opened: dict[str, Callable[[], int]] | None = None,
    ) -> DigestResult:
        """Return all facts of the file behind `opener` as the task's photo, with the sidecars `beside` it or `opened`."""
        prefix = f"{task.directory}/" if task.directory else ""
        sidecars = {kind: partial(self.source.open, prefix + name) for kind, name in (beside or {}).items()}
        params = {"zone": task.zone, "mtime_ns": task.mtime_ns, "size_bytes": task.size_bytes, "image_data": True}
        params["file_first"] = True  # what is written is proven by the file itself
        job = Job(None, task.filename, opener, params, {**sidecars, **(opened or {})})
        ((_, facts),) = self._pool.facts([job])
        return facts

    def _same_picture(self, first: Callable[[], int], second: Callable[[], int]) -> bool:
        pictures = [self._pool.preview(Job(None, "", opener), _COMPARED_EDGE_PX).picture for opener in (first, second)]
        return pictures[0] is not None and pictures[0] == pictures[1]


def _md5_behind(opener: Callable[[], int]) -> str:
    with open(opener(), "rb") as file:
        file.seek(0)
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _said_beside(task: Task, old: DigestResult) -> dict[str, Any]:
    """Return what an XMP file said that is written along with the photo: it gets that again if the change is taken back."""
    if isinstance(task.change, DateChange):
        return {"sidecar": {"taken": old.sidecar_taken, "offset": old.sidecar_offset}}
    if isinstance(task.change, KeywordChange):
        return {"sidecar": old.sidecar_keywords}
    if isinstance(task.change, PlaceChange):
        own = sidecar_place(old)
        return {} if own is None else {"sidecar": [*own]}
    return {"sidecar": old.sidecar_caption} if isinstance(task.change, CaptionChange) else {}


def _caption_before(task: Task, old: DigestResult) -> str:
    """Return the caption that counted before: an XMP file's goes first where captions are written into such."""
    if task.is_sidecar and (old.sidecar_caption or old.sidecar_caption_is_none):
        return old.sidecar_caption
    return old.caption


def _keywords_before(task: Task, old: DigestResult) -> list[str]:
    """Return the keywords that counted before, likewise."""
    if task.is_sidecar and (old.sidecar_keywords or old.sidecar_keywords_are_none):
        return old.sidecar_keywords
    return old.embedded_keywords


def _places_before(task: Task, old: DigestResult) -> dict[str, list[float] | None]:
    """Return what the file itself said, and what counted, likewise."""
    own = embedded_place(old)
    counted = (sidecar_place(old) or own) if task.is_sidecar else own
    return {"old_place": own and [*own], "place_before": counted and [*counted]}
