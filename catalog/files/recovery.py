"""After a writer died, or was only slow: find out what it had done with a file, and put the file's folder in order.

What it left under hidden names is renamed first: from then on it can put nothing into the file's place any more. Only then
the file is looked at.
"""

import os
from dataclasses import dataclass, replace
from functools import partial

from catalog.entries.folder_comparison import sidecar_signature
from catalog.files.intents import listed
from catalog.files.prepared import Prepared, Task
from catalog.files.writer import FileWriter
from catalog.media.delta import FileBytes
from catalog.media.file_changes import embedded_place
from catalog.media.not_written import NotWritten, reasons
from catalog.media.results import DigestResult
from catalog.media.rewriting import way_between
from catalog.media.tag_changes import date_said
from catalog.sources.hidden import (
    OF_SIDECARS,
    HiddenVersions,
    exchange_with_hidden,
    md5_of_file,
    open_hidden,
    remove_hidden,
    take_aside,
)
from catalog.sources.kinds import sidecars_in


class NotRecovered(NotWritten):
    """What the writer had done could not be found out now; all that it left is still there."""


@dataclass(frozen=True, slots=True)
class Announced:
    """The versions that the writer noted before it let them take their places: MD5s of the file and of its XMP file."""

    old_md5: str = ""
    new_md5: str = ""
    xmp_old_md5: str = ""
    xmp_new_md5: str = ""


@dataclass(frozen=True, slots=True)
class Recovered:
    """`prepared` if the announced version of the file is in its place, to be told to the catalog; else the file is as it
    was, or as another program left it. `sidecars` is their signature if the announced XMP file is in its place.
    """

    prepared: Prepared | None = None
    sidecars: str | None = None


def recover(writer: FileWriter, task: Task, announced: Announced) -> Recovered:
    """Find out what earlier claims did with the task's file, and clear up after them. Raises NotRecovered.

    Versions of other programs that were displaced in the instant of the crash are put back. The old version stays under
    its hidden name until `prepared` is closed, so that the undo delta is not lost if this process dies, too.
    """
    try:
        with reasons():
            folder, name = writer.source.folder_of(task.path)
            folder = os.dup(folder)
            try:
                return _Recovery(writer, task, announced, folder, name).run()
            finally:
                os.close(folder)
    except NotWritten as reason:
        raise NotRecovered(str(reason), reason.code, is_lasting=reason.is_lasting) from reason


class _Recovery:
    """One file whose folder is open."""

    def __init__(self, writer: FileWriter, task: Task, announced: Announced, folder: int, name: bytes) -> None:
        self.writer, self.task, self.announced = writer, task, announced
        self.folder, self.name = folder, name

    def run(self) -> Recovered:
        hidden = take_aside(self.folder, self.task.family, self.task.claim)
        beside = [one for one in hidden if one.endswith(OF_SIDECARS)]
        sidecars = self._settle_sidecar(beside)
        prepared = self._settle_file([one for one in hidden if one not in beside], sidecars)
        return Recovered(prepared, sidecars)

    # -- the file -----------------------------------------------------------------------------------------------------

    def _settle_file(self, hidden: list[bytes], sidecars: str | None) -> Prepared | None:
        new_md5 = self.announced.new_md5
        now = self._facts_in_place() if new_md5 else None
        if now is None or now.photo_md5 != new_md5:
            self._remove(hidden)
            return None
        task = self.task.keeping(now)
        prepared = Prepared(task, now, is_recovered=True, old_md5=self.announced.old_md5, sidecars=sidecars)
        for one in hidden:
            facts = self.writer.facts(task, partial(open_hidden, self.folder, one), self.writer.sidecars(task))
            if facts.photo_md5 == self.announced.old_md5:
                prepared = self._with_undo_delta(prepared, one, facts)
            elif facts.photo_md5 not in ("", new_md5) and not facts.problem:
                self._put_back(one)
                self._remove(hidden)
                return None
        prepared.leftover = HiddenVersions(self.folder, hidden)
        return prepared

    def _facts_in_place(self) -> DigestResult:
        task, source = self.task, self.writer.source
        now = self.writer.facts(task, partial(source.open, task.path), self.writer.sidecars(task))
        if not now.photo_md5:
            os.close(source.open(task.path))  # says why
        return now

    def _with_undo_delta(self, prepared: Prepared, hidden: bytes, old: DigestResult) -> Prepared:
        """Note what led to the new version, while the old one still lies under its hidden name."""
        way = self.task.way
        if way and way.md5 == self.announced.new_md5:  # it was an undo delta itself
            way = None
        before, after = open_hidden(self.folder, hidden), self.writer.source.open(self.task.path)
        try:
            delta = way.delta if way else None
            back = way_between(FileBytes(before), FileBytes(after), old.photo_md5, delta)
        finally:
            os.close(before)
            os.close(after)
        stars, caption = old.embedded_rating or 0, old.caption
        return replace(
            prepared,
            undo_delta=back,
            way=way,
            old_rating=stars,
            rating_before=stars,
            old_date=date_said(old),
            old_caption=caption,
            caption_before=caption,
            old_keywords=old.embedded_keywords,
            keywords_before=old.embedded_keywords,
            old_place=listed(embedded_place(old)),
            place_before=listed(embedded_place(old)),
        )

    def _put_back(self, hidden: bytes) -> None:
        """Put another program's version back, unless yet another one has replaced ours meanwhile: then that stays."""
        exchange_with_hidden(self.folder, hidden, self.name)
        displaced = self.writer.facts(self.task, partial(open_hidden, self.folder, hidden))
        if displaced.photo_md5 != self.announced.new_md5:
            exchange_with_hidden(self.folder, hidden, self.name)

    # -- the sidecar --------------------------------------------------------------------------------------------------

    def _settle_sidecar(self, hidden: list[bytes]) -> str | None:
        old_md5, new_md5 = self.announced.xmp_old_md5, self.announced.xmp_new_md5
        listed = self.writer.source.list_directory(self.task.directory)
        facts = {name: (size, mtime) for name, size, mtime in listed.files}
        beside = sidecars_in(facts).get(self.task.filename, {})
        is_ours = False
        if new_md5 and "xmp" in beside:
            prefix = f"{self.task.directory}/" if self.task.directory else ""
            _, raw = self.writer.source.folder_of(prefix + beside["xmp"])
            is_ours = md5_of_file(self.folder, raw) == new_md5
            for one in hidden:
                if is_ours and md5_of_file(self.folder, one) not in ("", old_md5, new_md5):
                    exchange_with_hidden(self.folder, one, raw)
                    is_ours = False
        self._remove(hidden)
        return sidecar_signature(beside, facts) if is_ours else None

    def _remove(self, hidden: list[bytes]) -> None:
        for one in hidden:
            remove_hidden(self.folder, one)
