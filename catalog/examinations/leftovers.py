"""Examine what processes that died left: hidden files beside the photos, working folders, files that were sent."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from catalog.cache.rebuild_folders import abandoned_work
from catalog.files.trash_strays import adopt_hidden
from catalog.models import FileWrite, Library, Photo, Upload
from catalog.roots.reach import hold_root, source_for
from catalog.roots.root_check import require_root
from catalog.roots.trash_folder import TAKEN, opened
from catalog.sources.base import SourceUnavailable
from catalog.sources.held_root import HeldRoot
from catalog.sources.hidden import PREFIX
from catalog.sources.placing import content_of
from operations.models import ACTIVE, Operation
from operations.progress import Progress, quietly
from operations.templatetags.figures import counted
from photolala.lib.files import remove_if_there
from photolala.lib.paths import escape_path, join_path, unescape_path

from .findings import Finding, warning

DAY_SECONDS = 24 * 3600.0
QUIET_SECONDS = 600.0
"""Where nothing is at work, so much younger things are left over, too."""
MOST_FOLDERS = 5_000
ARRIVED = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Hidden:
    """A hidden file of Photolala's beside the photos."""

    directory: str
    name: str
    size_bytes: int

    @property
    def is_temporary(self) -> bool:
        """True if it holds nothing but a part of a snapshot or pointer."""
        return self.name.startswith(".photolala.") and self.name.endswith(".tmp")


def examine_leftovers(*, full: bool = False, heal: bool = False, progress: Progress = quietly) -> Iterator[Finding]:
    """Yield what is left of work that broke off. Only what nobody works on, and that is old enough.

    With `heal`, what is certainly a copy is removed, and what may be an only one goes into the library's trash, from where it
    can be brought back. Looks into 5,000 folders of a library, with `full` into all.
    """
    for library in progress(
        Library.objects.filter(source="local").order_by("name", "pk").iterator(), "Examining folders"
    ):
        try:
            with closing(source_for(library)) as source:
                require_root(library, source)
            held = hold_root(library)
        except SourceUnavailable:
            continue  # the examination of the libraries says so
        with held:
            yield from _hidden(library, held, full=full, heal=heal)
    yield from _working(heal=heal)
    yield from _sent()


def _hidden(library: Library, held: HeldRoot, *, full: bool, heal: bool) -> Iterator[Finding]:
    found, is_all = find_hidden(library, held, full=full)
    if not found:
        return
    names = ", ".join(join_path(one.directory, one.name) for one in found[:3])
    finding = warning(
        "leftover.hidden",
        f"{counted(len(found), 'hidden file,hidden files')} of work that broke off are in the folders of “{library.name}”"
        f"{'' if is_all else ' (of the first folders; --full looks at all)'}: {names}{', …' if len(found) > 3 else ''}.",
        "`manage.py doctor --heal` removes those that are certainly copies, and puts the others into the trash.",
    )
    if heal:
        removed = kept = 0
        problems = []
        for one in found:
            try:
                if _is_copy(library, held, one):
                    with opened(held.descriptor, one.directory) as folder:
                        remove_if_there(f"/proc/self/fd/{folder}/".encode() + unescape_path(one.name))
                    removed += 1
                elif adopt_hidden(library, held.descriptor, one.directory, one.name):
                    kept += 1
            except OSError as failure:
                problems.append(f"{one.name}: {failure.strerror or failure}")
        text = f"{removed:,} removed, {kept:,} put into the trash."
        if problems:
            finding.advice = f"{text} Not: {'; '.join(problems[:3])}. Give Photolala's user the right to write."
        else:
            finding.healed = text
    yield finding


def find_hidden(library: Library, held: HeldRoot, *, full: bool) -> tuple[list[Hidden], bool]:
    """Return Photolala's hidden files below a root that nobody works on, and whether all folders were looked at."""
    oldest = time.time() - (DAY_SECONDS if _is_at_work(library) else QUIET_SECONDS)
    found: list[Hidden] = []
    for count, (path, folders, files, folder) in enumerate(
        os.fwalk(b".", dir_fd=held.descriptor, follow_symlinks=False)
    ):
        if count >= MOST_FOLDERS and not full:
            return found, False
        folders[:] = [name for name in folders if not name.startswith(b".")]
        for name in files:
            text = escape_path(name)
            if not text.startswith((PREFIX, TAKEN)) and not (text.startswith(".photolala.") and text.endswith(".tmp")):
                continue
            try:
                facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except OSError:
                continue
            if facts.st_ctime < oldest:  # the time of a version that was exchanged may be years ago
                found.append(Hidden(escape_path(path.removeprefix(b".").lstrip(b"/")), text, facts.st_size))
    return found, True


