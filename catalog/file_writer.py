"""What one thread does with files that are to be written: prepares new versions and proves them. It asks no database."""

import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any

from catalog.media.delta import FileBytes
from catalog.media.exiftool import ExifTool
from catalog.media.kinds import sidecars_in
from catalog.media.pool import DecoderPool, Job
from catalog.media.results import DigestResult
from catalog.media.rewriting import NotWritten, Rewritten, reasons, rewrite, rewrite_back, way_back, way_between
from catalog.media.sidecar_files import new_sidecar, sidecar_arguments, sidecar_name
from catalog.media.tag_changes import EXTENSIONS, RatingChange, TagChange, date_said
from catalog.sources.local import LocalSource
from catalog.sources.replacing import (
    Replacement,
    create_beside,
    exchange_with_hidden,
    hidden_versions,
    open_hidden,
    remove_hidden,
    require_room_beside,
)

from .planning import sidecar_signature

_COMPARED_EDGE_PX = 1024
_NEVER_A_PHOTO = (b".new", b".xmp")
"""How the hidden names of sidecars end."""


@dataclass(frozen=True, slots=True)
class Task:
    """One file to be written, as the catalog knows it. `token` names the try; `family` all tries of the same write."""

    family: str
    token: str
    directory: str
    filename: str
    size_bytes: int
    mtime_ns: int
    photo_md5: str
    zone: str
    change: TagChange
    is_sidecar: bool = False
    keep_mtime: bool = False
    back: bytes | None = None
    """What leads from the present version to the bytes of the wanted one."""
    base: bytes | None = None
    """What leads from the present version to the version that a way back should lead to."""

    @property
    def path(self) -> str:
        """Where the file lies, relative to the root."""
        return f"{self.directory}/{self.filename}" if self.directory else self.filename


@dataclass(slots=True)
class Prepared:
    """A new version that waits to take its place, or `rewritten` None if the file says already what it should."""

    task: Task
    old: DigestResult
    replacement: Replacement | None = None
    rewritten: Rewritten | None = None
    way_back: bytes | None = None
    sidecars: str | None = None
    """The signature of the sidecars if one was written."""
    is_swapped: bool = False
    old_md5: str = ""
    old_rating: int = 0
    """What the file itself said before, of no rating 0."""
    rating_before: int = 0
    """What counted before: the file's own stars, or its sidecar's."""
    old_date: dict[str, Any] = field(default_factory=dict)
    """The date that the file itself said before (`date_said`)."""

    def close(self) -> None:
        """Remove what is left beside the file."""
        if self.replacement:
            self.replacement.close()


