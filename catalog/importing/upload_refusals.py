"""Why uploads are refused: names that lead elsewhere, files that the library has, uploads that are over."""

from typing import Any

from catalog.importing.contents import known_contents
from catalog.importing.finished_uploads import find_finished
from catalog.models import Library, Upload
from catalog.sources.names import skipped_part
from photolala.lib.paths import escape_path

LONGEST_NAME_BYTES = 255


class UploadRefused(Exception):
    """The upload cannot be begun or go on; the text is a sentence, `code` and `status` are for programs."""

    def __init__(self, sentence: str, code: str, status: int, **members: Any) -> None:
        super().__init__(sentence)
        self.code, self.status, self.members = code, status, members


def checked_name(path: str) -> tuple[str, str]:
    """Return folder and name of a file on a device, in escaped form. Raises UploadRefused for a path that leads elsewhere."""
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")]
    try:
        cleaned = [escape_path(part.encode()) for part in parts]
    except UnicodeEncodeError:
        cleaned = []
    if not cleaned or ".." in parts or "\0" in path or len(path) > 2000:
        raise UploadRefused("The file needs a name, and its path must not lead out of the folder.", "bad_name", 400)
    if any(len(part.encode()) > LONGEST_NAME_BYTES for part in parts):
        raise UploadRefused("A name in the file's path is longer than 255 bytes.", "bad_name", 400)
    skipped = skipped_part("/".join(parts))
    if skipped:
        raise UploadRefused(
            f"Hidden files, and folders of systems, are not taken: no scan would see it because of “{skipped}”. Nothing was "
            "kept; send it under another name.",
            "hidden",
            422,
        )
    return "/".join(cleaned[:-1]), cleaned[-1]


def refuse_known(library: Library, md5: str) -> None:
    """Raise UploadRefused if the library, or its trash, has a file with this MD5; an empty one is not looked up."""
    if not md5:
        return
    known = known_contents(library, [md5]).get(md5)
    if known is None:
        return
    sentence = f"The library has this file already: {known.path}."
    if known.is_in_trash:
        sentence = f"It was deleted here and is in the trash ({known.path}); restore it there if you want it."
    raise UploadRefused(
        sentence, "duplicate", 422, photo_id=str(known.photo) if known.photo else None, state=known.state
    )


def complete() -> UploadRefused:
    """Return why nothing more can be sent of a file that has arrived whole."""
    return UploadRefused("The file has arrived whole, and is imported or will be.", "complete", 409)


def gone(upload: Upload) -> UploadRefused:
    """Return why an upload that was just there cannot be continued: it was taken in meanwhile, or removed."""
    if find_finished(upload.user, upload.pk) is not None:
        return complete()
    return UploadRefused("What was sent of this file is gone; begin again.", "gone", 410)
