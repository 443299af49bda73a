"""Folders and prefixes of buckets that originals are exported to: who may have which."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts.models import User
from catalog.roots.buckets import BucketRefused, NotAllowed, allowed_bucket, require_bucket
from catalog.roots.taken_folders import (
    Place,
    Taken,
    TakenFolders,
    exports_of,
    knows_taken_folders,
    lock_taken_folders,
    of_others,
)
from catalog.sources.s3_keys import SCHEME, BucketRoot, parse_uri
from exports.ledger.placement import DEFAULT_TEMPLATE
from exports.models import ExportDestination, own_folder
from exports.refusals import ExportRefused
from photolala.lib.paths import escape_path, unescape_path
from photolala.lib.roots import allowed_roots, is_within

from .identity import OtherPlace, id_for_new, name_records
from .naming import check_template
from .transports.opening import bucket_transport

FOLDERS = "folders"
KINDS_OF_DESTINATIONS = ("export_folder", "export_selection", "verify_destination")
_OUTSIDE = (
    "That folder is not free, or not among those that you may export to. Give a plain name for a folder kept by this server, "
    "or the path of one, or s3://bucket/prefix, below what the administrator named in PHOTOLALA_ROOTS. Nothing was changed."
)
"""Said of whatever is not allowed and of whatever others have: the two are not to be told apart."""


def add_destination(user: User, name: str, folder: str, template: str) -> ExportDestination:
    """Make `folder` a destination of `user`: a plain name stands for a folder in the user's exports on this server.

    The folder is made if only its last part is missing. `s3://bucket/prefix` names a prefix of a bucket. ExportRefused.
    """
    check_template(template)
    real = check_folder(user, folder)
    if isinstance(real, BucketRoot):
        return _add_prefix(user, name, real, template)
    title = (name.strip() or real.name)[:200]
    with _NamingTheFolder(real):
        real.mkdir(parents=is_within(real, own_folder(user.pk).resolve()), exist_ok=True)
    if not os.access(real, os.W_OK | os.X_OK):
        raise ExportRefused(f"Photolala may not write to {_text(real)}. Give its user the right to, then try again.")
    return create_destination(user, title, real, template)


def destination_for_command(user: User, folder: Path) -> ExportDestination:
    """Return the destination at `folder` that `user` has, made if there is none. Raises ExportRefused.

    The operator of the server may name any folder, but not another user's destination, nor one in a library.
    """
    real = Path(os.path.realpath(folder))
    known = ExportDestination.objects.filter(folder=_text(real)).first()
    if known is not None:
        if known.owner_id != user.pk:
            raise ExportRefused(f"{_text(real)} is a destination of another user. Choose another folder.")
        return known
    _refuse_taken(user, real)
    with _NamingTheFolder(real):
        real.mkdir(parents=True, exist_ok=True)
    return create_destination(user, real.name or "/", real, DEFAULT_TEMPLATE)


def prefix_for_command(user: User, uri: str) -> ExportDestination:
    """Return the destination at the prefix `uri` that `user` has, made if there is none; else as `destination_for_command`."""
    try:
        root = parse_uri(uri)
    except ValueError as error:
        raise ExportRefused(f"{error} Nothing was changed.") from None
    known = ExportDestination.objects.filter(folder=root.uri).first()
    if known is not None and known.owner_id != user.pk:
        raise ExportRefused(f"{root.uri} is a destination of another user. Choose another prefix.")
    if known is not None:
        return known
    _refuse_taken(user, root)
    return _add_prefix(user, "", root, DEFAULT_TEMPLATE)


def check_folder(user: User, folder: str, *, but: ExportDestination | None = None) -> Place:
    """Return the real path, or prefix, that `folder` means if `user` may export to it (`but`: the destination that has it).

    What somebody took after that destination was made is not in its way: it is the later one that should not be.
    """
    if not folder.strip() or "\0" in folder or len(folder) > 4096:
        raise ExportRefused("Name a folder. Nothing was changed.")
    if folder.strip().startswith(SCHEME):
        return _check_prefix(user, folder.strip(), but)
    if not folder.startswith("/"):
        if "/" in folder or folder in (".", "..") or folder.startswith("."):
            raise ExportRefused(_OUTSIDE)
        folder = str(own_folder(user.pk) / FOLDERS / folder.strip())
    try:
        raw = unescape_path(folder)
    except ValueError:
        raw = os.fsencode(folder)
    real = Path(os.fsdecode(os.path.realpath(raw)))
    own = exports_of(user.pk)
    roots = allowed_roots(settings.PHOTO_ROOTS, user.get_username())
    is_allowed = real != own and (is_within(real, own) or any(is_within(real, root) and real != root for root in roots))
    given = Path(os.fsdecode(os.path.normpath(raw)))
    _refuse_taken(user, real, given, but=but, is_allowed=is_allowed)
    return real


def refuse_output(user: User, folder: Path) -> None:
    """Raise ExportRefused if a new folder in `folder` would be in what others have, or in the server's own."""
    real = Path(os.path.realpath(folder))
    if own_folder(user.pk).resolve() in (real, *real.parents):
        return
    foreign = of_others(user, TakenFolders().holding(real))
    if foreign is not None:
        raise ExportRefused(_OUTSIDE, for_operator=foreign.words)


