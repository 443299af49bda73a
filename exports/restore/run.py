"""The operation `restore_backup`: checks a backup, compares it with what is here and, unless it is a dry run, puts it back.

All or nothing: what is put back is one transaction, which also notes that it was done. The files of notes are put into the
media stores before; a run that fails removes them, and one that was killed leaves them to the next, or to the sweep of
files that nothing holds.
"""

import errno
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from catalog.albums import media as media_store
from catalog.models import Media
from changes.scopes import raise_epoch
from exports.bundle.files import BundleFiles
from exports.bundle.lists import BundleRefused
from exports.models import Restore
from exports.restore.check import check, check_media, moment_or_none
from exports.restore.contents import restore_contents
from exports.restore.destinations import restore_destinations
from exports.restore.libraries import restore_libraries
from exports.restore.media import put_media
from exports.restore.people import Restoring, people_of
from exports.restore.photo_facts import restore_facts
from exports.restore.refusals import refusal_for
from exports.restore.report import Report
from exports.restore.requests import KIND, opened, working_folder_of
from exports.restore.spool import Spool
from exports.restore.things import ALBUM, DRAFT, NOTE, restore_things
from exports.restore.users import restore_users
from operations.kinds import operation_kind
from operations.models import Operation, State
from operations.running import LeaseLost, OperationFailed, Run

logger = logging.getLogger(__name__)


@operation_kind(KIND, label="Restore of a backup", queue="export")
def run_restore(run: Run) -> dict[str, Any]:
    """Compare or put back the backup of the restore that names this operation; safe to run again after any end."""
    restore = Restore.objects.select_related("user").filter(pk=run.params["restore"]).first()
    if restore is None:
        raise OperationFailed("This restore was deleted; there is nothing to go on with.", "deleted")
    if restore.completed_at is not None:  # the process ended between the commit and telling so
        return _result(restore)
    scratch = working_folder_of(restore)
    try:
        return RestoreRun(run, restore, scratch).run_all()
    except BundleRefused as refused:
        raise OperationFailed(str(refusal_for(refused)), refused.code) from None
    except OSError as error:
        code = "disk_space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "disk"
        words = f"Reading the backup, or keeping its files, failed: {error.strerror or error}. Nothing was restored."
        raise OperationFailed(f"{words} Fix that, then retry.", code) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class RestoreRun:
    """One run of a restore."""

    def __init__(self, run: Run, restore: Restore, scratch: Path) -> None:
        self.run, self.restore, self.scratch = run, restore, scratch
        self.clock = time.monotonic()

    def run_all(self) -> dict[str, Any]:
        """Check, compare, and put back; return the result."""
        scratch = self.scratch / str(self.run.token)
        with opened(self.restore, scratch) as files, Spool(scratch / "spool.sqlite3") as spool:
            self.run.phase("Checking the backup")
            checked = check(files, spool, self._keepalive)
            check_media(files, checked, self._keepalive)
            people = people_of(checked, self.restore.user)
            with Report(self.restore.report_file) as report:
                work = Restoring(checked, self.restore.mode, people, report, applies=not self.restore.is_dry_run)
                if self.restore.is_dry_run:
                    self.run.phase("Comparing")
                    self._restore_all(work, files, [])
                    with transaction.atomic():
                        self._note(work, compared_at=timezone.now())
                else:
                    self._apply(work, files)
        return _result(self.restore, seconds=round(time.monotonic() - self.clock, 3))

    def _apply(self, work: Restoring, files: BundleFiles) -> None:
        kept: list[Media] = []
        try:
            if not work.checked.is_of_server:  # of a server the people are to be made first
                self.run.phase("Keeping files")
                put_media(files, work.checked, work.people, kept, self._keepalive)
            self.run.phase("Restoring")
            with transaction.atomic():
                self._restore_all(work, files, kept)
                if work.report.change_count and work.checked.is_of_server:
                    raise_epoch()  # of a person's, devices hear as of any other change
                self._hold()
                self._note(work, completed_at=timezone.now())
        except BaseException:
            self._let_go(kept, is_of_server=work.checked.is_of_server)
            raise
        if not self.restore.source:
            self.restore.sent_file.unlink(missing_ok=True)

    def _restore_all(self, work: Restoring, files: BundleFiles, kept: list[Media]) -> None:
        """Compare everything, and write it if this is no dry run; rows in the order in which all lock them."""
        restore_users(work)
        if work.checked.is_of_server and work.applies:
            put_media(files, work.checked, work.people, kept, self._keepalive)
        steps: list[Callable[[], object]] = [
            lambda: restore_libraries(work),
            lambda: restore_destinations(work),
            lambda: restore_facts(work, self.restore),
            lambda: restore_things(work, DRAFT),
            lambda: restore_things(work, NOTE),
            lambda: restore_contents(work, restore_things(work, ALBUM)),
        ]
        for step in steps:
            self.run.raise_if_stopped()
            step()

    def _keepalive(self) -> None:
        self.run.checkpoint(force=False, is_lasting=False)

    def _hold(self) -> None:
        """Keep the operation this run's until the transaction ends. Raises LeaseLost if it is somebody else's."""
        mine = Operation.objects.select_for_update().filter(pk=self.run.operation.pk, token=self.run.token)
        if mine.filter(state=State.RUNNING).values_list("pk").first() is None:
            raise LeaseLost

    def _note(self, work: Restoring, **at: Any) -> None:
        restore, checked = self.restore, work.checked
        restore.counts = work.report.counts_json()
        restore.differences = work.report.listed
        restore.difference_count = work.report.difference_count
        restore.problems, restore.problem_count = checked.problems, checked.problem_count
        restore.exported_at = moment_or_none(checked.metadata["exportDate"])
        for name, moment in at.items():
            setattr(restore, name, moment)
        names = ["counts", "differences", "difference_count", "problems", "problem_count", "exported_at", *at]
        restore.save(update_fields=names)

    def _let_go(self, kept: list[Media], *, is_of_server: bool) -> None:
        """Remove the files that were kept for what failed."""
        try:
            if is_of_server:  # their rows were rolled back
                rows = set(Media.objects.filter(md5__in=[one.md5 for one in kept]).values_list("owner", "md5"))
                gone = [one for one in kept if (one.owner_id, one.md5) not in rows]
                media_store.remove(media_store.name_of(one.owner_id, one.md5) for one in gone)
            else:
                media_store.let_go(kept)
        except Exception:
            logger.exception("Files of the failed restore %s are left; the sweep removes them.", self.restore.pk)


def _result(restore: Restore, **more: Any) -> dict[str, Any]:
    return {
        "restore": str(restore.pk),
        "mode": restore.mode,
        "dry_run": restore.is_dry_run,
        "counts": restore.counts,
        "differences": restore.difference_count,
        "problem_count": restore.problem_count,
        "problems": restore.problems[:20],
        **more,
    }
