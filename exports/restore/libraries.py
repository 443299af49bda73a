"""Libraries of a backup: added again where their folder is there and free, with their ids, so that their photos get theirs."""

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from catalog.history.adopt import FoundCatalog, free_id
from catalog.libraries import settings as library_settings
from catalog.libraries.adding import add_library
from catalog.libraries.members import set_member
from catalog.models import Library
from catalog.roots.folders import LibraryRefused, checked_folder, refuse_overlap
from catalog.scanning.requests import request_scan
from exports.bundle import layout
from exports.restore.check import moment_or_none
from exports.restore.people import Restoring
from exports.restore.plan import REPLACE
from exports.restore.report import Action, Difference
from exports.restore.spool import Record
from exports.restore.things import OF_OTHERS

_SETTINGS = {
    "ratings": "ratings",
    "fileTimes": "file_times",
    "timeZone": "time_zone",
    "scanEveryHours": "scan_every_hours",
    "verifyEveryDays": "verify_every_days",
    "isWatched": "is_watched",
    "trashDays": "trash_days",
}
_KIND = "library"
_FOLDERS = "local"


def restore_libraries(work: Restoring) -> None:
    """Compare the libraries of those who are restored, and add those that are not here. Their photos come by a scan."""
    for batch in work.checked.spool.batches(layout.LIBRARIES.name):
        for key, record in batch:
            work.report.add(_restore_one(work, key, record))
    work.people.forget_finders()


def _restore_one(work: Restoring, key: str, record: Record) -> Difference:
    name, user = record["name"], work.people.get(record["owner"])
    if user is None:
        return Difference(_KIND, key, Action.LEFT, name, reason=OF_OTHERS)
    mine = Library.objects.filter(owner=user)
    library = mine.filter(pk=key).first() or mine.filter(root=record["root"]).first()
    if library is None:
        return _add(work, key, record, user)
    said = _settings(record)
    fields = {at: (getattr(library, at), value) for at, value in said.items() if getattr(library, at) != value}
    if not fields:
        return Difference(_KIND, key, Action.SAME, name)
    if work.mode != REPLACE:  # nobody knows when settings were changed
        return Difference(_KIND, key, Action.KEEP, name, fields)
    try:
        library_settings.check_settings(library, {at: said[at] for at in fields})
        _check_choices(said)
        if work.applies:
            library_settings.change(library, **{at: said[at] for at in fields})
    except LibraryRefused as refused:
        return Difference(_KIND, key, Action.LEFT, name, reason=_reason(refused))
    return Difference(_KIND, key, Action.UPDATE, name, fields)


def _add(work: Restoring, key: str, record: Record, user: User) -> Difference:
    """Add a library of a folder or bucket that this server may read, as the person could."""
    name = record["name"]
    if record["source"] not in (_FOLDERS, "s3"):
        reason = "The photos of a phone come from the phone: sign it in again."
        return Difference(_KIND, key, Action.LEFT, name, reason=reason)
    said = _settings(record)
    try:
        _check_choices(said)
        library_settings.check_settings(Library(source=record["source"]), {"name": name, **said})
        if not work.applies:
            if record["source"] == _FOLDERS:
                refuse_overlap(user, checked_folder(user, record["root"]))
            return Difference(_KIND, key, Action.CREATE, name)
        free = free_id(FoundCatalog(UUID(key), 0), user)
        chosen = {at: value for at, value in said.items() if at != "name"} | ({"id": free} if free else {})
        with transaction.atomic():
            library = add_library(user, record["root"], name, **chosen)
    except LibraryRefused as refused:
        return Difference(_KIND, key, Action.LEFT, name, reason=_reason(refused))
    created_at = moment_or_none(record.get("createdAt"))
    if created_at is not None:
        Library.objects.filter(pk=library.pk).update(created_at=min(created_at, timezone.now()))
    _restore_members(work, library, record)
    transaction.on_commit(lambda: request_scan(library, user))
    return Difference(_KIND, key, Action.CREATE, name)


def _restore_members(work: Restoring, library: Library, record: Record) -> None:
    said = {str(one["username"]): str(one["role"]) for one in record["members"]}
    users = {user.get_username(): user for user in User.objects.filter(username__in=said, is_active=True)}
    for name, role in sorted(said.items()):
        member = work.people.get(name) or users.get(name)
        try:
            if member is None:
                raise LibraryRefused("Nobody here has this name.")
            set_member(library, member, role)
        except LibraryRefused as refused:
            work.report.add(Difference("member", f"{library.pk}/{name}", Action.LEFT, name, reason=_reason(refused)))


def _settings(record: Record) -> dict[str, object]:
    said = {ours: record["settings"][theirs] for theirs, ours in _SETTINGS.items() if theirs in record["settings"]}
    return {"name": record["name"], **said}


def _check_choices(said: dict[str, object]) -> None:
    """Raise LibraryRefused for a value that is none of those that a library can have."""
    for name, value in said.items():
        field = Library._meta.get_field(name)
        choices = [choice for choice, _ in field.choices or []]  # type: ignore[union-attr]
        if choices and value not in choices:
            raise LibraryRefused(f"{value!r} is no value of {name}.")
    if len(str(said.get("name", ""))) > 200:
        raise LibraryRefused("A library's name has at most 200 characters.")


def _reason(refused: LibraryRefused) -> str:
    return str(refused).removesuffix(" Nothing was changed.")
