"""Assistants: other workers, on this machine or others, that read a share of a scan's photos.

The worker that runs the operation leads: it walks, surveys, counts and publishes, and reads photos like everybody. An
assistant only claims photos that lack their digest, as the leader does, and writes their rows; each row is fenced by its own
claim. Who comes too late, is told twice or dies costs nothing: what it held is claimed again.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from catalog.entries import counts
from catalog.entries import rows as entries_rows
from catalog.entries.decoders import scan_decoders
from catalog.entries.jobs import BATCH
from catalog.entries.owner_stars import mirror_read_stars
from catalog.entries.row_locks import hold_photos
from catalog.entries.sql import Row
from catalog.models import Library, Photo
from catalog.roots import guard
from catalog.roots.reach import source_for
from catalog.scanning import queue
from catalog.scanning.digest import Digesting
from catalog.sources.base import SourceUnavailable
from operations import turns
from operations.durability import relaxed_durability
from operations.models import Operation, State, lease_length

logger = logging.getLogger(__name__)
LEAST_PHOTOS = 500
"""Fewer are read before an assistant has started its decoders."""
TURN_SECONDS = 60.0
"""Then an assistant asks to be called again, so that a worker can shut down. It does so earlier if other work waits."""
LEAST_SECONDS = 2.0
_PAUSE_SECONDS = 0.2


class _Dismissed(Exception):
    """The scan ended, was stopped, or has another leader."""


def call(operation: Operation, pending: int, zone: str) -> int:
    """Ask other workers to help with `pending` photos, as many as PHOTOLALA_SCAN_WORKERS says. Returns how many.

    `zone` is the time zone in which this run tells the dates of photos that know none.
    """
    wanted = settings.SCAN_WORKERS - 1
    if wanted < 1 or pending < LEAST_PHOTOS:
        return 0
    return sum(_enqueue_helper(operation.pk, operation.token, zone) for _ in range(wanted))


def assist(operation_id: UUID, token: int, zone: str) -> int:
    """Read photos for the scan `operation_id` while its run `token` lasts, for a minute. Returns how many; `zone` as above."""
    operation = _led(operation_id, token).first()
    library = Library.objects.filter(pk=operation.params["library"]).first() if operation else None
    if operation is None or library is None:
        return 0
    queues = turns.consumed_queues()
    claimed_for = queue.claim_prefix(operation) + secrets.token_hex(5)
    began = looked = time.monotonic()
    is_waited_for = False
    alive = _Alive()
    done = 0

    def is_over() -> bool:
        nonlocal looked, is_waited_for
        now = time.monotonic()
        if now - began >= LEAST_SECONDS and now - looked >= turns.LOOK_SECONDS and not is_waited_for:
            looked = now
            is_waited_for = turns.is_waited_for(operation, now - began, queues)
        return is_waited_for or now - began > TURN_SECONDS

    def claim() -> list[entries_rows.Claimed]:
        alive.note()
        if is_over():
            return []
        with transaction.atomic():
            # Held meanwhile, so that nothing is taken out of the hands of a later run.
            if _led(operation_id, token).select_for_update().values_list("pk").first() is None:
                return []
            return queue.claim_digests(library, claimed_for, BATCH, lease_length())

    def apply(rows: Sequence[Row]) -> None:
        nonlocal done
        alive.note()
        if rows:
            with transaction.atomic():
                hold_photos(row["id"] for row in rows)  # before the operation, as the leader does
                # Held until the rows are written: no other run can begin, and end, in between.
                if _led(operation_id, token).select_for_update().values_list("pk").first() is None:
                    raise _Dismissed
                done += entries_rows.apply_digests(library, rows)
                mirror_read_stars(library, [(row["id"], row["rating"]) for row in rows])
                counts.bump_revision(library)
        if not _led(operation_id, token).exists():
            raise _Dismissed

    with _holding(library, claimed_for, alive), ExitStack() as opened:
        source = source_for(library)
        opened.callback(source.close)
        require_source = partial(guard.require_root, library, source)
        try:
            require_source()
            digesting = Digesting(
                library,
                source,
                zone=zone,
                opened=opened,
                claim=claim,
                apply=apply,
                require_source=require_source,
                is_over=is_over,
            )
            with relaxed_durability(), scan_decoders() as pool:
                digesting.run(pool)
        except _Dismissed:
            pass
        except SourceUnavailable as error:
            logger.warning("This worker cannot help with the scan %s: %s", operation_id, error)
            return done
        except DatabaseError:
            logger.warning("An assistant of the scan %s gave up.", operation_id, exc_info=True)
            return done
    logger.info("Read %d photos for the scan %s.", done, operation_id)
    if is_over() and _led(operation_id, token).exists():
        _enqueue_helper(operation_id, token, zone)
    return done


def wait_for_others(library: Library, claimed_for: str, keepalive: Callable[[], Any]) -> bool:
    """Wait while assistants hold all photos that still lack their digest; True if some are free, False if none are left.

    What the caller itself holds under `claimed_for` (files that went away) counts as done. `keepalive` is called all the
    while: it shows that this lives, and raises to stop it.
    """
    waiting = Photo.objects.filter(library=library).undigested()
    others = waiting.exclude(claimed_for=claimed_for, claimed_until__isnull=False)
    while others.exists():
        if queue.unclaimed(others, claimed_for).exists():
            return True
        keepalive()
        time.sleep(_PAUSE_SECONDS)
    return False


class _Alive:
    """When an assistant last came forward: a process that only hangs must not keep its claims."""

    def __init__(self) -> None:
        self._at = time.monotonic()

    def note(self) -> None:
        """It claims or writes something."""
        self._at = time.monotonic()

    def __bool__(self) -> bool:
        return time.monotonic() - self._at < queue.CLAIM_LENGTH.total_seconds()


@contextmanager
def _holding(library: Library, claimed_for: str, alive: _Alive) -> Iterator[None]:
    """Renew the claims as long as the assistant comes forward, from a thread of its own; give back what is left of them."""
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(lease_length().total_seconds() / 3) and alive:
            try:
                queue.renew_claims(library, claimed_for, lease_length())
            except Exception:
                logger.warning("The claims of an assistant could not be renewed.", exc_info=True)
            finally:
                connection.close()

    thread = threading.Thread(target=renew, name="assistant-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        queue.release_claims(library, claimed_for)


def _led(operation_id: UUID, token: int) -> Any:
    """Return the query for the scan's present run: nothing once it ended, was asked to stop, or is someone else's."""
    running = Operation.objects.filter(pk=operation_id, token=token, state=State.RUNNING)
    return running.filter(cancel_requested=False, stop_requested=False)


def _enqueue_helper(operation_id: UUID, token: int, zone: str) -> bool:
    try:
        assist_scan.apply_async((str(operation_id), token, zone), queue="scan")
    except Exception as error:  # noqa: BLE001 - kombu raises many kinds; the leader does it all alone then
        logger.warning("No assistant could be called for the scan %s: %s", operation_id, error)
        return False
    return True


@shared_task(name="catalog.tasks.assist_scan", ignore_result=True)
def assist_scan(operation_id: str, token: int, zone: str) -> int:
    """Read photos for a scan that another worker leads. Returns how many. Safe to deliver any number of times."""
    return assist(UUID(operation_id), token, zone)