class FileWriter:
    """Prepares new versions with an exiftool and a decoder of its own. One object serves one thread at a time."""

    def __init__(self, root: str, decoders: Callable[[], DecoderPool]) -> None:
        self._source = LocalSource(root)
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
        self._source.close()

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
        }
        return Prepared(task, old, **before, **more)

    def prepare(self, task: Task) -> Prepared:
        """Return the proven new version of the task's file, or what was already so. Raises NotWritten.

        A sidecar is written at once and is in its place when this returns: no identity hangs on its bytes.
        """
        with reasons():
            beside = self._sidecars(task)
            old = self._facts(task, partial(self._source.open, task.path), beside)
            self._require_known(task, old)
            if task.is_sidecar:
                return self._prepare_sidecar(task, old, beside)
            sidecars = None
            rating = task.change if isinstance(task.change, RatingChange) else None
            if rating and old.sidecar_rating is not None and old.sidecar_rating != rating.stars and "xmp" in beside:
                sidecars = self._write_sidecar(task, rating, old, beside["xmp"])
            if task.change.is_done(old):
                return self._prepared(task, old, sidecars=sidecars)
            return self._prepare_file(task, old, sidecars)

    def _prepare_file(self, task: Task, old: DigestResult, sidecars: str | None) -> Prepared:
        with ExitStack() as stack:
            replacement = stack.enter_context(
                self._source.replacement(
                    task.path,
                    token=task.token,
                    extension=EXTENSIONS.get(old.media_type, ".bin"),
                    expected=(task.size_bytes, task.mtime_ns),
                )
            )
            read = partial(self._facts, task)
            if task.back is not None:
                rewritten = self._rewrite_back(replacement, task, old, read)
            else:
                rewritten = rewrite(
                    replacement, task.change, old, self._tool, read, self._same_picture, keep_mtime=task.keep_mtime
                )
            back = way_back(replacement, old.photo_md5, task.base)
            stack.pop_all()
        return self._prepared(task, old, replacement=replacement, rewritten=rewritten, way_back=back, sidecars=sidecars)

    def _rewrite_back(
        self, replacement: Replacement, task: Task, old: DigestResult, read: Callable[[Callable[[], int]], DigestResult]
    ) -> Rewritten:
        """Make the very bytes of the earlier version; where that fails, write like anything else."""
        try:
            return rewrite_back(
                replacement,
                task.back or b"",
                task.change,
                old,
                read,
                self._same_picture,
                keep_mtime=task.keep_mtime,
            )
        except NotWritten:
            with suppress(FileNotFoundError):
                os.unlink(replacement.temporary_path)
            return rewrite(
                replacement, task.change, old, self._tool, read, self._same_picture, keep_mtime=task.keep_mtime
            )

    def _require_known(self, task: Task, old: DigestResult) -> None:
        if not task.photo_md5:
            raise NotWritten("The file is still to be read by a scan; it is written after that.", "not_read_yet")
        if not old.photo_md5:
            self._source.check()
            os.close(self._source.open(task.path))  # says why
            raise NotWritten(f"The file cannot be read: {old.problem}", "unreadable", is_lasting=True)
        if old.photo_md5 != task.photo_md5 or old.size_bytes != task.size_bytes or old.mtime_ns != task.mtime_ns:
            raise NotWritten(
                "The file was changed by another program since it was scanned, and is as that left it. It is written after "
                "the next scan.",
                "changed",
            )

    # -- sidecars -----------------------------------------------------------------------------------------------------

    def _sidecars(self, task: Task) -> dict[str, str]:
        """Return the names of the file's sidecars by kind."""
        listed = self._source.list_directory(task.directory)
        return sidecars_in(name for name, _, _ in listed.files).get(task.filename, {})

    def _prepare_sidecar(self, task: Task, old: DigestResult, beside: dict[str, str]) -> Prepared:
        if not isinstance(task.change, RatingChange):
            raise NotWritten("Only ratings are written into XMP files.", "unsupported", is_lasting=True)
        stars = task.change.stars
        says = old.sidecar_rating if old.sidecar_rating is not None else old.embedded_rating
        if (says or 0) == stars:
            return self._prepared(task, old)
        sidecars = self._write_sidecar(task, task.change, old, beside.get("xmp", ""))
        return self._prepared(task, old, sidecars=sidecars)

    def _write_sidecar(self, task: Task, change: RatingChange, old: DigestResult, name: str) -> str:
        """Write the stars into the XMP file `name`, or into a new one; return the signature of all sidecars then."""
        prefix = f"{task.directory}/" if task.directory else ""
        if name:
            self._change_sidecar(task, change, old, prefix + name)
        else:
            folder, raw = self._source.folder_of(prefix + sidecar_name(task.filename))
            require_room_beside(folder, 1)
            try:
                create_beside(folder, raw, task.token, new_sidecar(change.stars))
            except FileExistsError:
                raise NotWritten("An XMP file appeared beside the photo just now; it is tried again.", "busy") from None
        listed = self._source.list_directory(task.directory)
        facts = {name: (size, mtime) for name, size, mtime in listed.files}
        return sidecar_signature(sidecars_in(facts).get(task.filename, {}), facts)

    def _change_sidecar(self, task: Task, change: RatingChange, old: DigestResult, path: str) -> None:
        is_zero_written = bool(old.embedded_rating)
        arguments = sidecar_arguments(change, is_zero_written=is_zero_written)
        listed = self._source.list_directory(task.directory)
        facts = {listed.path_of(name): (size, mtime) for name, size, mtime in listed.files}
        if path not in facts:
            raise NotWritten("The XMP file beside the photo is gone just now; it is tried again.", "busy")
        sidecar = _SidecarChange(change, arguments)
        with self._source.replacement(path, token=task.token, extension=".xmp", expected=facts[path]) as replacement:

            def read(opener: Callable[[], int]) -> DigestResult:
                return self._facts(task, partial(self._source.open, task.path), opened={"xmp": opener})

            rewrite(replacement, sidecar, old, self._tool, read, self._same_picture, keep_mtime=False, extension=".xmp")
            replacement.swap()

    # -- decoders -----------------------------------------------------------------------------------------------------

    def _facts(
        self,
        task: Task,
        opener: Callable[[], int],
        beside: dict[str, str] | None = None,
        opened: dict[str, Callable[[], int]] | None = None,
    ) -> DigestResult:
        prefix = f"{task.directory}/" if task.directory else ""
        sidecars = {kind: partial(self._source.open, prefix + name) for kind, name in (beside or {}).items()}
        params = {"zone": task.zone, "mtime_ns": task.mtime_ns, "size_bytes": task.size_bytes, "image_data": True}
        job = Job(None, task.filename, opener, params, {**sidecars, **(opened or {})})
        ((_, facts),) = self._pool.facts([job])
        return facts

    def _same_picture(self, first: Callable[[], int], second: Callable[[], int]) -> bool:
        pictures = [self._pool.preview(Job(None, "", opener), _COMPARED_EDGE_PX).picture for opener in (first, second)]
        return pictures[0] is not None and pictures[0] == pictures[1]

    # -- after a crash ------------------------------------------------------------------------------------------------

    def recover(self, task: Task, old_md5: str, new_md5: str) -> Prepared | None:
        """Put the file's folder in order after a writer died; return what is known if the new version is in its place.

        None: the file is as it was, or as another program left it. What lies under hidden names of this write is removed,
        but for a version of another program that was displaced in the instant of the crash: that is put back.
        """
        with reasons():
            folder, name = self._source.folder_of(task.path)
            folder = os.dup(folder)
            try:
                now = self._facts(task, partial(self._source.open, task.path), self._sidecars(task))
                is_new = bool(new_md5) and now.photo_md5 == new_md5
                recovered = Prepared(task, now, is_swapped=True, old_md5=old_md5)
                for hidden in hidden_versions(folder, task.family):
                    if is_new and not hidden.endswith(_NEVER_A_PHOTO):
                        facts = self._facts(task, partial(open_hidden, folder, hidden))
                        if facts.photo_md5 == old_md5:
                            self._find_way_back(recovered, folder, hidden, facts)
                        elif facts.photo_md5 not in ("", new_md5) and not facts.problem:
                            exchange_with_hidden(folder, hidden, name)
                            is_new = False
                    remove_hidden(folder, hidden)
            finally:
                os.close(folder)
        return recovered if is_new else None

    def _find_way_back(self, recovered: Prepared, folder: int, hidden: bytes, old: DigestResult) -> None:
        """Note what led to the new version, while the old one still lies under its hidden name."""
        recovered.old_rating = recovered.rating_before = old.embedded_rating or 0
        recovered.old_date = date_said(old)
        before, after = open_hidden(folder, hidden), self._source.open(recovered.task.path)
        try:
            recovered.way_back = way_between(FileBytes(before), FileBytes(after), old.photo_md5, recovered.task.base)
        finally:
            os.close(before)
            os.close(after)


@dataclass(frozen=True, slots=True)
class _SidecarChange:
    """A change of stars in an XMP file, which the facts of its photo show."""

    change: RatingChange
    words: list[str]

    def arguments(self) -> list[str]:
        return self.words

    def is_done(self, facts: DigestResult) -> bool:
        return (facts.sidecar_rating or 0) == self.change.stars

    @property
    def sentence(self) -> str:
        return self.change.sentence
