"""Examine the trash of the libraries: that each file in it has its row and each row its file, and that nothing is half-way."""

from collections.abc import Iterator
from contextlib import closing

from catalog.entries.counts import refresh_counts
from catalog.files.trash_audit import count_abandoned, items_without_files, settle
from catalog.files.trash_strays import adopt
from catalog.models import Library, TrashItem
from catalog.roots import trash_folder
from catalog.roots.reach import hold_root, source_for
from catalog.roots.root_check import require_root
from catalog.roots.trash_folder import strays_in
from catalog.sources.base import SourceUnavailable
from catalog.sources.held_root import HeldRoot
from operations.models import ACTIVE, Operation
from operations.progress import Progress, quietly
from operations.templatetags.figures import counted

from .findings import Finding, warning

MOST_NAMED = 5
_FILES = "file,files"
_PHOTOS = "deleted photo,deleted photos"
State = TrashItem.State


def examine_trash(*, heal: bool = False, progress: Progress = quietly) -> Iterator[Finding]:
    """Yield what is wrong in the trash of each library in a folder that is there.

    With `heal`, files without rows get rows again, and what a process that died left half-way is settled. Nothing is
    deleted.
    """
    libraries = Library.objects.filter(source="local").order_by("name", "pk")
    for library in progress(libraries.iterator(), "Examining the trash"):
        yield from _unfinished(library, heal=heal)
        yield from _never_deleted(library)
        try:
            with closing(source_for(library)) as source:
                require_root(library, source)
            held = hold_root(library)
        except SourceUnavailable:
            continue  # the examination of the libraries says so
        with held:
            yield from _without_rows(library, held, heal=heal)
            yield from _without_files(library, held)


def _unfinished(library: Library, *, heal: bool) -> Iterator[Finding]:
    left = count_abandoned(library)
    if not left:
        return
    finding = warning(
        "trash.unfinished",
        f"{counted(left, 'photo,photos')} of “{library.name}” stopped on the way into the trash, back, or into another folder: "
        "the process that moved them is gone.",
        "Wait some minutes while a worker runs, or run `manage.py doctor --heal`.",
    )
    if heal:
        settle(library)
        if not count_abandoned(library):
            finding.healed = "It was written down where each of them is."
    yield finding


def _never_deleted(library: Library) -> Iterator[Finding]:
    deleting = TrashItem.objects.filter(library=library, state=State.DELETING).count()
    if deleting and not Operation.objects.filter(active_key=f"trash:{library.pk}", state__in=ACTIVE).exists():
        yield warning(
            "trash.deleting",
            f"{counted(deleting, _PHOTOS)} of “{library.name}” were to be deleted for good, and nobody is at it.",
            "Retry the emptying on the operations page, or empty the trash again.",
        )


def _without_rows(library: Library, held: HeldRoot, *, heal: bool) -> Iterator[Finding]:
    """Yield whether files are in the trash that no row knows."""
    try:
        strays = strays_in(held.descriptor)
    except OSError as failure:
        yield warning(
            "trash.unreadable",
            f"The trash of “{library.name}” cannot be read: {failure.strerror or failure}.",
            "Give Photolala's user the right to read it.",
        )
        return
    files = sum(len(stray.names) for stray in strays)
    if not files:
        for stray in strays if heal else ():
            adopt(library, held.descriptor, stray)  # an empty folder
        return
    finding = warning(
        "trash.without_row",
        f"{counted(files, _FILES)} in {trash_folder.FOLDER} of “{library.name}” are known to no row, so they can be neither "
        "brought back nor emptied.",
        "`manage.py doctor --heal` puts them on the trash page again.",
    )
    if heal:
        problems = []
        adopted = 0
        for stray in strays:
            try:
                adopted += len(adopt(library, held.descriptor, stray))
            except OSError as failure:
                problems.append(f"{stray.folder}: {failure.strerror or failure}")
        refresh_counts(library)
        text = f"{counted(adopted, _PHOTOS)} can be brought back on the trash page again."
        if problems:
            finding.advice = (
                f"{text} Not: {'; '.join(problems[:MOST_NAMED])}. Give Photolala's user the right to write."
            )
        else:
            finding.healed = text
    yield finding


def _without_files(library: Library, held: HeldRoot) -> Iterator[Finding]:
    """Yield whether rows tell of files in the trash that are not there."""
    lost = items_without_files(library, held)
    if lost:
        names = ", ".join(item.path for item in lost[:MOST_NAMED])
        more = ", …" if len(lost) > MOST_NAMED else ""
        yield warning(
            "trash.without_file",
            f"{counted(len(lost), _PHOTOS)} of “{library.name}” should be in {trash_folder.FOLDER}, and are not: "
            f"{names}{more}. Somebody moved or removed the files.",
            "If you have them elsewhere, copy them back into the library: the next scan knows them again. Restoring them on "
            "the trash page takes them off its list.",
        )
