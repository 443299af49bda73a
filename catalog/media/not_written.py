"""Why a file was not written: sentences for people, codes for programs."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from catalog.sources.base import FileChanged, NotARegularFile
from catalog.sources.replacing import FileBusy, HasOtherNames


class NotWritten(Exception):
    """The file is as it was; the text is a sentence that says why, `code` says it to programs.

    `is_lasting` means that trying again later is of no use unless a person does something.
    """

    def __init__(self, sentence: str, code: str, *, is_lasting: bool = False) -> None:
        super().__init__(sentence)
        self.code = code
        self.is_lasting = is_lasting


def reason_of(error: OSError) -> NotWritten:
    """Return the sentence for an error of the file system before or while a new version takes its place."""
    as_it_was = "The photo is as it was."
    if isinstance(error, FileChanged):
        return NotWritten(
            f"The file was changed by another program. {as_it_was} A scan reads it anew first.", "changed"
        )
    if isinstance(error, FileBusy):
        return NotWritten(f"Another program is writing the file just now. {as_it_was} It is tried again.", "busy")
    if isinstance(error, HasOtherNames):
        return NotWritten(
            f"{error.strerror}: the others would go on showing the old version. {as_it_was} Choose XMP files beside the photos "
            "in the library's settings to have it kept in a file.",
            "hard_links",
            is_lasting=True,
        )
    if isinstance(error, NotARegularFile):
        return NotWritten(f"{error.strerror}. {as_it_was}", "not_a_file", is_lasting=True)
    if isinstance(error, FileNotFoundError):
        return NotWritten(
            "The file is not in its place. A scan will find it if it was moved; then it is tried again.", "file_gone"
        )
    if error.errno == errno.EROFS:
        return NotWritten("The folder is mounted read-only. What was to be written waits until it is not.", "read_only")
    if error.errno in (errno.EACCES, errno.EPERM):
        return NotWritten(
            "Photolala's user may not write into the folder. What was to be written waits until it may.", "read_only"
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return NotWritten(f"The disk is full. {as_it_was} It is tried again when there is room.", "no_space")
    return NotWritten(
        f"The file system answered: {error.strerror or error}. {as_it_was} It is tried again.", "io_error"
    )


@contextmanager
def reasons() -> Iterator[None]:
    """Turn the file system's errors into NotWritten."""
    try:
        yield
    except OSError as error:
        raise reason_of(error) from error
