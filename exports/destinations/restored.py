"""Destinations that a backup has, made again with their ids; and records of elsewhere, where the folder has lost its own."""

import errno
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from django.utils import timezone

from accounts.models import User
from catalog.roots.taken_folders import Place
from exports.destinations.folders import check_folder, create_destination
from exports.destinations.guard import is_behind_link
from exports.destinations.identity import known_identity
from exports.destinations.naming import check_template
from exports.ledger.load import view_ledger
from exports.ledger.records import ExportRecord, RecordStatus
from exports.ledger.store import Ledger
from exports.models import ExportDestination
from exports.refusals import ExportRefused
from photolala.lib.files import is_real_folder
from photolala.lib.paths import unescape_path

_AT_ONCE = 1000


@dataclass(frozen=True)
class Kept:
    """A destination as a backup has it."""

    id: UUID
    name: str
    folder: str
    template: str
    created_at: datetime | None
    with_companions: bool = False
    preview_px: int = 0


def check_kept(user: User, kept: Kept) -> Place:
    """Return the folder or prefix if `user` may have this destination here. Raises ExportRefused. No bucket is asked."""
    check_template(kept.template)
    real = check_folder(user, kept.folder)
    if isinstance(real, Path) and not real.is_dir():
        raise ExportRefused(
            f"Its folder {kept.folder} is not there. If it is on a disk, mount that, and restore again."
        )
    found = known_identity(real) if isinstance(real, Path) else None
    if found is not None and found.id != kept.id:
        raise ExportRefused(f"Its folder {kept.folder} has the records of another destination (“{found.name}”).")
    return real


def restore_destination(user: User, kept: Kept) -> ExportDestination:
    """Make a destination again. Exports to it do not begin by themselves until somebody says so. Raises ExportRefused."""
    destination = create_destination(
        user,
        kept.name[:200],
        check_kept(user, kept),
        kept.template,
        id=kept.id,
        with_companions=kept.with_companions,
        preview_px=kept.preview_px if kept.preview_px in ExportDestination.Preview.values else 0,
    )
    destination.has_records = not destination.is_bucket and is_real_folder(destination.records_folder)
    if kept.created_at is not None:
        destination.created_at = min(kept.created_at, timezone.now())
    destination.save(update_fields=["has_records", "created_at"])
    return destination


@dataclass(frozen=True)
class AddedRecords:
    """What became of records of elsewhere: `added`, `known` before, or `away`: their copies are not in the destination."""

    added: int = 0
    known: int = 0
    away: int = 0


def add_records(
    destination: ExportDestination, records: Iterable[ExportRecord], *, applies: bool = True
) -> AddedRecords:
    """Write the records that the destination's folder lacks and whose copies are there, or only count them.

    A prefix of a bucket has its records itself: the next export reads them. Raises LedgerError.
    """
    if destination.is_bucket or is_behind_link(destination):
        return AddedRecords()
    if not applies:
        state = view_ledger(destination.records_folder).state
        return _add(destination, records, lambda key: state.get(key) is not None, len)
    with Ledger(destination.records_folder) as ledger:
        done = _add(destination, records, lambda key: ledger.export_info(key) is not None, ledger.put_all)
        has_records = len(ledger) > 0
    if has_records and not destination.has_records:
        destination.has_records = True
        destination.save(update_fields=["has_records"])
    return done


def _add(
    destination: ExportDestination,
    records: Iterable[ExportRecord],
    is_known: Callable[[str], bool],
    put: Callable[[list[ExportRecord]], int],
) -> AddedRecords:
    added = known = away = 0
    batch: list[ExportRecord] = []
    for record in records:
        if is_known(record.id):
            known += 1
        elif record.status is RecordStatus.DONE and not _has_copy(destination.path, record):
            away += 1
        else:
            batch.append(record)
        if len(batch) == _AT_ONCE:
            added += put(batch)
            batch = []
    return AddedRecords(added + (put(batch) if batch else 0), known, away)


def _has_copy(root: Path, record: ExportRecord) -> bool:
    """Tell whether the file that a record tells of is in the destination, and behind no link."""
    try:
        path = root / os.fsdecode(unescape_path(f"{record.rel_path}/{record.filename or ''}"))
        return path.is_file() and path.resolve() == path
    except ValueError:
        return False
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return False
