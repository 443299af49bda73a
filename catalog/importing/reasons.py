"""Why a file is not imported: a code for programs, a sentence for people, the technical part."""

import errno
from typing import NamedTuple

from django.utils import timezone

from catalog.media.results import DigestResult
from catalog.models import ImportItem
from catalog.sources.base import SourceUnavailable
from catalog.sources.kinds import MEDIA_EXTENSIONS, RAW_EXTENSIONS, extension_of
from catalog.sources.placing import BytesDiffer
from operations.running import OperationFailed

LISTED_ONLY = frozenset({"jxl", "svg", "psd", "psb", "jp2"}) | RAW_EXTENSIONS
"""Kinds of which not every file can be drawn here; that is no reason to leave one out."""


def reject(item: ImportItem, code: str, reason: str, detail: str = "") -> None:
    """Note why a file is not imported."""
    item.state, item.code, item.reason, item.detail = ImportItem.State.REJECTED, code, reason, detail[:2000]
    item.finished_at = timezone.now()


class Reason(NamedTuple):
    """Why a file is not imported: a code for programs, a sentence for people, the technical part."""

    code: str
    sentence: str
    detail: str = ""


def what_is_wrong(item: ImportItem, result: DigestResult) -> Reason | None:
    """Return why a file that was read is no photo to import; None if it is one, damaged in part or not."""
    if not result.problem or (result.damaged and result.thumbnail) or result.too_large:
        return None
    if "time limit" in result.problem:
        return Reason("timeout", "Reading it took too long.", result.problem)
    if extension_of(item.filename) in LISTED_ONLY and result.media_type:
        return None
    if not result.media_type and extension_of(item.filename) in MEDIA_EXTENSIONS:
        return Reason(
            "corrupted", "It is no picture or video that can be read, whatever its name says.", result.problem
        )
    return Reason("corrupted", "It is damaged, and nothing of it can be shown.", result.problem)


def reason_for_failure(error: OSError | None, result: DigestResult | None, *, is_writing: bool = False) -> Reason:
    """Return the reason for a file that could not be read, or put into the library."""
    where = "The folder of the library" if is_writing else "The file"
    detail = str(error or (result.problem if result else ""))
    code = error.errno if error is not None else None
    if code in (errno.ENOSPC, errno.EDQUOT):
        return Reason(
            "no_space",
            "There is no room for it on the disk. Free some, then try again. Nothing was left behind.",
            detail,
        )
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return Reason("permission", f"{where} does not let Photolala's user do this.", detail)
    if isinstance(error, BytesDiffer) or code in (errno.ENOENT, errno.ESTALE):
        return Reason("changed", "It was changed or taken away while it was being imported.", detail)
    if code == errno.ETIMEDOUT and not is_writing:
        return Reason("timeout", "Unpacking or reading it took too long.", detail)
    if code == errno.EBADMSG:
        return Reason("corrupted", "The archive is damaged at this file.", detail)
    if code in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL):
        return Reason("unsupported", "The disk of the library cannot hold a file of this name.", detail)
    if error is None and result is not None and "time limit" in result.problem:
        return Reason("timeout", "Reading it took too long.", detail)
    if error is None and result is not None and result.problem and not result.photo_md5:
        return Reason("corrupted", "It could not be read to its end.", detail)
    return Reason("unreadable", f"{where} could not be {'written' if is_writing else 'read'}.", detail)


def root_unavailable(error: SourceUnavailable) -> OperationFailed:
    """Return how an import ends whose library's folder is not there any more."""
    return OperationFailed(f"{error} What was imported stays.", "root_unavailable")
