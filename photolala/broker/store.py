"""The messages of the broker in one SQLite file: put, take, finish, give back what dead processes held, bury."""

import logging
import os
import sqlite3
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from photolala.broker import tables
from photolala.broker.broker_file import BrokerFile
from photolala.broker.owners import current_owner, is_alive

logger = logging.getLogger(__name__)

MAX_DELIVERIES = 5
SWEEP_SECONDS = 2.0
SIGN_OF_LIFE_SECONDS = 20.0

_NEXT = """
SELECT id, body, deliveries FROM message WHERE queue = ? AND owner IS NULL ORDER BY priority DESC, id LIMIT 1
"""
_RELEASE = "UPDATE message SET owner = NULL, seen_at = NULL"
_stores: dict[str, "MessageStore"] = {}
_stores_lock = threading.Lock()


@dataclass(frozen=True)
class TakenMessage:
    """A message handed to this process. `tag` is what acknowledges it: it names the file, the row and the delivery."""

    tag: str
    body: str
    deliveries: int


@dataclass(frozen=True)
class DeadMessage:
    """A message that was given up, with the reason for people."""

    queue: str
    body: str
    deliveries: int
    reason: str
    buried_at: datetime


def open_store(path: str | Path) -> "MessageStore":
    """Return this process's store of the broker file at `path`; the file is made at first use."""
    key = os.path.abspath(path)
    with _stores_lock:
        if key not in _stores:
            _stores[key] = MessageStore(Path(key))
        return _stores[key]


