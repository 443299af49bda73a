"""The kombu transport behind `sqliteq:///absolute/path`: Celery's broker for one machine without a server.

Any number of processes on one machine share the file. A message is deleted when it is acknowledged; one whose worker
died (kill -9 included) goes back to its place, and one that was delivered `max_deliveries` times without an end is set
aside as dead. The broker is no memory: a lost message is sent again by the sweep over unfinished operations.

Transport options: `polling_interval` (seconds between looks at an empty queue) and `max_deliveries`.
"""

import logging
import sqlite3
import time
from collections.abc import Callable
from queue import Empty
from typing import Any

from kombu.transport import virtual
from kombu.utils.json import dumps, loads

from photolala.broker.store import MAX_DELIVERIES, MessageStore, open_store

Payload = dict[str, Any]
POLLING_INTERVAL_SECONDS = 0.25
MESSAGES_A_TURN = 50
LONGEST_REST_SECONDS = 10.0
logger = logging.getLogger(__name__)


class QoS(virtual.QoS):
    """The messages this channel holds; every end of one is written to the file at once."""

    channel: "Channel"

    def ack(self, delivery_tag: str) -> None:
        """Delete the message: its work is done."""
        self.channel.store.settle(delivery_tag)
        super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Delete the message, or with `requeue` give it back; its delivery counts, so that a deadly message ends."""
        self.channel.store.settle(delivery_tag, release=requeue)
        super().ack(delivery_tag)


class Channel(virtual.Channel):
    """One channel of a connection; all channels of a process share its one connection to the file."""

    QoS = QoS
    supports_fanout = True
    from_transport_options = (*virtual.Channel.from_transport_options, "max_deliveries")
    max_deliveries = MAX_DELIVERIES

    def __init__(self, connection: Any, **kwargs: Any) -> None:
        super().__init__(connection, **kwargs)
        self.store: MessageStore = open_store("/" + connection.client.virtual_host.lstrip("/"))
        self.store.max_deliveries = self.max_deliveries
        self._transient_queues: set[str] = set()
        self._unacknowledged_queues: set[str] = set()
        self._own_bindings: dict[tuple[str, str, str, str], bool] = {}
        self._file_id = self.store.file_id()
        self._rests_until = 0.0
        self._rest_seconds = POLLING_INTERVAL_SECONDS

    # Consuming

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> Any:
        """Consume from `queue`; with `no_ack` its messages are gone as soon as they are taken."""
        if no_ack:
            self._unacknowledged_queues.add(queue)
        return super().basic_consume(queue, no_ack, *args, **kwargs)

    def basic_cancel(self, consumer_tag: str) -> None:
        self._unacknowledged_queues.discard(self._tag_to_queue.get(consumer_tag, ""))
        super().basic_cancel(consumer_tag)

    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Any:
        """Return the next message of `queue`, None if none waits."""
        message = super().basic_get(queue, no_ack=no_ack, **kwargs)
        if message is not None and message.delivery_tag and no_ack:
            self.store.remove(message.delivery_tag)
        return message

    def _get(self, queue: str, timeout: float | None = None) -> Payload:
        """Return the next message. While the disk refuses there is none: connecting again would not change that."""
        if time.monotonic() < self._rests_until:
            raise Empty
        try:
            payload = self._next(queue)
        except (sqlite3.OperationalError, OSError) as error:
            self._rests_until = time.monotonic() + self._rest_seconds
            self._rest_seconds = min(LONGEST_REST_SECONDS, 2 * self._rest_seconds)
            logger.warning("The broker's file cannot be used (%s); it is tried again until it can.", error)
            raise Empty from error
        self._rest_seconds = POLLING_INTERVAL_SECONDS
        return payload

    def _next(self, queue: str) -> Payload:
        self._bind_again_after_replacement()
        while taken := self.store.take(queue, keep=queue not in self._unacknowledged_queues):
            try:
                payload: Payload = loads(taken.body)
                properties = payload["properties"]
                properties["delivery_tag"] = taken.tag
            except (ValueError, KeyError, TypeError) as error:
                self.store.bury(taken.tag, f"it cannot be read ({error})")
                continue
            if taken.deliveries > 1:
                properties["delivery_info"]["redelivered"] = payload["redelivered"] = True
            return payload
        raise Empty

    def _restore(self, message: Any) -> None:
        """Give a message back when its connection closes: not its fault, so the delivery does not count."""
        self.store.settle(message.delivery_tag, release=True, count=False)

    # Publishing

    def _put(self, queue: str, message: Payload, **kwargs: Any) -> None:
        self.store.put(queue, dumps(message), self._get_message_priority(message))

    def _put_fanout(self, exchange: str, message: Payload, routing_key: str, **kwargs: Any) -> None:
        expires = (message.get("headers") or {}).get("expires")
        expires_at = float(expires) if isinstance(expires, int | float) and expires > 0 else None
        self.store.put_to_bound(exchange, dumps(message), self._get_message_priority(message), expires_at)

    # Queues and bindings

    def _new_queue(self, queue: str, **kwargs: Any) -> None:
        if kwargs.get("auto_delete") or kwargs.get("exclusive"):
            self._transient_queues.add(queue)

    def _size(self, queue: str) -> int:
        return self.store.size(queue)

    def _purge(self, queue: str) -> int:
        return self.store.purge(queue)

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        transient = queue in self._transient_queues or self.typeof(exchange).type == "fanout"
        binding = (exchange, routing_key or "", pattern or "", queue)
        self._own_bindings[binding] = transient
        self.store.bind(*binding, transient=transient)

    def _bind_again_after_replacement(self) -> None:
        if self._file_id == (file_id := self.store.file_id()):
            return
        for binding, transient in self._own_bindings.items():
            self.store.bind(*binding, transient=transient)
        self._file_id = file_id

    def get_table(self, exchange: str) -> list[tuple[str, str, str]]:
        """Return the bindings of `exchange`: those in the file and those declared here (the file may be new)."""
        table = dict.fromkeys(self.store.bindings(exchange))
        for routing_key, pattern, queue in self._declared_table(exchange):
            table[routing_key or "", pattern or "", queue] = None
        return list(table)

    def _declared_table(self, exchange: str) -> list[tuple[str, str | None, str]]:
        table: list[tuple[str, str | None, str]] = (self.state.exchanges or {}).get(exchange, {}).get("table", [])
        return table

    def queue_unbind(
        self, queue: str, exchange: str | None = None, routing_key: str = "", arguments: Any = None, **kwargs: Any
    ) -> None:
        """Stop routing `exchange` with `routing_key` to `queue`."""
        exchange = exchange or "amq.direct"
        self.state.binding_delete(queue, exchange, routing_key)
        self._forget_bindings(queue, exchange, routing_key)
        self.store.unbind(exchange, routing_key or "", queue)

    def _delete(self, queue: str, exchange: str, *args: Any, **kwargs: Any) -> None:
        self._forget_bindings(queue, exchange)
        self.store.delete_queue(queue)

    def _forget_bindings(self, queue: str, exchange: str, routing_key: str | None = None) -> None:
        def is_other(entry_key: str, entry_queue: str) -> bool:
            return entry_queue != queue or (routing_key is not None and (entry_key or "") != (routing_key or ""))

        declared = self._declared_table(exchange)
        declared[:] = [entry for entry in declared if is_other(entry[0], entry[2])]
        self._own_bindings = {
            key: transient
            for key, transient in self._own_bindings.items()
            if key[0] != exchange or is_other(key[1], key[3])
        }


class Transport(virtual.Transport):
    """Connections to the broker file named by the URL's path."""

    Channel = Channel
    driver_type = "sqlite"
    driver_name = "sqliteq"
    polling_interval = POLLING_INTERVAL_SECONDS
    implements = virtual.Transport.implements.extend(
        asynchronous=True, exchange_type=frozenset(["direct", "topic", "fanout"])
    )
    # Locked for too long, disk full, read-only, away: Celery connects again, however long that takes.
    connection_errors = (*virtual.Transport.connection_errors, sqlite3.OperationalError, OSError)

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        self._leave_event_loop: Callable[[], None] | None = None

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Look for messages at each turn of Celery's event `loop`, and turn it at least every `polling_interval` seconds.

        With an event loop Celery gives each of its processes a pipe of its own. Without, they share one pipe and a lock
        on it, and a process that is killed while it waits for work takes the lock with it: no other ever works again.
        """
        if self._leave_event_loop is not None:
            self._leave_event_loop()
        loop.on_tick.add(self._deliver_waiting)
        ticking = loop.call_repeatedly(self.polling_interval, _turn)

        def leave() -> None:
            loop.on_tick.discard(self._deliver_waiting)
            ticking.cancel()

        self._leave_event_loop = leave

    def close_connection(self, connection: Any) -> None:
        """Leave the event loop, give back what was not finished, close."""
        if self._leave_event_loop is not None:
            self._leave_event_loop()
            self._leave_event_loop = None
        super().close_connection(connection)

    def _deliver_waiting(self) -> None:
        """Deliver what waits, as far as the consumers have room, then let the event loop do its other work."""
        cycle = self.cycle
        for _ in range(MESSAGES_A_TURN):
            if cycle is None:  # closed by what a message did
                return
            try:
                cycle.get(self._deliver)
            except Empty:
                return

    @property
    def default_connection_params(self) -> dict[str, Any]:
        """Return nothing: a file has no host or port."""
        return {}

    def driver_version(self) -> str:
        """Return the version of the SQLite library."""
        return sqlite3.sqlite_version


def _turn() -> None:
    """Do nothing: a timer that fires is what turns the event loop."""
