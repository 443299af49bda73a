"""Which folders of the server a person may choose, and which overlap with a library."""

import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from django.conf import settings

from accounts.models import User
from catalog.models import Library
from catalog.roots.taken_folders import Place, TakenFolders, of_others
from photolala.lib.paths import escape_path, unescape_path
from photolala.lib.roots import allowed_roots, is_within

MOST_CHOICES = 2_000
_NO_ROOTS = (
    "No folder of this server may become a library yet. The administrator names such folders in PHOTOLALA_ROOTS. "
    "Nothing was changed."
)
NOT_ALLOWED = (
    "That folder is not free, or not among those that may become libraries. Choose another one below the folders that the "
    "administrator named in PHOTOLALA_ROOTS. Nothing was changed."
)
"""Said of whatever is not allowed and of whatever others have: the two are not to be told apart."""
NOT_TO_BE_READ = (
    "That folder cannot be read for you: it is not free, or not among those that may be imported. Choose another one below "
    "the folders that the administrator named in PHOTOLALA_ROOTS. Nothing was changed."
)
"""The same of a folder to import from."""


class LibraryRefused(Exception):
    """The folder, name or member is not possible; the text is a sentence for the person who asked.

    `for_operator` says what is in the way, where the person who asked may not know it.
    """

    def __init__(self, sentence: str, for_operator: str = "") -> None:
        super().__init__(sentence)
        self.for_operator = for_operator

    @property
    def operators_sentence(self) -> str:
        """The sentence for who has the server's shell, and so may know all of it."""
        return f"{self} In the way: {self.for_operator}." if self.for_operator else str(self)


@dataclass(frozen=True)
class FolderChoice:
    """One folder in the chooser; paths are absolute and in escaped form."""

    name: str
    path: str
    note: str = ""
    is_library: bool = False


@dataclass(frozen=True)
class FolderChoices:
    """What the chooser shows: the open folder ("" for the list of roots), the way to it, and what is in it."""

    folder: str
    crumbs: list[FolderChoice] = field(default_factory=list)
    folders: list[FolderChoice] = field(default_factory=list)
    is_cut: bool = False
    """There are more than 2,000 folders; the first of them are listed."""


def folder_choices(user: User, folder: str | None) -> FolderChoices:
    """Return the folders that `user` may choose from: the roots, or what is in `folder`. Raises LibraryRefused.

    Hidden folders, links, and the libraries of others are not among them.
    """
    roots = allowed_roots(settings.PHOTO_ROOTS, user.get_username())
    taken = TakenFolders()
    mine = {one.place: one.name for one in taken.all if one.kind == "library" and one.owner_id == user.pk}
    others = {one.place for one in taken.all if one.owner_id != user.pk}
    if not folder:
        shown = [root for root in roots if of_others(user, taken.holding(root)) is None]
        return FolderChoices("", [], [_choice(root, str(root), mine) for root in dict.fromkeys(shown)])
    real = checked_folder(user, folder)
    found = []
    with os.scandir(real) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                path = real / entry.name
                if path not in others:
                    found.append(_choice(path, entry.name, mine))
    found.sort(key=lambda choice: (choice.name.casefold(), choice.name))
    above = [real, *real.parents]
    inside = [step for step in above if any(is_within(step, root) for root in roots)]
    crumbs = [_choice(step, step.name or "/", mine) for step in reversed(inside)]
    return FolderChoices(escaped(real), crumbs, found[:MOST_CHOICES], len(found) > MOST_CHOICES)


