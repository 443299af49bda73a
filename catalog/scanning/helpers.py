"""Helpers: other workers, on this machine or others, that read a share of a scan's photos.

The worker that runs the operation leads: it walks, surveys, counts and publishes, and reads photos like everybody. A
helper only claims photos that lack their digest, as the leader does, and writes their rows; each row is fenced by its own
claim. Who comes too late, is told twice or dies costs nothing: what it held is claimed again.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import QuerySet

from catalog.entries import counts
from catalog.entries import rows as entries_rows
from catalog.entries.decoders import scan_decoders
from catalog.entries.jobs import BATCH
from catalog.entries.owner_stars import mirror_read_stars
from catalog.entries.row_locks import hold_photos
from catalog.entries.rows import Claimed
from catalog.entries.sql import Row
from catalog.models import Library, Photo
from catalog.roots.reach import source_for
from catalog.scanning import queue
from catalog.scanning.digest import Digesting
from catalog.scanning.opened_root import OpenedRoot
from catalog.sources.base import SourceUnavailable
from operations import turns
from operations.durability import relaxed_durability
from operations.models import Operation, State, lease_length

logger = logging.getLogger(__name__)
LEAST_PHOTOS = 500
"""Fewer are read before a helper has started its decoders."""
TURN_SECONDS = 60.0
"""Then a helper asks to be enqueued again, so that a worker can shut down. It does so earlier if other work waits."""
LEAST_SECONDS = 2.0
_PAUSE_SECONDS = 0.2


class _NoLongerNeeded(Exception):
    """The scan ended, was stopped, or has another leader."""


def request_helpers(operation: Operation, pending: int, zone: str) -> int:
    """Ask other workers to help with `pending` photos, as many as PHOTOLALA_SCAN_WORKERS says. Returns how many.

    `zone` is the time zone in which this run tells the dates of photos that know none.
    """
    wanted = settings.SCAN_WORKERS - 1
    if wanted < 1 or pending < LEAST_PHOTOS:
        return 0
    return sum(_enqueue_helper(operation.pk, operation.token, zone) for _ in range(wanted))


def run_helper(operation_id: UUID, token: int, zone: str) -> int:
    """Read photos for the scan `operation_id` while its run `token` lasts, for a minute. Returns how many; `zone` as above."""
    operation = _led(operation_id, token).first()
    library = Library.objects.filter(pk=operation.params["library"]).first() if operation else None
    if operation is None or library is None:
        return 0
    helper = Helper(operation, token, library)
    with helper.holding_claims(), ExitStack() as opened:
        source = source_for(library)
        opened.callback(source.close)
        root = OpenedRoot(library, source, zone, opened)
        try:
            root.require()
            with relaxed_durability(), scan_decoders() as pool:
                Digesting(root, helper).run(pool)
        except _NoLongerNeeded:
            pass
        except SourceUnavailable as error:
            logger.warning("This worker cannot help with the scan %s: %s", operation_id, error)
            return helper.done
        except DatabaseError:
            logger.warning("A helper of the scan %s gave up.", operation_id, exc_info=True)
            return helper.done
    logger.info("Read %d photos for the scan %s.", helper.done, operation_id)
    if helper.is_over() and _led(operation_id, token).exists():
        _enqueue_helper(operation_id, token, zone)
    return helper.done


class Helper:
    """A helper's share of the photos (`digest.Share`), for one turn."""

    def __init__(self, operation: Operation, token: int, library: Library) -> None:
        self.done = 0
        self._operation = operation
        self._token = token
        self._library = library
        self._queues = turns.consumed_queues()
        self._claimed_for = queue.claim_prefix(operation) + secrets.token_hex(5)
        self._began = self._looked = time.monotonic()
        self._is_waited_for = False
        self._last_activity = _LastActivity()

    def is_over(self) -> bool:
        """True when the turn has lasted its time, or other work waits for this worker."""
        now = time.monotonic()
        if now - self._began >= LEAST_SECONDS and now - self._looked >= turns.LOOK_SECONDS and not self._is_waited_for:
            self._looked = now
            self._is_waited_for = turns.is_waited_for(self._operation, now - self._began, self._queues)
        return self._is_waited_for or now - self._began > TURN_SECONDS

    def claim(self) -> list[Claimed]:
        """Claim a batch of photos; none when the turn or the scan's run is over."""
        self._last_activity.note()
        if self.is_over():
            return []
        with transaction.atomic():
            # Held meanwhile, so that nothing is taken out of the hands of a later run.
            if self._lock_run() is None:
                return []
            return queue.claim_digests(self._library, self._claimed_for, BATCH, lease_length())

    def apply(self, rows: list[Row]) -> None:
        """Write what was read; raises _NoLongerNeeded when the scan's run is over."""
        self._last_activity.note()
        if rows:
            with transaction.atomic():
                hold_photos(row["id"] for row in rows)  # before the operation, as the leader does
                # Held until the rows are written: no other run can begin, and end, in between.
                if self._lock_run() is None:
                    raise _NoLongerNeeded
                self.done += entries_rows.apply_digests(self._library, rows)
                mirror_read_stars(self._library, [(row["id"], row["rating"]) for row in rows])
                counts.bump_revision(self._library)
        if not _led(self._operation.pk, self._token).exists():
            raise _NoLongerNeeded

    @contextmanager
    def holding_claims(self) -> Iterator[None]:
        """Renew the claims while the helper is active, from a thread of its own; give back what is left of them."""
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(lease_length().total_seconds() / 3) and self._last_activity.is_recent():
                try:
                    queue.renew_claims(self._library, self._claimed_for, lease_length())
                except Exception:
                    logger.warning("The claims of a helper could not be renewed.", exc_info=True)
                finally:
                    connection.close()

        thread = threading.Thread(target=renew, name="helper-heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            queue.release_claims(self._library, self._claimed_for)

    def _lock_run(self) -> tuple[UUID] | None:
        return _led(self._operation.pk, self._token).select_for_update().values_list("pk").first()


class _LastActivity:
    """When a helper last claimed or wrote something: a process that only hangs must not keep its claims."""

    def __init__(self) -> None:
        self._at = time.monotonic()

    def note(self) -> None:
        self._at = time.monotonic()

    def is_recent(self) -> bool:
        return time.monotonic() - self._at < queue.CLAIM_LENGTH.total_seconds()


def wait_for_others(library: Library, claimed_for: str, keepalive: Callable[[], None]) -> bool:
    """Wait while helpers hold all photos that still lack their digest; True if some are free, False if none are left.

    What the caller itself holds under `claimed_for` (files that went away) counts as done. `keepalive` is called all the
    while: it renews the lease, and raises to stop.
    """
    waiting = Photo.objects.filter(library=library).undigested()
    others = waiting.exclude(claimed_for=claimed_for, claimed_until__isnull=False)
    while others.exists():
        if queue.unclaimed(others, claimed_for).exists():
            return True
        keepalive()
        time.sleep(_PAUSE_SECONDS)
    return False


def _led(operation_id: UUID, token: int) -> QuerySet[Operation]:
    """Return the query for the scan's present run: nothing once it ended, was asked to stop, or is someone else's."""
    running = Operation.objects.filter(pk=operation_id, token=token, state=State.RUNNING)
    return running.filter(cancel_requested=False, stop_requested=False)


def _enqueue_helper(operation_id: UUID, token: int, zone: str) -> bool:
    from photolala.celery import app  # here, so that a scan without helpers needs no Celery

    arguments = (str(operation_id), token, zone)
    try:
        app.send_task("catalog.tasks.assist_scan", arguments, queue="scan", ignore_result=True)
    except Exception as error:  # noqa: BLE001 - kombu raises many kinds; the leader does it all alone then
        logger.warning("No helper could be enqueued for the scan %s: %s", operation_id, error)
        return False
    return True
