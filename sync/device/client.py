"""The client: edits that take effect here at once, and synchronisation that brings both sides together."""

import random
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from sync.protocol.clock import HybridClock, Stamp
from sync.protocol.messages import Op
from sync.protocol.problems import OutOfSequence, ProtocolProblem
from sync.protocol.values import JsonObject, JsonValue, dump, load

from .brake import Brake
from .collapse import Pending
from .exchange import Exchange, WrongStore
from .lock import only_one
from .media import MediaFiles, MediaTransport
from .outbox import Outbox, cleaned
from .pulled import Pulled
from .retry import MOST_MS, delay_ms
from .status import ErrorType, SyncError, SyncResult, SyncStatus
from .store import Store, StoreProblem, now_ms
from .transport import NotAllowed, ServerFault, Transport, TransportError, Unavailable, Unreachable
from .view import View

BRAKE = Brake()


class Client:
    """One person's things on one device. For one thread; several clients, in several processes, may share a store."""

    def __init__(
        self,
        path: Path,
        transport: Transport,
        *,
        kinds: frozenset[str] = frozenset(),
        wall_ms: Callable[[], int] = now_ms,
        chance: Callable[[], float] = random.random,
        brake: Brake = BRAKE,
        is_durable: bool = True,
        media: MediaTransport | None = None,
    ) -> None:
        """Open the store at `path`. `kinds` limits what is pulled (empty: all). `wall_ms`, `chance`: clock and dice.

        With `media` a synchronisation sends the files that were attached, and fetches those that notes and drafts name.
        """
        self.store = Store(path, is_durable=is_durable)
        self.view = View(self.store)
        self._transport = transport
        self._outbox = Outbox(self.store)
        self._pulled = Pulled(self.store)
        self._kinds = kinds
        self._wall_ms = wall_ms
        self._chance = chance
        self._brake = brake
        self._media = None if media is None else MediaFiles(self.store, media)
        self._lock = path.with_name(path.name + ".lock")

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    # Reading

    def get(self, type: str, id: str) -> dict[str, JsonValue] | None:
        """Return the fields of a thing, with one's own edits that wait; None if there is none, or it is deleted."""
        return self.view.get(type, id)

    def items(self, type: str) -> Iterator[tuple[str, dict[str, JsonValue]]]:
        """Return (id, fields) of all things of a kind."""
        return self.view.items(type)

    # Writing

    def create(self, type: str, fields: JsonObject, id: str | None = None) -> str:
        """Make a thing and return its id: a new one, or `id` where ids are derived (`sync.protocol.ids`). Queued, durable.

        ValueError for fields that the server's kinds do not have, and for texts that nobody could store.
        """
        id = str(uuid.UUID(id)) if id else str(uuid.uuid4())
        self._edit(type, id, Op.CREATE, fields)
        return id

    def patch(self, type: str, id: str, fields: JsonObject) -> None:
        """Change fields of a thing. Queued, durable. KeyError if it is not there; ValueError as for `create`."""
        self._edit(type, id, Op.PATCH, fields)

    def delete(self, type: str, id: str) -> None:
        """Delete a thing; the server keeps it in the trash. Queued, durable. KeyError if it is not there."""
        self._edit(type, id, Op.DELETE, {})

    # Files

    def attach(self, source: Path, media_type: str, name: str = "") -> dict[str, JsonValue]:
        """Keep a copy of a file for a note or draft; return what its `attachments` or a block's `attachment` takes. Durable.

        The next synchronisation sends it, in pieces, before the edits that name it. ValueError without `media`.
        """
        if self._media is None:
            raise ValueError("This client was opened without a way to send files.")
        return self._media.attach(source, media_type, name)

    def media(self, md5: str) -> Path | None:
        """Return where a file that notes or drafts name is on this device, None if it is not here (yet)."""
        return None if self._media is None else self._media.path_of(md5)

    def _edit(self, type: str, id: str, op: Op, fields: JsonObject) -> None:
        fields = cleaned(fields)
        with self.store.writing():
            kinds = self.store.kinds()
            if kinds and type not in kinds:
                raise ValueError(f"The server knows no {type!r}, only {', '.join(sorted(kinds))}.")
            if kinds and (unknown := sorted(set(fields) - kinds[type].writable)):
                raise ValueError(f"{type} has no field {unknown[0]!r} that may be written.")
            if op is not Op.CREATE and self.view.get(type, id) is None:
                raise KeyError(f"There is no {type} {id}.")
            clock = self._clock()
            names = fields if op is Op.PATCH else None  # the others are about the thing as a whole
            edit = Pending(op, fields, self.view.seen_version(type, id, names))
            self._outbox.add(type, id, edit, self._whole(type, id), clock.tick())
            self.store.remember(stamp=str(clock.last))
            self.store.drop_data_of_deleted(type, id)

    def _whole(self, type: str, id: str) -> dict[str, JsonValue]:
        kind = self.store.kinds().get(type)
        data = self.view.kept(type, id) or {}
        return {name: value for name, value in data.items() if kind is None or name in kind.writable}

    def _clock(self) -> HybridClock:
        last = self.store.recall("stamp")
        node = self.store.recall("device") or "device"
        return HybridClock(node, self._wall_ms, Stamp.parse(last) if last else None)

    # Deletions that need a confirmation

    def confirm_deletions(self) -> None:
        """Let the deletions that the brake holds take effect: those that wait to be sent, and those that came from the server."""
        with self.store.writing():
            self._outbox.confirm()
            for scope in self._pulled.held():
                self._pulled.confirm(scope)

    # Synchronising

    def sync(self, *, now: bool = True) -> SyncResult:
        """Push, then pull. Never raises for what a network, a server or a disk may do: the result says what was not possible.

        `now` False does nothing while the wait after a failure is not over. One at a time for a store: a second one says so.
        """
        result = SyncResult()
        try:
            with only_one(self._lock) as is_mine:
                if not is_mine:
                    message = "Another synchronisation of this store is running; its result counts."
                    result.errors.append(SyncError(ErrorType.CONFLICT, message))
                    return result
                next_try_ms = self.store.recall_number("next_try")
                if not now and self._wall_ms() < next_try_ms <= self._wall_ms() + MOST_MS:
                    result.errors.append(self._last_error() or SyncError(ErrorType.UNKNOWN, "Waiting to try again."))
                    return result
                self._synchronise(result)
        except (sqlite3.Error, OSError, StoreProblem) as error:
            message = "The store of this device cannot be read or written. Free disk space, or check the disk."
            result.errors.append(SyncError(ErrorType.STORAGE, message, repr(error)))
        return result

    def _synchronise(self, result: SyncResult) -> None:
        exchange = Exchange(
            self.store, self._transport, self._kinds, self._brake, self._wall_ms, self._clock, self._media
        )
        asked_ms = None
        try:
            exchange.run(result)
        except (TransportError, ProtocolProblem, WrongStore) as problem:
            result.errors.append(_error_of(problem))
            asked_ms = problem.retry_after_ms if isinstance(problem, Unavailable) else None
        result.held_deletions = self._outbox.held(self._brake) + sum(self._pulled.held().values())
        with self.store.writing():
            now = self._wall_ms()
            if result.success:
                result.last_sync_ms = now
                self.store.remember(last_sync=now, failures=None, next_try=None, error=None)
                return
            failures = self.store.recall_number("failures") + 1
            worst = result.errors[-1]
            wait = delay_ms(failures, self._chance, asked_ms)
            self.store.remember(failures=failures, next_try=now + wait, error=_error_text(worst))
            last = self.store.recall("last_sync")
            result.last_sync_ms = None if last is None else int(last)

    def verify(self) -> list[str]:
        """Compare digests with the server's; scopes that differ are pulled from zero with the next synchronisation. Return them.

        Only scopes that are complete are compared. Raises TransportError and ProtocolProblem.
        """
        drifted = []
        for scope in self.store.scopes():
            theirs = self._transport.digest(scope)
            if not self._pulled.is_complete(scope, theirs.version) or self._kinds:
                continue
            with self.store.writing():
                if self.store.digest(scope) != {name: kind for name, kind in theirs.kinds.items() if kind.count}:
                    self._pulled.start_over(scope)
                    drifted.append(scope)
        return drifted

    def status(self) -> SyncStatus:
        """Return how things are between synchronisations. Reads the store only."""
        with only_one(self._lock) as is_free:
            is_syncing = not is_free
        error = self._last_error()
        last, next_try = self.store.recall("last_sync"), self.store.recall("next_try")
        files = 0 if self._media is None else self._media.waiting()
        refused = int(self.store.db.execute("SELECT count(*) FROM refused").fetchone()[0])
        held = self._outbox.held(self._brake) + sum(self._pulled.held().values())
        return SyncStatus(
            is_enabled=not (error and error.type is ErrorType.AUTHENTICATION),
            last_sync_ms=None if last is None else int(last),
            pending_uploads={**self._outbox.counts(), **({"media": files} if files else {})},
            refused=refused,
            held_deletions=held,
            is_syncing=is_syncing,
            next_try_ms=None if next_try is None else int(next_try),
            last_error=error,
        )

    def refused(self) -> list[dict[str, JsonValue]]:
        """Return the edits that the server did not take, oldest first, with the reason and all that was written."""
        rows = self.store.db.execute("SELECT type, id, op, fields, reason, detail FROM refused ORDER BY seq")
        names = ("type", "id", "op", "fields", "reason", "detail")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _last_error(self) -> SyncError | None:
        text = self.store.recall("error")
        if text is None:
            return None
        reader = load(text, "The last error")
        return SyncError(ErrorType(reader.text("type")), reader.text("message", 10_000), "", reader.flag("retryable"))


def _error_of(problem: Exception) -> SyncError:
    match problem:
        case Unreachable():
            return SyncError(
                ErrorType.NETWORK, "The server cannot be reached. Edits are kept and sent later.", str(problem)
            )
        case NotAllowed() | WrongStore():
            return SyncError(ErrorType.AUTHENTICATION, str(problem), retryable=False)
        case Unavailable() | ServerFault():
            return SyncError(
                ErrorType.SERVER, "The server cannot do it now. Edits are kept and sent later.", str(problem)
            )
        case OutOfSequence():
            return SyncError(ErrorType.CONFLICT, str(problem))
        case ProtocolProblem():
            return SyncError(ErrorType.SERVER, str(problem), problem.code)
        case _:
            return SyncError(ErrorType.SERVER, str(problem))


def _error_text(error: SyncError) -> str:
    return dump(error.to_wire())
