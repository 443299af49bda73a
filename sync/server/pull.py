"""Pull: what changed in a scope since a cursor, the digest of a scope, and what this server is."""

import time
from collections.abc import Collection
from typing import Any

from accounts.models import Device
from changes.types import kinds_of, shown_kinds_of
from photolala.web.refusals import BadRequest
from sync.models import DeviceState, Server
from sync.protocol.messages import ChangesReply, DigestReply, EndedScope, Info, ScopeInfo

from .families import ended_scopes, note_pulled, require_scope
from .hints import versions_of
from .repository import SyncRepository


def pull(
    repository: SyncRepository, user: Any, token: Any, scope: str, cursor: str, kinds: Collection[str], limit: int
) -> ChangesReply:
    """Return the next page of changes of `scope` after `cursor` ("" begins). Raises as `require_scope`, and StartOver.

    Where nothing changed these are two queries.
    """
    access = require_scope(user, scope, token)
    known = {kind.name for kind in (*kinds_of(scope), *shown_kinds_of(scope))}
    if unknown := sorted(set(kinds) - known):
        raise BadRequest(
            f"There is nothing of the type {unknown[0][:40]!r} in this scope; there is {', '.join(sorted(known))}.",
            "bad_types",
        )
    reply, had = repository.changes(scope, cursor, kinds, limit)
    if not kinds and (cursor or not reply.changes):
        note_pulled(access, had)
    return reply


def digest(repository: SyncRepository, user: Any, scope: str) -> DigestReply:
    """Return count and sum of what is in the scope, by kind. Raises as `require_scope`."""
    require_scope(user, scope)
    version, kinds = repository.digest(scope)
    return DigestReply(scope, version, kinds)


def info(repository: SyncRepository, user: Any, device: Device | None) -> Info:
    """Return what this server is, and what `user` may see."""
    visible = repository.scopes()
    epoch = repository.epoch()
    versions = versions_of([scope.name for scope in visible])
    state = DeviceState.objects.filter(device=device).first() if device else None
    return Info(
        server_id=server_id(),
        user_id=str(user.pk),
        device_id=str(device.pk) if device else "",
        server_time_ms=time.time_ns() // 1_000_000,
        epoch=epoch,
        acked_through=state.acked_through if state else 0,
        scopes=tuple(ScopeInfo(scope.name, versions.get(scope.name, 0), scope.role) for scope in visible),
        ended=tuple(EndedScope(name, int(at.timestamp() * 1000)) for name, at in ended_scopes(user, visible)),
        kinds=tuple(repository.kinds()),
    )


def server_id() -> str:
    """Return the name under which devices keep what they have of this server."""
    row = Server.objects.first()
    if row is None:
        row, _ = Server.objects.get_or_create(number=1)
    return str(row.name)
