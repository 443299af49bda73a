"""Status: what waits where, for each device of a person: for the profile, the pages and the API."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from accounts.models import Device
from changes import types as registry
from changes.models import Scope, Shown, Tombstone
from sync.models import Conflict, DeviceState, PulledScope

from .families import visible_scopes

MOST_DEVICES = 200
MOST_COUNTED = 20
"""Scopes of a device whose waiting rows are counted by kind; of further ones it is only said that they wait."""
ADVICE = {
    "gone": "It was deleted for good, or is not shared with you any more. What you wrote is still on the device.",
    "missing_ref": "What it belongs to is not there, or not shared with you any more. What you wrote is still on the device.",
    "read_only": "It cannot be changed from a device; change it on the server's pages.",
    "unknown_type": "The app is newer than the server: update the server, then edit it once more.",
    "unknown_field": "The app is newer than the server: update the server, then edit it once more.",
    "malformed": "The app sent something that cannot be read: update the app.",
    "bad_text": "It holds a character that cannot be stored: edit the text on the device.",
}
ADVISE_OTHERWISE = "What you wrote is still on the device: read the reason, change it there, and it is sent again."


@dataclass(frozen=True)
class Failure:
    """A mutation that was refused, and what a person can do about it."""

    mid: int
    kind: str
    id: str
    at: str
    reason: str
    detail: str
    advice: str


@dataclass(frozen=True)
class DeviceStatus:
    """How a device stands: what waits on it, and what waits here for it, by kind."""

    device: Device
    acked_through: int
    last_push_at: datetime | None
    last_pull_at: datetime | None
    to_push: dict[str, int]
    to_pull: dict[str, int]
    scopes_behind: int
    failures: list[Failure]

    @property
    def has_synced(self) -> bool:
        """True if it ever pushed or pulled."""
        return self.last_push_at is not None or self.last_pull_at is not None


def status_of(user: Any) -> list[DeviceStatus]:
    """Return how the devices of `user` stand, the last seen first."""
    devices = Device.objects.filter(user=user).select_related("sync_state").order_by("-created_at", "pk")[:MOST_DEVICES]
    names = [scope.name for scope in visible_scopes(user)]
    versions = dict(Scope.objects.filter(name__in=names).values_list("name", "version"))
    pulled: dict[Any, list[PulledScope]] = {}
    for row in PulledScope.objects.filter(device__user=user):
        pulled.setdefault(row.device_id, []).append(row)
    return [_status(device, pulled.get(device.pk, []), versions) for device in devices]


def conflicts_count(user: Any) -> int:
    """Return how many conflicts wait for `user`."""
    return Conflict.objects.visible_to(user).open().count()


def failures_of(state: DeviceState | None) -> list[Failure]:
    """Return the last mutations that were refused."""
    rows = state.errors if state else []
    return [
        Failure(
            mid=row["mid"],
            kind=row["kind"],
            id=row["id"],
            at=row["at"],
            reason=row["reason"],
            detail=row["detail"],
            advice=ADVICE.get(row["reason"], ADVISE_OTHERWISE),
        )
        for row in rows
    ]


def _status(device: Device, pulled: Sequence[PulledScope], versions: dict[str, int]) -> DeviceStatus:
    state: DeviceState | None = getattr(device, "sync_state", None)
    behind = [row for row in pulled if row.scope in versions and row.version < versions[row.scope]]
    waiting: dict[str, int] = {}
    for row in behind[:MOST_COUNTED]:
        for kind, count in _waiting(row.scope, row.version).items():
            waiting[kind] = waiting.get(kind, 0) + count
    return DeviceStatus(
        device=device,
        acked_through=state.acked_through if state else 0,
        last_push_at=state.last_push_at if state else None,
        last_pull_at=max((row.pulled_at for row in pulled), default=None),
        to_push=dict(state.pending) if state else {},
        to_pull=waiting,
        scopes_behind=len(behind),
        failures=failures_of(state),
    )


def _waiting(scope: str, version: int) -> dict[str, int]:
    """Return how many things of each kind changed in the scope after `version`."""
    _, key = registry.parse_scope(scope)
    is_later = Q(version__gt=version)
    found: dict[str, int] = {}
    for kind in registry.kinds_of(scope):
        found[kind.name] = kind.model._base_manager.filter(is_later, **{kind.scope_column: key}).count()
    for kind in registry.shown_kinds_of(scope):
        found[kind.name] = Shown.objects.filter(is_later, scope=scope, kind=kind.name).count()
    for name in Tombstone.objects.filter(is_later, scope=scope).values_list("kind", flat=True):
        found[name] = found.get(name, 0) + 1
    return {name: count for name, count in found.items() if count}
