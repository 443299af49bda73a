"""Photos that a backup speaks of and that are not here: kept, and joined when a scan or an import brings them."""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.models import User
from catalog.albums import drafts, notes
from catalog.albums.attachments import Held
from catalog.albums.refusals import Refused
from catalog.albums.restored import Times, keep_times, refresh_photos, rename_photo
from catalog.models import Draft, Note
from exports.models import Restore, WaitingFacts
from exports.restore.check import MOST_NOTED, moment_or_none
from exports.restore.facts import FIELDS, NOT_TO_CHANGE, Facts
from exports.restore.photos import Finder, Named
from exports.restore.plan import REPLACE, is_newer
from exports.restore.spool import Record
from operations.database_conflicts import retried_on_conflict

logger = logging.getLogger(__name__)
BATCH = 500
_NOT_YET = f"{NOT_TO_CHANGE} What the backup says of it waits until it is."


def keep_waiting(restore: Restore, user: User, named: Mapping[str, Named], said: Mapping[str, Record]) -> None:
    """Keep what a backup says of these photos until they are there, together with what others said of them before."""
    waiting = WaitingFacts.objects.filter(user=user, photo_id__in=[UUID(key) for key in named])
    earlier = {str(key): words for key, words in waiting.values_list("photo_id", "said")}
    rows = [
        WaitingFacts(
            user=user,
            restore=restore,
            photo_id=UUID(key),
            library_id=UUID(one.library_id),
            photo_md5=one.md5 if len(one.md5) == 32 else "",
            path=one.path,
            size_bytes=one.size_bytes,
            said=_together(earlier.get(key) or {}, said.get(key) or {}, restore.mode),
        )
        for key, one in named.items()
    ]
    WaitingFacts.objects.bulk_create(
        rows,
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["user", "photo_id"],
        update_fields=["restore", "library_id", "photo_md5", "path", "size_bytes", "said", "is_refused"],
    )


def _together(earlier: Record, words: Record, mode: str) -> Record:
    """Return what two backups say of a photo, compared field by field as with what is here."""
    if not earlier or not words:
        return words or earlier
    said = {**earlier, **words}
    for name, at in FIELDS:
        if not _wins(words.get(at), earlier.get(at), mode):
            said[name], said[at] = earlier.get(name), earlier.get(at)
    (stars, favoured), (stars_before, favoured_before) = _favourite(words), _favourite(earlier)
    if stars is None or (stars_before is not None and mode != REPLACE and not _is_newer(favoured, favoured_before)):
        stars, favoured = stars_before, favoured_before
    if stars is not None:
        name = str(words.get("name"))
        said |= {"favourites": {name: stars}, "favouredAt": {name: favoured}}
    return said


def _wins(at: Any, before: Any, mode: str) -> bool:
    return moment_or_none(at) is not None and (mode == REPLACE or _is_newer(at, before))


def _is_newer(at: Any, before: Any) -> bool:
    return is_newer(moment_or_none(at), moment_or_none(before))


def _favourite(said: Record) -> tuple[Any, Any]:
    """Return the stars that the person gave as a favourite, and when."""
    name = said.get("name")
    return (said.get("favourites") or {}).get(name), (said.get("favouredAt") or {}).get(name)


def join_waiting(users: Iterable[UUID] | None = None) -> int:
    """Join what waits (for these people) with photos that are there by now; return how many. One query if nothing waits."""
    waiting = WaitingFacts.objects.order_by("user", "pk")
    if users is not None:
        waiting = waiting.filter(user__in=list(users))
    keys = list(waiting.order_by("user").values_list("user", flat=True).distinct())
    return sum(_join_for(user) for user in User.objects.filter(pk__in=keys).order_by("pk"))


def _join_for(user: User) -> int:
    joined, last = 0, 0
    while True:
        rows = list(WaitingFacts.objects.filter(user=user, pk__gt=last).order_by("pk")[:BATCH])
        if not rows:
            return joined
        last = rows[-1].pk
        joined += _join(user, rows)


