"""The three families of scopes, and who may see which of them: a person's own things, libraries, albums."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db.models import QuerySet, Subquery
from django.utils import timezone

from accounts.models import Device, User
from changes.models import EndedScope
from changes.scopes import parse_scope, scope_name
from changes.types import SCOPES, kinds_of
from photolala.web.parameters import utc_text
from photolala.web.refusals import BadRequest, NotThere
from sync.models import PulledScope

from .refusals import ScopeEnded
from .repository import VisibleScope

_MODELS = {"library": "Library", "album": "Album"}


@dataclass(frozen=True)
class Access:
    """A scope that the user may see, and how far the device that asks is in it."""

    scope: str
    device_id: UUID | None
    pulled_version: int | None
    pulled_at: datetime | None


def families() -> list[str]:
    """Return the families in which there is anything to sync."""
    return [family for family in SCOPES if kinds_of(family)]


def visible_keys(family: str, user: Any) -> Any:
    """Return the UUIDs of the scopes of a family that `user` may see, as a list or a query for `__in`."""
    return [user.pk] if family == "user" else _model(family).objects.visible_to(user).values("pk")


def held_keys(family: str, user: Any) -> Any:
    """Return as `visible_keys`, with those in the trash of `user`, which an edit that has not seen the deletion brings back."""
    if family != "album":
        return visible_keys(family, user)
    albums = _model(family).objects
    return (albums.visible_to(user) | albums.in_trash_of(user)).values("pk")


def visible_scopes(user: Any) -> list[VisibleScope]:
    """Return all scopes that `user` may see: their own first. Two queries for libraries, two for albums."""
    found = [VisibleScope(scope_name("user", user.pk), "owner")]
    for family in families():
        if family == "user":
            continue
        model = _model(family)
        editable = set(model.objects.editable_by(user).values_list("pk", flat=True))
        for key, owner in model.objects.visible_to(user).order_by("pk").values_list("pk", "owner_id"):
            role = "owner" if owner == user.pk else "editor" if key in editable else "viewer"
            found.append(VisibleScope(scope_name(family, key), role))
    return found


def require_scope(user: Any, scope: str, token: Any = None) -> Access:
    """Return what `user`, with the device of `token`, may read of the scope. One query.

    Raises BadRequest for what is no name of a scope, ScopeEnded if it was taken away, NotThere for all others alike.
    """
    try:
        family, key = parse_scope(scope)
    except ValueError:
        raise BadRequest(
            "scope must be library:, album: or user: and an id, as `info` names them.", "bad_scope"
        ) from None
    row = _with_device(_visible(family, user).filter(pk=key), scope, getattr(token, "pk", None)).first()
    if row is not None:
        return Access(scope, *row)
    ended = EndedScope.objects.filter(user=user, scope=scope).values_list("at", flat=True).first()
    if ended is None and family == "album":
        ended = _trashed_albums(user).filter(pk=key).values_list("trashed_at", flat=True).first()
    if ended is not None:
        raise ScopeEnded(
            f"{scope} is not shared with you any more, or was deleted, since {utc_text(ended)}. Remove your copy of it.",
            endedAt=utc_text(ended),
        )
    raise NotThere("There is no such scope, or none that you may see.")


def ended_scopes(user: Any, visible: Iterable[VisibleScope]) -> list[tuple[str, datetime]]:
    """Return which scopes `user` could see once and sees no longer, and since when: albums in the trash, too. Two queries."""
    seen = {scope.name for scope in visible}
    ended = dict(EndedScope.objects.filter(user=user).values_list("scope", "at"))
    if "album" in families():
        in_trash = _trashed_albums(user).order_by().values_list("pk", "trashed_at")
        ended |= {scope_name("album", key): at for key, at in in_trash}
    return sorted(((scope, at) for scope, at in ended.items() if scope not in seen), key=lambda one: (one[1], one[0]))


def note_pulled(access: Access, version: int, *, every_seconds: int = 300) -> None:
    """Write down that the device has all of the scope up to `version`; seldom, where that is no news."""
    if access.device_id is None:
        return
    now = timezone.now()
    is_news = access.pulled_version != version
    is_due = access.pulled_at is None or not 0 <= (now - access.pulled_at).total_seconds() < every_seconds
    if is_news or is_due:
        PulledScope.objects.update_or_create(
            device_id=access.device_id, scope=access.scope, defaults={"version": version, "pulled_at": now}
        )


def _visible(family: str, user: Any) -> QuerySet[Any]:
    return User.objects.filter(pk=user.pk) if family == "user" else _model(family).objects.visible_to(user)


def _with_device(rows: QuerySet[Any], scope: str, token: Any) -> QuerySet[Any]:
    device = Device.objects.filter(token_id=token)
    pulled = PulledScope.objects.filter(device__token_id=token, scope=scope)
    return rows.order_by().values_list(
        Subquery(device.values("pk")[:1]),
        Subquery(pulled.values("version")[:1]),
        Subquery(pulled.values("pulled_at")[:1]),
    )


def _trashed_albums(user: Any) -> QuerySet[Any]:
    """Return the albums that `user` sees no longer because they are in the trash; should one come back, its scope goes on."""
    return _model("album").objects.trashed_for(user)


def _model(family: str) -> Any:
    return apps.get_model("catalog", _MODELS[family])
