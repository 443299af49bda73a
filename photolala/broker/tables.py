"""The tables of the broker file, and what is done to their rows inside a transaction."""

import sqlite3
import time

from photolala.broker.owners import current_owner

TRANSIENT_MESSAGE_SECONDS = 300.0
DEAD_MESSAGES_KEPT = 1000

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (file_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    priority INTEGER NOT NULL,
    body TEXT NOT NULL,
    deliveries INTEGER NOT NULL DEFAULT 0,
    owner TEXT,              -- the process that took it; NULL while it waits
    seen_at REAL,            -- last sign of life of the owner, seconds since the epoch
    expires_at REAL          -- only in queues that belong to one process (remote control and its replies)
);
CREATE INDEX IF NOT EXISTS message_waiting ON message (queue, priority DESC, id) WHERE owner IS NULL;
CREATE INDEX IF NOT EXISTS message_taken ON message (owner) WHERE owner IS NOT NULL;
CREATE INDEX IF NOT EXISTS message_expiring ON message (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS binding (
    exchange TEXT NOT NULL,
    routing_key TEXT NOT NULL,
    pattern TEXT NOT NULL,
    queue TEXT NOT NULL,
    owner TEXT,              -- the process whose queue this is; NULL for a lasting queue
    seen_at REAL,
    PRIMARY KEY (exchange, routing_key, pattern, queue)
);
CREATE TABLE IF NOT EXISTS dead (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    body TEXT NOT NULL,
    deliveries INTEGER NOT NULL,
    reason TEXT NOT NULL,
    buried_at REAL NOT NULL  -- seconds since the epoch
);
"""


def insert_message(db: sqlite3.Connection, queue: str, body: str, priority: int, expires_at: float | None) -> None:
    """Append `body` to `queue`; `expires_at` is in seconds since the epoch."""
    # A message for a queue of one process never outlives its use: the asker is gone after a while.
    db.execute(
        "INSERT INTO message (queue, body, priority, expires_at) VALUES (?, ?, ?, coalesce(?, CASE WHEN EXISTS"
        " (SELECT 1 FROM binding WHERE binding.queue = ? AND owner IS NOT NULL) THEN ? END))",
        (queue, body, priority, expires_at, queue, time.time() + TRANSIENT_MESSAGE_SECONDS),
    )


def bury(db: sqlite3.Connection, row_id: int, queue: str, body: str, deliveries: int, reason: str) -> None:
    """Move a message to the dead ones, of which the newest `DEAD_MESSAGES_KEPT` are kept."""
    db.execute(
        "INSERT INTO dead (queue, body, deliveries, reason, buried_at) VALUES (?, ?, ?, ?, ?)",
        (queue, body, deliveries, reason, time.time()),
    )
    db.execute("DELETE FROM dead WHERE id <= (SELECT max(id) FROM dead) - ?", (DEAD_MESSAGES_KEPT,))
    db.execute("DELETE FROM message WHERE id = ?", (row_id,))


def sign_of_life(db: sqlite3.Connection) -> None:
    """Note that this process, which took messages or has queues of its own, is alive."""
    db.execute("UPDATE message SET seen_at = ? WHERE owner = ?", (time.time(), current_owner()))
    db.execute("UPDATE binding SET seen_at = ? WHERE owner = ?", (time.time(), current_owner()))


def release_owners(db: sqlite3.Connection, owners: list[tuple[str]]) -> int:
    """Delete the own queues of the dead `owners`, give back what else they held; return how many came back."""
    db.executemany("DELETE FROM message WHERE queue IN (SELECT queue FROM binding WHERE owner = ?)", owners)
    db.executemany("DELETE FROM binding WHERE owner = ?", owners)
    return db.executemany("UPDATE message SET owner = NULL, seen_at = NULL WHERE owner = ?", owners).rowcount
