"""The partial folders of catalog exports: one for each run, named with its token; taken over, or removed."""

from contextlib import suppress

from exports.formats.sink import PARTIAL_PREFIX, give_up_partial, remove_partial
from exports.models import Export

from .finished import ListedFiles


def partial_name(export: Export, token: int) -> str:
    """Return what follows `.partial-` in the name of the folder in which the run with that token works."""
    return f"{export.pk}-{token}"


def take_over_partial(export: Export, token: int) -> ListedFiles | None:
    """Give the folder of the latest earlier run that can be continued the name of this run; return what is listed in it.

    A run that was frozen and wakes finds no folder of its name: it can neither add to this one nor publish it.
    """
    prefix = f"{PARTIAL_PREFIX}{export.pk}-"
    tokens = (folder.name.removeprefix(prefix) for folder in export.parent_folder.glob(f"{prefix}*"))
    for earlier in sorted((int(text) for text in tokens if text.isdecimal() and int(text) < token), reverse=True):
        own = export.parent_folder / f"{PARTIAL_PREFIX}{partial_name(export, token)}"
        with suppress(OSError):  # another run has taken it
            (export.parent_folder / f"{PARTIAL_PREFIX}{partial_name(export, earlier)}").rename(own)
            listed = ListedFiles.read(own)
            if listed is not None:
                return listed
            give_up_partial(own)
    return None


def remove_partials(export: Export, *, before: int | None = None) -> None:
    """Delete what earlier runs of `export` left unfinished: those whose token is less than `before`, or all.

    A folder loses its name first: a run that was frozen and wakes finds nothing that it could publish.
    """
    for folder in export.parent_folder.glob(f"{PARTIAL_PREFIX}{export.pk}*"):
        token = folder.name.removeprefix(f"{PARTIAL_PREFIX}{export.pk}-")
        if before is not None and token.isdecimal() and int(token) >= before:
            continue
        if token.isdecimal():
            give_up_partial(folder)
        else:
            remove_partial(folder)


def remove_export_files(export: Export) -> bool:
    """Delete the files of an export, whole or partial; return whether it had any. OSError if they cannot be.

    The folder loses its name first, so that one deleted in part never looks complete.
    """
    doomed = export.parent_folder / f"{PARTIAL_PREFIX}{export.pk}-deleted"
    was_there = export.folder.is_dir()
    if was_there:
        remove_partial(doomed)
        export.folder.rename(doomed)
    remove_partials(export)
    return was_there
