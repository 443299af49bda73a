"""Export destinations of a backup, and the records of what was exported to them."""

from collections.abc import Iterator
from uuid import UUID

from exports.bundle import layout
from exports.destinations.changing import change_destination
from exports.destinations.restored import Kept, add_records, check_kept, restore_destination
from exports.ledger.errors import LedgerError
from exports.ledger.records import ExportRecord, record_from_json
from exports.models import ExportDestination
from exports.refusals import ExportRefused
from exports.restore.check import moment_or_none
from exports.restore.people import Restoring
from exports.restore.plan import REPLACE
from exports.restore.report import Action, Difference
from exports.restore.spool import Record
from exports.restore.things import ID_IN_USE, OF_OTHERS

_KIND = "destination"


def restore_destinations(work: Restoring) -> None:
    """Compare the destinations of those who are restored, and make those that are not here, with the records that they lack."""
    for batch in work.checked.spool.batches(layout.DESTINATIONS.name):
        for key, record in batch:
            work.report.add(_restore_one(work, key, record))


def _restore_one(work: Restoring, key: str, record: Record) -> Difference:
    name, user = record["name"], work.people.get(record["owner"])
    if user is None:
        return Difference(_KIND, key, Action.LEFT, name, reason=OF_OTHERS)
    here = ExportDestination.objects.filter(pk=key).first()
    if here is not None and here.owner_id != user.pk:
        return Difference(_KIND, key, Action.LEFT, name, reason=ID_IN_USE)
    here = here or ExportDestination.objects.filter(owner=user, folder=record["folder"]).first()
    try:
        if here is not None:
            return _compare(work, here, key, record)
        moment = moment_or_none(record["createdAt"])
        with_companions = bool(record.get("withCompanions"))
        kept = Kept(
            UUID(key), name, record["folder"], record["template"], moment, with_companions, record.get("previewPx") or 0
        )
        if not work.applies:
            check_kept(user, kept)
        else:
            _put_records(work, restore_destination(user, kept))
    except ExportRefused as refused:
        reason = str(refused).removesuffix(" Nothing was changed.")
        return Difference(_KIND, key, Action.LEFT, name, reason=reason)
    return Difference(_KIND, key, Action.CREATE, name)


def _compare(work: Restoring, here: ExportDestination, key: str, record: Record) -> Difference:
    """Nobody knows when a destination was changed: it stays as it is here, unless what is here is replaced."""
    said = {"name": str(record["name"])[:200], "template": str(record["template"])}
    fields = {name: (getattr(here, name), value) for name, value in said.items() if getattr(here, name) != value}
    if not fields:
        return Difference(_KIND, key, Action.SAME, here.name)
    if work.mode != REPLACE:
        return Difference(_KIND, key, Action.KEEP, here.name, fields)
    if work.applies:
        change_destination(here, {"name": said["name"], "template": said["template"]})
    return Difference(_KIND, key, Action.UPDATE, here.name, fields)


def _put_records(work: Restoring, destination: ExportDestination) -> None:
    try:
        away = add_records(destination, _records_of(work, destination)).away
    except (LedgerError, OSError) as error:
        work.checked.note(f"records of the destination {destination.name}", f"They were not restored: {error}")
        return
    if away:
        copies = "1 copy is" if away == 1 else f"{away:,} copies are"
        work.checked.note(
            f"records of the destination {destination.name}",
            f"{copies} not in its folder any more: the next export copies what is missing again.",
        )


def _records_of(work: Restoring, destination: ExportDestination) -> Iterator[ExportRecord]:
    for batch in work.checked.spool.batches(layout.EXPORT_RECORDS.name, str(destination.pk)):
        for key, entry in batch:
            try:
                yield record_from_json(dict(entry["record"]))
            except ValueError as error:
                work.checked.note(f"record {key}", str(error))