def checked_folder(user: User, folder: str, *, refusal: str = NOT_ALLOWED) -> Path:
    """Return the real path of a folder that `user` may use: below the roots, and nothing that others or the server have.

    What is refused for that is never looked at, and gets one sentence (`refusal`), whatever is there. It may still hold
    something of others; `refuse_overlap` and `refuse_foreign` say so.
    """
    roots = allowed_roots(settings.PHOTO_ROOTS, user.get_username())
    if not roots:
        raise LibraryRefused(_NO_ROOTS)
    given, real = _paths_of(folder)
    foreign = of_others(user, TakenFolders().holding(*given, *([real] if real else [])))
    if real is None or foreign is not None or not any(is_within(real, root) for root in roots):
        raise LibraryRefused(refusal, foreign.words if foreign else "")
    name = escaped(real)
    if not real.exists():
        raise LibraryRefused(f"There is no folder {name}. Is its disk or share mounted? Nothing was changed.")
    if not real.is_dir():
        raise LibraryRefused(
            f"{name} is a file, not a folder. Choose the folder that contains it. Nothing was changed."
        )
    try:
        with os.scandir(real) as entries:
            next(entries, None)
    except OSError as error:
        raise LibraryRefused(
            f"Photolala cannot read the folder {name}: {error.strerror}. Give its user the right to, then try again. "
            "Nothing was changed."
        ) from None
    return real


def _paths_of(folder: str) -> tuple[list[Path], Path | None]:
    """Return the absolute paths that `folder` may name, and what is there with links resolved.

    Escaped text comes first, then the very characters.
    """
    candidates: list[bytes] = []
    try:
        candidates.append(unescape_path(folder))
    except ValueError:
        pass  # not in escaped form: then it is meant as it is
    try:
        candidates.append(os.fsencode(folder))
    except UnicodeEncodeError:
        pass  # no file name at all; refused below unless the escaped form made sense
    paths = [raw for raw in candidates if raw.startswith(b"/") and b"\0" not in raw]
    given = [Path(os.fsdecode(os.path.normpath(raw))) for raw in paths]
    for raw in paths:
        if os.path.lexists(raw):
            return given, _resolved(raw)
    return given, _resolved(paths[0]) if paths else None


def _resolved(raw: bytes) -> Path | None:
    try:
        return Path(os.fsdecode(os.path.realpath(raw)))
    except (OSError, ValueError):
        return None


def refuse_overlap(user: User, real: Path, *, besides: Library | None = None) -> None:
    """Raise LibraryRefused if a library in the folder would overlap with what is taken, `besides` the given library.

    Of one's own, libraries and destinations are in the way; a folder that one is importing from may become a library.
    """
    found = [one for one in TakenFolders().overlapping(real) if besides is None or one.key != besides.pk]
    foreign = of_others(user, found)
    for taken in found:
        if taken.owner_id != user.pk or not isinstance(taken.place, Path):
            continue
        if taken.kind == "library":
            raise LibraryRefused(_overlap_sentence(real, taken.place, taken.name))
        if taken.kind == "destination" and foreign is None:
            raise LibraryRefused(
                f"That folder overlaps with your export destination “{taken.name}”: what is exported there would be taken "
                "for new photos. Choose another one, or forget that destination first. Nothing was changed."
            )
    if foreign is not None:
        # Whose it is, and that it is a library at all, is not this user's business.
        raise LibraryRefused(NOT_ALLOWED, foreign.words)


def _overlap_sentence(real: Path, root: Path, name: str) -> str:
    if root == real:
        return f"That folder is the library “{name}” already. Nothing was changed."
    if is_within(real, root):
        return f"That folder is in the library “{name}” already. Nothing was changed."
    return (
        f"The library “{name}” is in that folder, and a photo can be in one library only. Choose another "
        "folder, or forget that library first. Nothing was changed."
    )


def refuse_foreign(user: User, real: Path, *, before: datetime | None = None) -> None:
    """Raise LibraryRefused if the folder overlaps with what others have, or the server; with `before` had at that time."""
    foreign = of_others(user, TakenFolders().overlapping(real), before=before)
    if foreign is not None:
        raise LibraryRefused(NOT_TO_BE_READ, foreign.words)


def _choice(path: Path, name: str, mine: dict[Place, str]) -> FolderChoice:
    note = f"the library “{mine[path]}”" if path in mine else ""
    return FolderChoice(escape_path(os.fsencode(name)), escaped(path), note, path in mine)


def escaped(path: Path) -> str:
    """Return a path as rows and people have it: in escaped form."""
    return escape_path(os.fsencode(path))