def check_folder_for_command(user: User, folder: str, *, but: ExportDestination | None = None) -> Place:
    """Return the real path of `folder` for the server's operator, who may name any that nobody has. Raises ExportRefused."""
    real = Path(os.path.realpath(os.fsencode(folder).decode("utf-8", "surrogateescape")))
    _refuse_taken(user, real, but=but)
    return real


@knows_taken_folders
def folders_exported_to() -> Iterator[Taken]:
    """Yield the folders of all destinations."""
    for destination in ExportDestination.objects.select_related("owner").order_by("created_at", "pk"):
        words = f"the destination “{destination.name}” of {destination.owner.get_username()}: {destination.folder}"
        since = destination.created_at
        yield Taken(
            destination.place, "destination", words, destination.owner_id, destination.pk, destination.name, since
        )


def _refuse_taken(
    user: User, real: Place, *given: Place, but: ExportDestination | None = None, is_allowed: bool = True
) -> None:
    """Raise ExportRefused unless the folder is allowed and nobody has it; of one's own, say what is in the way."""
    is_kept_here = isinstance(real, Path) and exports_of(user.pk) in real.parents
    found = [
        one
        for one in TakenFolders().overlapping(real, *given)
        if not (one.kind == "server" and is_kept_here) and (but is None or one.key != but.pk)
    ]
    foreign = of_others(user, found, before=but.created_at if but else None)
    if foreign is not None or not is_allowed:
        raise ExportRefused(_OUTSIDE, for_operator=foreign.words if foreign else "")
    for own in found:
        if own.owner_id == user.pk and own.kind == "library":
            raise ExportRefused(
                f"That folder overlaps with your library “{own.name}”: what is exported there would be taken for new photos. "
                "Choose another one. Nothing was changed."
            )
        if own.owner_id == user.pk and own.kind == "destination":
            raise ExportRefused(
                f"That folder overlaps with your destination “{own.name}”. Choose another one. Nothing was changed."
            )


def _check_prefix(user: User, uri: str, but: ExportDestination | None) -> BucketRoot:
    """Return the prefix if it is below one that the administrator lets the user have, and nobody has it."""
    try:
        root = parse_uri(uri)
    except ValueError as error:
        raise ExportRefused(f"{error} Nothing was changed.") from None
    try:
        allowed_bucket(user.get_username(), root.uri)
    except (NotAllowed, BucketRefused):
        is_allowed = False
    else:
        is_allowed = bool(root.prefix)
    _refuse_taken(user, root, but=but, is_allowed=is_allowed)
    return root


def _add_prefix(user: User, name: str, root: BucketRoot, template: str) -> ExportDestination:
    """Make the prefix a destination if Photolala may list it and write there."""
    title = (name.strip() or root.prefix.rpartition("/")[2] or root.bucket)[:200]
    try:
        require_bucket(root)
        bucket_transport(ExportDestination(owner=user, folder=root.uri)).calls.has_conditions()
    except BucketRefused as refused:
        raise ExportRefused(str(refused)) from None
    except OSError as error:
        raise ExportRefused(
            f"Photolala cannot write to {root.uri} ({error.strerror}). Give its keys the rights to list, read and put "
            "there, then try again. Nothing was changed."
        ) from None
    return create_destination(user, title, root, template)


def create_destination(user: User, name: str, real: Place, template: str, **given: Any) -> ExportDestination:
    """Make the row of a destination whose folder or prefix was checked, if nobody took that meanwhile. Raises ExportRefused."""
    try:
        with transaction.atomic():
            lock_taken_folders()
            _refuse_taken(user, real)
            folder = real.uri if isinstance(real, BucketRoot) else _text(real)
            fields = {"with_companions": True, **given}
            if isinstance(real, Path) and "id" not in given:
                fields |= _identity(user, real)
            made = ExportDestination.objects.create(owner=user, name=name, folder=folder, template=template, **fields)
    except IntegrityError:
        raise ExportRefused(_OUTSIDE) from None
    name_records(made)
    return made


def _identity(user: User, real: Path) -> dict[str, Any]:
    """Return the id of the destination that the folder was, if it may have it again. Raises ExportRefused."""
    try:
        found = id_for_new(user.pk, real)
    except OtherPlace as other:
        raise ExportRefused(
            f"That folder is your destination “{other.destination.name}”, which was in {other.destination.folder}. On its page, "
            "say that it is here now. Nothing was changed.",
            "moved",
        ) from None
    return {"id": found.id} if found is not None else {}


class _NamingTheFolder:
    """Turns an error of the disk into a sentence that names the folder."""

    def __init__(self, real: Path) -> None:
        self._real = real

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, OSError):
            raise ExportRefused(
                f"The folder {_text(self._real)} cannot be made ({error.strerror}). Make it, or choose another one. "
                "Nothing was changed."
            ) from None


def _text(path: Path) -> str:
    return escape_path(os.fsencode(path))