def _is_at_work(library: Library) -> bool:
    """True if anything is under way that writes into this library's folder."""
    params = Operation.objects.filter(state__in=ACTIVE).values_list("params", flat=True)
    if any(str(library.pk) in (one.get("library"), *one.get("libraries", ())) for one in params):
        return True
    return FileWrite.objects.filter(library=library, state=FileWrite.State.WRITING).exists()


def _is_copy(library: Library, held: HeldRoot, one: Hidden) -> bool:
    """Whether a hidden file holds nothing that is not elsewhere: nothing at all, or what a photo of the library holds."""
    if one.is_temporary or not one.size_bytes:
        return True
    with opened(held.descriptor, one.directory) as folder:
        found = content_of(folder, unescape_path(one.name))
    if found is None:
        return True
    same = Photo.objects.filter(library=library, photo_md5=found[1]).exclude(state=Photo.State.MISSING)
    for photo in same[:10]:
        try:
            with opened(held.descriptor, photo.directory) as folder:
                there = content_of(folder, unescape_path(photo.filename))
        except OSError:
            continue
        if there is not None and there[1] == found[1]:
            return True
    return False


def _working(*, heal: bool) -> Iterator[Finding]:
    """Yield whether working folders are there that no process uses."""
    folder = Path(settings.DATA_DIR) / "working"
    quiet = not Operation.objects.filter(state__in=ACTIVE).exists()
    oldest = time.time() - (QUIET_SECONDS if quiet else DAY_SECONDS)
    if not folder.is_dir():
        return
    over = abandoned_work()
    mine = [path for path in folder.iterdir() if path in over or not path.name.startswith("rebuild-of-")]
    left = [path for path in mine if _changed_at(path) < oldest]
    if not left:
        return
    finding = warning(
        "leftover.working",
        f"{counted(len(left), 'working folder,working folders')} of work that broke off are left in {folder}. They hold "
        "copies only, and take space.",
        "`manage.py doctor --heal` removes them.",
    )
    if heal:
        for path in left:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        if not any(path.exists() for path in left):
            finding.healed = "They were removed."
    yield finding


def _changed_at(path: Path) -> float:
    """Return when something in a folder was last changed."""
    try:
        inner = [entry.stat(follow_symlinks=False).st_mtime for entry in os.scandir(path)] if path.is_dir() else []
        return max([path.lstat().st_mtime, *inner])
    except OSError:
        return time.time()


def _sent() -> Iterator[Finding]:
    """Yield whether files that were sent are there and nobody takes them in, or rows tell of files that are gone."""
    arrived, lost = [], []
    for upload in Upload.objects.filter(completed_at=None, created_at__lt=timezone.now() - ARRIVED):
        staged = Path(settings.UPLOADS_DIR) / str(upload.user_id) / str(upload.pk)
        try:
            facts = staged.stat()
        except FileNotFoundError:
            lost.append(upload)
            continue
        if facts.st_size >= upload.size_bytes and facts.st_mtime < time.time() - ARRIVED.total_seconds():
            arrived.append(upload)
    if arrived:
        yield warning(
            "upload.arrived",
            f"{counted(len(arrived), 'file,files')} that arrived whole wait to be taken into their import.",
            "A worker does it within minutes (`make run` starts one). They are kept until then.",
        )
    if lost:
        yield warning(
            "upload.lost",
            f"The bytes of {counted(len(lost), 'file,files')} that are being sent are gone from {settings.UPLOADS_DIR}.",
            "Whoever sends them begins anew; nothing was removed from there.",
        )
    known = set(Upload.objects.values_list("pk", flat=True))
    strays = [path for path in Path(settings.UPLOADS_DIR).glob("*/*") if _is_stray(path, known)]
    if strays:
        yield warning(
            "upload.without_row",
            f"{counted(len(strays), 'file,files')} in {settings.UPLOADS_DIR} belong to no upload that is known.",
            "They were imported, or their library or person is gone; the schedule removes them a day after they came. Copy "
            "away what you want to keep.",
        )


def _is_stray(path: Path, known: set[UUID]) -> bool:
    try:
        return UUID(path.name) not in known and path.stat().st_mtime < time.time() - DAY_SECONDS
    except (ValueError, OSError):
        return False
