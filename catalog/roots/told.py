"""Where a library's folder is, only its owner is told: texts for everybody else name it in words."""

from typing import Any
from uuid import UUID

from accounts.models import User
from catalog.models import Import, Library, Photo
from operations.models import Operation
from operations.running import Words, words_for_owners
from photolala.lib.hiding import hide_folder

THE_FOLDER = "the library's folder"
THE_SOURCE = "the folder that is imported"


def told(library: Library, user: User, value: Any) -> Any:
    """Return `value` (text, lists and dictionaries of texts) as `user` may read it."""
    return value if library.owner_id == user.pk else hide_folder(value, library.root, THE_FOLDER)


def told_of_import(wanted: Import, user: User, value: Any) -> Any:
    """The same for what is said of an import, whose source only the one who began it is told."""
    if wanted.kind != Import.Kind.UPLOAD and wanted.source.startswith("/") and wanted.user_id != user.pk:
        value = hide_folder(value, wanted.source, THE_SOURCE)
        if wanted.kind == Import.Kind.ARCHIVE:
            value = hide_folder(value, wanted.source.rpartition("/")[0], THE_SOURCE)
    return told(wanted.library, user, value)


def source_for_eyes_of(wanted: Import, user: User) -> str:
    """Return what an import reads, for a user who sees it: to others than who began it, the last name alone."""
    is_path = wanted.source.startswith("/") and wanted.user_id != user.pk
    return wanted.source.rstrip("/").rpartition("/")[2] if is_path else wanted.source


@words_for_owners
def words_of_library(operation: Operation) -> Words | None:
    """Return how to say what an operation of somebody else's library says, as its owner at that time may read it."""
    library = _library_of(operation)
    if library is None or library.owner_id == operation.owner_id:
        return None
    return lambda value: hide_folder(value, library.root, THE_FOLDER)


def _library_of(operation: Operation) -> Library | None:
    params = operation.params
    if photo := _id(params.get("photo")):
        return _of_photo(photo)
    key = _id(params.get("library"))
    return Library.objects.filter(pk=key).only("root", "owner").first() if key else None


def _of_photo(photo: UUID) -> Library | None:
    found = Photo.objects.filter(pk=photo).select_related("library").first()
    return found.library if found else None


def _id(value: Any) -> UUID | None:
    try:
        return UUID(str(value)) if value else None
    except ValueError:
        return None
