"""What changed since one last asked: for pages and phones that poll."""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, OuterRef, QuerySet, Subquery, Sum
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from rest_framework.response import Response

from accounts.models import User
from accounts.requests import Request
from catalog.models import Favourite, Library, Membership
from catalog.roots.told import told
from operations.api.operations import OperationBody, operation_json
from operations.models import Operation
from photolala.web.parameters import check_parameters, utc_text
from photolala.web.refusals import BadRequest
from photolala.web.views import ApiView, documented, query

MOST_OPERATIONS = 50
LONGEST_MARK = 100
SHOWN = (
    *("revision", "name", "warning", "photo_count", "problem_count", "missing_count", "size_bytes", "scanned_at"),
    *("cover_ids", "time_zone", "ratings", "file_times", "scan_every_hours", "verify_every_days", "is_watched"),
    *("trash_days", "snapshot_md5", "snapshot_revision", "owner_id"),
)
"""The columns of a library that pages and apps show: the revision counts changes of photos only."""


class ChangedLibrary(serializers.Serializer[Any]):
    """The figures of a library that changed."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    revision = serializers.IntegerField()
    photo_count = serializers.IntegerField()
    problem_count = serializers.IntegerField()
    missing_count = serializers.IntegerField()
    size_bytes = serializers.IntegerField()
    scanned_at = serializers.DateTimeField(allow_null=True)
    warning = serializers.CharField()


@extend_schema_serializer(deprecate_fields=["favorites_changed"])
class EventsBody(serializers.Serializer[Any]):
    """What changed, and what runs."""

    cursor = serializers.CharField(help_text="For the next `after=`.")
    libraries = ChangedLibrary(many=True, help_text="Those that changed since `after`; all without it.")
    gone = serializers.ListField(
        child=serializers.UUIDField(), help_text="Libraries seen at `after` that one sees no longer."
    )
    favourites_changed = serializers.BooleanField(help_text="One's own stars, in another tab or on another device.")
    favorites_changed = serializers.BooleanField(help_text="The former name of `favourites_changed`.")
    operations = OperationBody(many=True, help_text="One's own unfinished ones, as they stand.")


class Poll(ApiView):
    """Change notifications by asking."""

    @documented(
        "events_poll",
        "What changed since `after`: libraries by their revision, one's own stars, one's own unfinished operations.",
        {200: EventsBody},
        errors=(400, 401),
        parameters=[query("after", "`cursor` of the answer before; leave it out at first.", format="cursor")],
    )
    def get(self, request: Request) -> Response:
        check_parameters(request.query_params, {"after"})
        return Response(changes_since(request.user, request.query_params.get("after", "")))


def changes_since(user: User, cursor: str) -> dict[str, Any]:
    """Return what `user` may know of what changed since `cursor` was given. Three queries. Raises BadRequest."""
    before = _decode(cursor)
    own_role = Membership.objects.filter(user=user, library=OuterRef("pk")).values("role")[:1]
    visible = list(Library.objects.visible_to(user).annotate(own_role=Subquery(own_role)).order_by("pk"))
    stars = _stars(user)
    now = {"stars": stars, "libraries": {str(row.pk): _mark(row) for row in visible}}
    seen = before["libraries"]
    unfinished = Operation.objects.visible_to(user).unfinished().defer("checkpoint", "error_detail")
    return {
        "cursor": _encode(now),
        "libraries": [_library_json(row, user) for row in visible if seen.get(str(row.pk)) != _mark(row)],
        "gone": [key for key in seen if key not in now["libraries"]],
        "favourites_changed": bool(before["stars"]) and before["stars"] != stars,
        "favorites_changed": bool(before["stars"]) and before["stars"] != stars,
        "operations": [operation_json(row) for row in unfinished[:MOST_OPERATIONS]],
    }


def _stars(user: User) -> str:
    return _short_hash(star_facts(Favourite.objects.filter(user=user)))


def _mark(library: Any) -> str:
    return _short_hash((library.own_role, *(getattr(library, name) for name in SHOWN)))


def star_facts(favourites: QuerySet[Favourite]) -> tuple[Any, ...]:
    """Return what differs when a star was given, taken away or changed. One query."""
    facts = favourites.aggregate(
        count=Count("pk"), newest=Max("pk"), changed=Max("changed_at"), stars=Sum("rating", default=0)
    )
    return tuple(facts.values())


def _short_hash(facts: Sequence[Any]) -> str:
    return hashlib.md5(repr(facts).encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def _library_json(library: Library, user: User) -> dict[str, Any]:
    return {
        "id": str(library.pk),
        "name": library.name,
        "revision": library.revision,
        "photo_count": library.photo_count,
        "problem_count": library.problem_count,
        "missing_count": library.missing_count,
        "size_bytes": library.size_bytes,
        "scanned_at": utc_text(library.scanned_at),
        "warning": told(library, user, library.warning),
    }


def _encode(state: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(state, separators=(",", ":")).encode()).decode().rstrip("=")


def _decode(cursor: str) -> dict[str, Any]:
    if not cursor:
        return {"stars": "", "libraries": {}}
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        state = json.loads(raw)
        libraries = state["libraries"]
        texts = [state["stars"], *libraries.values()]
        if not all(isinstance(text, str) and len(text) <= LONGEST_MARK for text in texts):
            raise ValueError
        if any(key != str(UUID(key)) for key in libraries):
            raise ValueError
        return {"stars": state["stars"], "libraries": libraries}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error, UnicodeError):
        raise BadRequest(
            "This cursor is not one that was given here. Start again without `after`.", "bad_cursor"
        ) from None