@retried_on_conflict
def _join(user: User, rows: list[WaitingFacts]) -> int:
    """Join those of these rows whose photos are there: facts by the verbs, items and notes by the photo's id here."""
    named = {str(row.photo_id): _named(row) for row in rows}
    found = Finder(user).find(named)
    if not found:
        return 0
    there = [row for row in rows if str(row.photo_id) in found]
    with transaction.atomic():
        refused: set[str] = set()
        for name, some in groupby(sorted(there, key=_name_in), key=_name_in):
            records = [(str(row.photo_id), row.said) for row in some if row.said]
            differences, wishes = Facts(user, name).compare(records, found)
            wishes.say(user)
            refused |= {one.id for one in differences if NOT_TO_CHANGE in one.reason}
        new = {row.photo_id: found[str(row.photo_id)].id for row in there if not row.is_refused}
        _name_anew(user, new)
        joined = [row for row in there if str(row.photo_id) not in refused]
        WaitingFacts.objects.filter(pk__in=[row.pk for row in joined]).delete()
        _refuse([row for row in there if str(row.photo_id) in refused and not row.is_refused])
    return len(joined)


def _name_in(row: WaitingFacts) -> str:
    return name_there(row.said)


def _refuse(refused: Collection[WaitingFacts]) -> None:
    """Keep what may not be said (yet), and say so, once, in the results of the restores that it is of."""
    WaitingFacts.objects.filter(pk__in=[row.pk for row in refused]).update(is_refused=True)
    by_restore: dict[UUID, list[dict[str, str]]] = defaultdict(list)
    for row in refused:
        if row.restore_id is not None:
            by_restore[row.restore_id].append({"what": row.path[:300], "reason": _NOT_YET})
    for restore in Restore.objects.select_for_update().filter(pk__in=by_restore).order_by("pk"):
        new = by_restore[restore.pk]
        restore.problem_count += len(new)
        restore.problems += new[: max(0, MOST_NOTED - len(restore.problems))]
        restore.save(update_fields=["problems", "problem_count"])


def _name_anew(user: User, ids: Mapping[UUID, UUID]) -> None:
    """Let drafts, notes and albums name photos by their ids here, given those in the backup; in the order of locks."""
    new = {str(old): str(here) for old, here in ids.items() if here != old}
    held = [UUID(old) for old in new]
    for draft in Draft.objects.of(user).filter(held__photo__in=held).distinct().order_by("pk"):
        blocks = [{**block, "attachment": _renamed(block["attachment"], new)} for block in draft.blocks]
        _patch(user, draft, drafts.patch, {"blocks": blocks})
    for note in Note.objects.of(user).filter(held__photo__in=held).distinct().order_by("pk"):
        _patch(user, note, notes.patch, {"attachments": [_renamed(one, new) for one in note.attachments]})
    for old, here in ids.items():
        if here != old:
            rename_photo(user, old, here)
    refresh_photos(user, set(ids.values()))


def _renamed(held: Held | None, new: Mapping[str, str]) -> Held | None:
    if held is None or "photo" not in held:
        return held
    return {"photo": new.get(held["photo"], held["photo"])}


def _patch(user: User, thing: Note | Draft, patch: Callable[..., object], fields: dict[str, object]) -> None:
    """Change a note or draft without making it newer than it was."""
    changed_at = thing.updated_at
    try:
        patch(user, thing.pk, fields)
    except Refused as refused:
        logger.warning(
            "%s %s keeps photos by their ids in the backup: %s", type(thing).__name__, thing.pk, refused.reason
        )
    else:
        keep_times(type(thing), {thing.pk: Times(None, changed_at)})


def _named(row: WaitingFacts) -> Named:
    return Named(str(row.photo_id), str(row.library_id), row.photo_md5, row.path, row.size_bytes)


def name_there(said: Record) -> str:
    """Return what the backup calls the person who said this: kept with it."""
    return str(said.get("name") or "")
