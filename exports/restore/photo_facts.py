"""All that a backup says of photos: put back where they are, kept for where they are not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from uuid import UUID

from django.db import connection

from accounts.models import User
from catalog.entries.row_locks import hold_photos
from exports.bundle import layout
from exports.bundle.entries import Said
from exports.models import Restore
from exports.restore.facts import NOT_TO_CHANGE, Facts, Wishes
from exports.restore.people import Restoring
from exports.restore.photos import Found, Named, named_in, named_of
from exports.restore.report import Action, Difference
from exports.restore.spool import Record
from exports.restore.waiting import keep_waiting, name_there

_NOT_HERE = "The photo is not here: this joins when a scan or an import brings it."
_FACTS = ("rating", "ratedAt", "caption", "captionedAt", "keywords", "keywordedAt", "taken", "datedAt")
_FACTS += ("place", "placedAt")
Batch = list[tuple[str, Record]]


@dataclass(frozen=True)
class _Spoken:
    """Some photos of which a backup speaks for one person, by their ids there."""

    facts: Facts
    records: Batch
    named: dict[str, Named]
    as_waiting: Callable[[Record], Record | None]
    """What is kept of a record while its photo is not here; None: nothing, it is somebody else's."""
    has_waited: bool = False
    """It was waited for on the server of the backup; what may not be said here either goes on waiting."""


def restore_facts(work: Restoring, restore: Restore) -> None:
    """Compare, and say again, what each person said of photos; what is said of photos that are not here waits for them."""
    people = list(work.people.by_name.items())
    if work.applies and connection.features.has_select_for_update:
        hold_photos({key for name, user in people for key in _concerned(work, name, user)})
    for name, user in people:
        for spoken in _spoken(work, name, user):
            found = work.people.finder_of(user).find(spoken.named)
            differences, wishes = spoken.facts.compare(spoken.records, found)
            for difference in differences:
                work.report.add(difference)
            if work.applies:
                wishes.say(user)
            refused = {one.id for one in differences if spoken.has_waited and NOT_TO_CHANGE in one.reason}
            _wait(work, restore, user, spoken, found, refused)
        _wait_for_named(work, restore, name, user)


def _spoken(work: Restoring, name: str, user: User) -> Iterator[_Spoken]:
    """Yield what the backup says for one person: of the photos that its server had, then of those that it waited for itself."""
    facts = Facts(user, name, work.mode, as_owner=work.checked.is_of_server)
    for batch in work.checked.spool.batches(layout.RATINGS.name):
        named = named_in(work.checked.spool, [key for key, _ in batch])
        yield _Spoken(facts, batch, named, lambda record: _said_by(work, name, record))
    for batch in work.checked.spool.batches(layout.WAITING.name, name):
        waiting = sorted((one for _, one in batch), key=lambda one: name_there(one["said"]))
        for name_then, some in groupby(waiting, key=lambda one: name_there(one["said"])):
            records = {one["photoId"]: one for one in some}
            yield _Spoken(
                Facts(user, name_then, work.mode),
                [(key, one["said"]) for key, one in records.items()],
                {key: named_of(key, one) for key, one in records.items()},
                _known_of,
                has_waited=True,
            )


def _concerned(work: Restoring, name: str, user: User) -> Iterator[UUID]:
    """Yield the photos that are about to be changed, to be locked before anything else is."""
    for spoken in _spoken(work, name, user):
        found = work.people.finder_of(user).find(spoken.named)
        _, wishes = spoken.facts.compare(spoken.records, found)
        yield from _photos_of(wishes)


def _photos_of(wishes: Wishes) -> set[UUID]:
    starred = [key for keys in wishes.favoured_with.values() for key in keys]
    return {*wishes.moments, *starred}


def _wait(
    work: Restoring, restore: Restore, user: User, spoken: _Spoken, found: dict[str, Found], refused: set[str]
) -> None:
    records, said = dict(spoken.records), {}
    for key, one in spoken.named.items():
        words = spoken.as_waiting(records[key]) if key not in found or key in refused else None
        if words is None:
            continue
        said[key] = words
        if key not in refused:  # which has its difference already
            work.report.add(Difference("photo", key, Action.WAITING, one.path, reason=_NOT_HERE))
    if work.applies and said:
        keep_waiting(restore, user, {key: spoken.named[key] for key in said}, said)


def _known_of(said: Record) -> Record:
    """Return what is known of what somebody said: nothing else of a stranger's backup is kept."""
    return {name: said[name] for name in Said.__annotations__ if name in said}


def _said_by(work: Restoring, name: str, record: Record) -> Record | None:
    """Return what the person said of a photo, as it waits; None if somebody else did."""
    words: Record = {"name": name}
    library = work.checked.spool.get(layout.LIBRARIES.name, record["libraryId"])
    speaks = not work.checked.is_of_server or (library is not None and library["owner"] == name)
    if speaks and any(record.get(at) for at in _FACTS[1::2]):
        words |= {at: record.get(at) for at in _FACTS}
    stars = record["favourites"].get(name)
    if stars is not None:
        moment = (record.get("favouredAt") or {}).get(name)
        words |= {"favourites": {name: stars}, "favouredAt": {name: moment}}
    return words if len(words) > 1 else None


def _wait_for_named(work: Restoring, restore: Restore, name: str, user: User) -> None:
    """Keep which photos albums and notes name that are not here: they get their ids here when they come."""
    if work.checked.is_of_server:  # as many as there are; those of this server keep their ids
        return
    for batch in work.checked.spool.batches(layout.PHOTOS.name):
        said = work.checked.spool.some(layout.RATINGS.name, [key for key, _ in batch])
        named = named_in(work.checked.spool, [key for key, _ in batch if key not in said])
        found: dict[str, Found] = work.people.finder_of(user).find(named)
        missing = {key: one for key, one in named.items() if key not in found}
        for key, one in missing.items():
            work.report.add(Difference("photo", key, Action.WAITING, one.path, reason=_NOT_HERE))
        if work.applies and missing:
            keep_waiting(restore, user, missing, {})
