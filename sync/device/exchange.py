"""One synchronisation: ask who is there, push what waits, pull what changed."""

from collections.abc import Callable

from sync.protocol.clock import HybridClock
from sync.protocol.messages import ChangesRequest, Info, Mutation, PushRequest
from sync.protocol.problems import Malformed, OutOfSequence, StartOver, TooLarge

from .brake import Brake
from .media import MediaFiles
from .outbox import Outbox
from .pulled import Pulled
from .pushed import OtherReply, apply_reply
from .status import ErrorType, SyncError, SyncResult
from .store import Store, make_private
from .transport import NotThere, ServerFault, Transport

_MOST_RENUMBERINGS = 3


class WrongStore(Exception):
    """The store belongs to another server or person; nothing is sent or taken."""


class Exchange:
    """The steps of one synchronisation. The caller holds the store's lock."""

    def __init__(
        self,
        store: Store,
        transport: Transport,
        kinds: frozenset[str],
        brake: Brake,
        wall_ms: Callable[[], int],
        clock: Callable[[], HybridClock],
        media: MediaFiles | None = None,
    ) -> None:
        """`kinds` limits what is pulled; `clock` gives the hybrid clock as the store has it; `media` goes before and after."""
        self._store = store
        self._transport = transport
        self._kinds = kinds
        self._brake = brake
        self._wall_ms = wall_ms
        self._clock = clock
        self._media = media
        self._outbox = Outbox(store)
        self._pulled = Pulled(store)

    def run(self, result: SyncResult) -> None:
        """Push, then pull every scope. TransportError or ProtocolProblem if it cannot go on; what was done until then counts."""
        info = self._meet()
        if self._media is not None:
            self._media.send(result)  # before the edits that name them
        try:
            self._push_and_pull(info, result)
        except BaseException:
            if self._media is not None:
                self._media.may_lack = True  # what was pulled until then names files, perhaps
            raise
        if self._media is not None:
            self._media.fetch(result)

    def _push_and_pull(self, info: Info, result: SyncResult) -> None:
        if self._push(info, result):
            info = self._meet()  # a push makes versions, and perhaps scopes
        for scope in info.scopes:
            try:
                self._pull(scope.scope, scope.version, info, result)
            except (NotThere, Malformed, StartOver) as problem:  # the other scopes go on
                result.errors.append(SyncError(ErrorType.SERVER, f"{scope.scope}: {problem}"))

    def _meet(self) -> Info:
        """Ask for the server's info and bring the store into agreement with it."""
        info = self._transport.info()
        identity = {"server": info.server_id, "user": info.user_id}
        for name, value in identity.items():
            if self._store.recall(name) not in {None, value}:
                raise WrongStore(f"This store belongs to another {name}. Sign in as before, or use a new store.")
        epoch = self._store.recall("epoch")
        if epoch is not None and info.epoch < int(epoch):
            raise ServerFault(f"The server says epoch {info.epoch} after {epoch}: an old reply.")
        if epoch is not None and info.epoch > int(epoch):
            self._keep_copy(int(epoch))
        with self._store.writing():
            self._agree(info, epoch)
        return info

    def _agree(self, info: Info, epoch: str | None) -> None:
        store = self._store
        is_other_device = store.recall("device") not in {None, info.device_id}
        if is_other_device or epoch not in {None, str(info.epoch)}:
            self._outbox.forget_settled_mids()
            self._outbox.renumber(info.acked_through, keep_through=0 if is_other_device else info.acked_through)
        if store.recall_number("next_mid", 1) <= info.acked_through:  # a device that was set back to a backup of itself
            store.remember(next_mid=info.acked_through + 1)
        clock = self._clock()
        clock.receive_server_time(info.server_time_ms)
        kinds = ",".join(sorted(self._kinds)) or None
        widened = epoch is not None and store.recall("kinds") != kinds
        store.remember(
            server=info.server_id,
            user=info.user_id,
            device=info.device_id,
            epoch=info.epoch,
            stamp=str(clock.last),
            kinds=kinds,
        )
        if info.kinds:
            store.set_kinds(info.kinds)
        seen = {scope.scope for scope in info.scopes}
        for scope in info.scopes:
            store.add_scope(scope.scope)
        for ended in info.ended:
            if ended.scope not in seen:
                store.end_scope(ended.scope)
        is_restored = epoch is not None and info.epoch > int(epoch)
        if is_restored:  # what the server has no trace of was made after its backup; the copy of the store still has it
            for name in set(store.scopes()) - seen:
                store.end_scope(name)
        if widened or is_restored:
            for name in store.scopes():
                self._pulled.start_over(name)

    def _keep_copy(self, epoch: int) -> None:
        """Keep the store as it was: a restored server may lack what this device has."""
        copy = self._store.path.with_name(f"{self._store.path.name}.epoch-{epoch}")
        if not copy.exists():
            partial = copy.with_name(copy.name + ".partial")
            partial.unlink(missing_ok=True)
            make_private(partial)
            self._store.db.execute("VACUUM INTO ?", (str(partial),))
            partial.replace(copy)

    def _push(self, info: Info, result: SyncResult) -> bool:
        """Send all that waits; say whether something was sent."""
        has_sent = False
        most = info.limits.mutations
        attempts = 0
        while batch := self._next_batch(info, most):
            pending = self._outbox.counts()
            request = PushRequest(info.device_id, info.epoch, tuple(batch), pending)
            try:
                reply = self._transport.push(request)
            except OutOfSequence as problem:
                attempts += 1
                if attempts > _MOST_RENUMBERINGS:
                    raise
                # A gap: the server forgot. A mid with other content: a copy of this store used it.
                # Applying an edit twice changes nothing, losing one does.
                is_gap = problem.acked_through < batch[0].mid
                with self._store.writing():
                    self._outbox.renumber(problem.acked_through, keep_through=problem.acked_through if is_gap else 0)
                continue
            except TooLarge as problem:
                most = max(1, len(batch) // 2)
                if len(batch) == 1:
                    self._give_up(batch[0], problem, result)
                continue
            try:
                apply_reply(self._store, batch, reply, result, self._wall_ms())
            except OtherReply:
                raise ServerFault("The server's reply does not belong to what was sent.") from None
            has_sent = True
        return has_sent

    def _next_batch(self, info: Info, most: int) -> list[Mutation]:
        with self._store.writing():
            return self._outbox.next_batch(info.limits, self._brake)[:most]

    def _give_up(self, mutation: Mutation, problem: TooLarge, result: SyncResult) -> None:
        """Set an edit aside that no request can carry, so that those behind it get through."""
        with self._store.writing():
            for entry in self._outbox.of(mutation.type, mutation.id):
                if entry.mid == mutation.mid:
                    self._outbox.unsend(entry)
                    self._outbox.remove(entry)
                    self._outbox.refuse(entry, problem.code, problem.sentence, self._wall_ms())
                    result.refused_items += 1

    def _pull(self, scope: str, version: int, info: Info, result: SyncResult) -> None:
        """Ask for pages until the scope is complete. A cursor that the server no longer knows starts over, once."""
        if self._pulled.is_complete(scope, version):
            return
        may_start_over = True
        while True:
            cursor = self._pulled.progress(scope).cursor
            request = ChangesRequest(scope, cursor, tuple(sorted(self._kinds)), info.limits.rows)
            try:
                page = self._transport.changes(request)
            except StartOver:
                if not may_start_over:
                    raise
                may_start_over = False
                with self._store.writing():
                    self._pulled.start_over(scope)
                continue
            if page.since not in {None, cursor} or (page.has_more and page.cursor == cursor):
                raise ServerFault(f"The page of {scope} does not follow the one before.")
            result.downloaded_items += self._pulled.take(page, version, self._brake).rows
            if not page.has_more:
                return