class MessageStore:
    """All messages, bindings and dead messages of one broker file. Safe to share between threads and over forks.

    Every method raises `sqlite3.OperationalError` when the file stays locked for 30 s or cannot be written.
    A torn file is set aside and replaced by a new, empty one; callers do not notice.
    """

    def __init__(self, path: Path, max_deliveries: int = MAX_DELIVERIES) -> None:
        self.path = path
        self.max_deliveries = max_deliveries
        self._file = BrokerFile(path, tables.SCHEMA)
        self._swept_at = 0.0
        self._signed_at = 0.0
        self._unsettled: dict[str, tuple[bool, bool]] = {}
        """What could not be settled because of the disk: tag -> (release, count), as `settle` was asked."""

    # Messages

    def put(self, queue: str, body: str, priority: int = 0, expires_at: float | None = None) -> None:
        """Append `body` to `queue`; higher priorities leave first. `expires_at` is in seconds since the epoch."""
        self._file.write(lambda db: tables.insert_message(db, queue, body, priority, expires_at))

    def put_to_bound(self, exchange: str, body: str, priority: int = 0, expires_at: float | None = None) -> int:
        """Append a copy of `body` to every queue bound to `exchange`; return how many."""

        def insert(db: sqlite3.Connection) -> int:
            rows = db.execute("SELECT DISTINCT queue FROM binding WHERE exchange = ?", (exchange,)).fetchall()
            for (queue,) in rows:
                tables.insert_message(db, queue, body, priority, expires_at)
            return len(rows)

        return self._file.write(insert)

    def take(self, queue: str, *, keep: bool = True) -> TakenMessage | None:
        """Take the next message of `queue` for this process; None if none waits.

        With `keep` it stays in the file until it is removed or released; without, it is gone at once. A message that
        was delivered `max_deliveries` times without an end is buried instead of delivered again.
        """
        self._sweep_when_due()
        # A read first: an idle worker then never asks for the write lock.
        if not self._file.read(lambda db: db.execute(_NEXT, (queue,)).fetchone()):
            return None
        taken, buried = self._file.write(lambda db: self._take_or_bury(db, queue, keep))
        for reason in buried:
            logger.error("A message of the queue %r was set aside as dead: %s", queue, reason)
        return taken

    def remove(self, tag: str) -> bool:
        """Delete the message delivered as `tag`: its work is done. False if it is no longer this process's."""
        removed = self._change_taken("DELETE FROM message", tag)
        if not removed:
            logger.info("The message %s was finished, but had been given to another or its file was replaced.", tag)
        return removed

    def release(self, tag: str, *, count: bool = True) -> bool:
        """Give the message delivered as `tag` back to its queue; without `count` the delivery is forgotten."""
        if count:
            return self._change_taken(_RELEASE, tag)
        return self._change_taken(_RELEASE + ", deliveries = deliveries - 1", tag)

    def settle(self, tag: str, *, release: bool = False, count: bool = True) -> None:
        """Remove the message delivered as `tag`, or release it; where the file cannot be written now, do so later.

        Never raises for the disk: Celery only logs a failed acknowledgement and keeps the message among those in hand, so
        that after as many as it may prefetch the worker would never take another one.
        """
        try:
            self._settle_now(tag, release, count)
        except (sqlite3.Error, OSError) as error:
            self._unsettled[tag] = (release, count)
            logger.warning("The message %s could not be settled in %s (%s); it is tried again.", tag, self.path, error)

    def _settle_now(self, tag: str, release: bool, count: bool) -> None:
        if release:
            self.release(tag, count=count)
        else:
            self.remove(tag)

    def _settle_what_waits(self) -> None:
        for tag, (release, count) in list(self._unsettled.items()):
            self._settle_now(tag, release, count)
            self._unsettled.pop(tag, None)

    def bury(self, tag: str, reason: str) -> None:
        """Move the message delivered as `tag` to the dead ones, with a `reason` for people, and log it."""
        identity = self._row_of(tag)
        if identity is None:
            return

        def move(db: sqlite3.Connection) -> None:
            row = db.execute("SELECT queue, body, deliveries FROM message WHERE id = ?", identity[:1]).fetchone()
            if row:
                queue, body, deliveries = row
                tables.bury(db, identity[0], queue, body, deliveries, reason)

        self._file.write(move)
        logger.error("A message was set aside as dead: %s", reason)

    def size(self, queue: str) -> int:
        """Return how many messages wait in `queue`; those being worked on are not counted."""
        count: int = self._file.read(
            lambda db: db.execute("SELECT count(*) FROM message WHERE queue = ? AND owner IS NULL", (queue,)).fetchone()
        )[0]
        return count

    def purge(self, queue: str) -> int:
        """Delete the waiting messages of `queue`; return how many. Messages being worked on stay."""
        return self._file.write(
            lambda db: db.execute("DELETE FROM message WHERE queue = ? AND owner IS NULL", (queue,)).rowcount
        )

    def delete_queue(self, queue: str) -> None:
        """Delete `queue`: its bindings and all its messages."""

        def delete(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM binding WHERE queue = ?", (queue,))
            db.execute("DELETE FROM message WHERE queue = ?", (queue,))

        self._file.write(delete)

    # Dead messages

    def count_dead(self) -> int:
        """Return how many messages were given up; the newest `DEAD_MESSAGES_KEPT` are kept."""
        count: int = self._file.read(lambda db: db.execute("SELECT count(*) FROM dead").fetchone())[0]
        return count

    def list_dead(self, limit: int = 100) -> list[DeadMessage]:
        """Return the messages given up, newest first, at most `limit`."""
        rows = self._file.read(
            lambda db: db.execute(
                "SELECT queue, body, deliveries, reason, buried_at FROM dead ORDER BY id DESC LIMIT ?", (limit,)
            ).fetchall()
        )
        return [
            DeadMessage(queue, body, deliveries, reason, datetime.fromtimestamp(buried_at, UTC))
            for queue, body, deliveries, reason, buried_at in rows
        ]

    # Bindings

    def bind(self, exchange: str, routing_key: str, pattern: str, queue: str, *, transient: bool) -> None:
        """Route messages of `exchange` to `queue`; a `transient` one goes, with its queue, when this process dies."""
        owner = current_owner() if transient else None
        self._file.write(
            lambda db: db.execute(
                "INSERT INTO binding VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET owner = excluded.owner,"
                " seen_at = excluded.seen_at",
                (exchange, routing_key, pattern, queue, owner, time.time()),
            )
        )

    def unbind(self, exchange: str, routing_key: str, queue: str) -> None:
        """Stop routing messages of `exchange` with `routing_key` to `queue`."""
        self._file.write(
            lambda db: db.execute(
                "DELETE FROM binding WHERE exchange = ? AND routing_key = ? AND queue = ?",
                (exchange, routing_key, queue),
            )
        )

    def bindings(self, exchange: str) -> list[tuple[str, str, str]]:
        """Return (routing key, pattern, queue) of every binding of `exchange`."""
        rows: list[tuple[str, str, str]] = self._file.read(
            lambda db: db.execute(
                "SELECT routing_key, pattern, queue FROM binding WHERE exchange = ?", (exchange,)
            ).fetchall()
        )
        return rows

    # Upkeep

    def file_id(self) -> str:
        """Return the random id of the present file; another id than before means that the file was replaced."""
        return self._file.file_id()

    def sweep(self) -> int:
        """Give back what dead processes held, delete their queues and what expired; return how many came back."""
        now = time.time()
        owners = self._file.read(
            lambda db: db.execute(
                "SELECT owner, max(seen_at) FROM (SELECT owner, seen_at FROM message WHERE owner IS NOT NULL"
                " UNION ALL SELECT owner, seen_at FROM binding WHERE owner IS NOT NULL) GROUP BY owner"
            ).fetchall()
        )
        gone = [(owner,) for owner, seen_at in owners if not is_alive(owner, now - (seen_at or 0.0))]
        returned = self._file.write(lambda db: tables.release_owners(db, gone)) if gone else 0
        if returned:
            logger.warning("%d messages of %d dead processes were given back to their queues.", returned, len(gone))
        if self._file.read(lambda db: db.execute("SELECT 1 FROM message WHERE expires_at < ?", (now,)).fetchone()):
            self._file.write(lambda db: db.execute("DELETE FROM message WHERE expires_at < ?", (now,)))
        return returned

    def close(self) -> None:
        """Close this process's connection; the next use opens it again."""
        self._file.close()

    def _sweep_when_due(self) -> None:
        clock = time.monotonic()
        if clock - self._swept_at < SWEEP_SECONDS:
            return
        self._swept_at = clock
        self._settle_what_waits()
        if clock - self._signed_at >= SIGN_OF_LIFE_SECONDS:
            self._signed_at = clock
            self._file.write(tables.sign_of_life)
        self.sweep()

    def _take_or_bury(self, db: sqlite3.Connection, queue: str, keep: bool) -> tuple[TakenMessage | None, list[str]]:
        buried: list[str] = []
        while row := db.execute(_NEXT, (queue,)).fetchone():
            row_id, body, deliveries = row
            if deliveries >= self.max_deliveries:
                reason = f"it was delivered {deliveries} times and never finished; its worker may have crashed on it"
                tables.bury(db, row_id, queue, body, deliveries, reason)
                buried.append(reason)
                continue
            if keep:
                db.execute(
                    "UPDATE message SET owner = ?, seen_at = ?, deliveries = deliveries + 1 WHERE id = ?",
                    (current_owner(), time.time(), row_id),
                )
            else:
                db.execute("DELETE FROM message WHERE id = ?", (row_id,))
            tag = f"{self._file.file_id()}-{row_id}-{deliveries + 1}"
            return TakenMessage(tag, body, deliveries + 1), buried
        return None, buried

    def _row_of(self, tag: str) -> tuple[int, int] | None:
        """Return (row id, delivery number) of `tag`, None if it belongs to another file."""
        file_id, row_id, deliveries = tag.split("-")
        return (int(row_id), int(deliveries)) if file_id == self.file_id() else None

    def _change_taken(self, verb: str, tag: str) -> bool:
        """Run `verb` on the row of `tag`, if this process still holds just that delivery."""
        identity = self._row_of(tag)
        if identity is None:
            return False
        where = "WHERE id = ? AND deliveries = ? AND owner = ?"
        return self._file.write(lambda db: db.execute(f"{verb} {where}", (*identity, current_owner())).rowcount) > 0
