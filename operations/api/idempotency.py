"""`Idempotency-Key`: the same request, sent again because its answer was lost, is answered again and starts nothing.

The answer is kept for a day, in the transaction that starts the work: a process that is killed leaves both or neither. Only
what was done is kept; after a refusal the same key may be used for the same request again.
"""

import functools
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from accounts.models import User
from accounts.requests import Request
from operations.models import StoredAnswer
from operations.purging import KEPT_FOR
from photolala.web.refusals import BadRequest, Conflict, TooManyRequests, Unprocessable
from photolala.web.schema import header

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
MOST_KEPT = 1_000
"""Of one person."""
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_KEPT_HEADERS = ("Location", "Retry-After", "ETag")
Post = Callable[..., Response]

KEYED = [
    header(
        HEADER,
        "A name for this very request, say a UUID. Sent again with it within 24 hours, the request starts nothing and gets the "
        f"same answer, with `{REPLAYED}: true`. With another body: 422. While the first is under way: 409 with Retry-After. "
        f"Refusals are not kept. 429 after {MOST_KEPT:,} keys in a day.",
        kind={"pattern": "^[!-~]{1,255}$", "maxLength": 255},
    ),
    header(REPLAYED, "`true`: the request was answered before, and started nothing now.", [200, 201, 202]),
    header("Retry-After", "Seconds to wait, where the same request is under way.", [409], kind={"type": "integer"}),
]
"""What `documented` says of a method that takes a key."""

_lock = threading.Lock()
_under_way: set[tuple[Any, str, str]] = set()


@dataclass(frozen=True)
class Asked:
    """A request with a key: whose, where, and a digest of what it asks."""

    user: User
    route: str
    key: str
    digest: str

    @property
    def name(self) -> tuple[Any, str, str]:
        """What makes it the same request."""
        return self.user.pk, self.route, self.key

    def rows(self) -> Any:
        """Return the rows of it: one, or none."""
        return StoredAnswer.objects.filter(user=self.user, route=self.route, key=self.key)


def idempotent(*, atomic: bool = True) -> Callable[[Post], Post]:
    """Let a view's `post` be asked with a key. `documented` goes around it.

    With `atomic` the whole method runs in one transaction with its answer. Work that has to commit as it goes is begun with
    `atomic=False`: killed midway it is done again, and finds in `begun_before(request)` since when.
    """

    def decorate(post: Post) -> Post:
        @functools.wraps(post)
        def asked_once(view: Any, request: Request, *arguments: Any, **named: Any) -> Response:
            key = request.headers.get(HEADER)
            if key is None:
                return post(view, request, *arguments, **named)
            asked = _asked(request, key)
            work = functools.partial(post, view, request, *arguments, **named)
            with _alone(asked):
                if atomic:
                    with transaction.atomic():
                        return _replayed(asked) or _done(asked, work)
                return _replayed(asked) or _done_in_steps(asked, request, work)

        return asked_once

    return decorate


def begun_before(request: Request) -> datetime | None:
    """Return when the same request was begun by a process that died at it; None if this is the first."""
    return getattr(request, "_begun_before", None)


def _asked(request: Request, key: str) -> Asked:
    if not _KEY.fullmatch(key):
        raise BadRequest(f"{HEADER} must be 1 to 255 letters, digits and signs, without spaces.", "bad_key")
    http = request._request
    digest = hashlib.sha256()
    for part in (http.META.get("QUERY_STRING", "").encode(), (request.content_type or "").encode(), http.body):
        digest.update(len(part).to_bytes(8, "big") + part)
    return Asked(request.user, f"{request.method} {http.path_info}", key, digest.hexdigest())


@contextmanager
def _alone(asked: Asked) -> Iterator[None]:
    """Be the only one at it, in this process and, on PostgreSQL, in all. Raises Conflict if somebody else is.

    Two processes over one SQLite file take turns by its transactions: the second finds the answer of the first.
    """
    with _lock:
        if asked.name in _under_way:
            raise _is_under_way()
        _under_way.add(asked.name)
    try:
        if connection.vendor != "postgresql":
            yield
            return
        number = lock_number(asked)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [number])
            if not cursor.fetchone()[0]:
                raise _is_under_way()
        try:
            yield
        finally:
            if connection.is_usable():  # a connection that is lost has lost its locks
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_unlock(%s)", [number])
    finally:
        with _lock:
            _under_way.discard(asked.name)


def lock_number(asked: Asked) -> int:
    """Return the number of PostgreSQL's advisory lock for a request."""
    return int.from_bytes(hashlib.sha256(repr(asked.name).encode()).digest()[:8], "big", signed=True)


def _is_under_way() -> Conflict:
    return Conflict(
        "This very request is being worked on just now. Ask again in a moment.", "in_progress", wait_seconds=1
    )


def _replayed(asked: Asked) -> Response | None:
    """Return the answer that is kept; None if there is none. Raises Unprocessable for another request with that key."""
    kept = asked.rows().first()
    if kept is None:
        return None
    if kept.created_at <= timezone.now() - KEPT_FOR:
        asked.rows().delete()
        return None
    if kept.asked != asked.digest:
        raise Unprocessable(
            f"This {HEADER} was used here for another request within the last day. Nothing was done; take a new key.",
            "key_reused",
        )
    if not kept.status:
        return None
    return Response(
        json.loads(kept.body) if kept.body else None, kept.status, headers={**kept.headers, REPLAYED: "true"}
    )


def _done(asked: Asked, work: Callable[[], Response]) -> Response:
    """Do the work in the transaction that is open, and keep its answer."""
    _require_room(asked.user)
    answer = work()
    if _is_kept(answer):
        _keep(asked, answer)
    return answer


def _done_in_steps(asked: Asked, request: Request, work: Callable[[], Response]) -> Response:
    """Say that the work begins, do it, and keep its answer."""
    begun = asked.rows().first()
    if begun is None:
        _require_room(asked.user)
        StoredAnswer(**_columns(asked), created_at=timezone.now()).save(force_insert=True)
    else:
        request._begun_before = begun.created_at  # type: ignore[attr-defined]
    try:
        answer = work()
    except Exception:  # whoever is killed leaves it
        asked.rows().filter(status=0).delete()
        raise
    if _is_kept(answer):
        _keep(asked, answer)
    else:
        asked.rows().filter(status=0).delete()
    return answer


def _keep(asked: Asked, answer: Response) -> None:
    said = {
        "status": answer.status_code,
        "headers": {name: answer[name] for name in _KEPT_HEADERS if answer.has_header(name)},
        "body": "" if answer.data is None else JSONRenderer().render(answer.data).decode(),
    }
    if not asked.rows().update(**said):
        StoredAnswer(**_columns(asked), **said, created_at=timezone.now()).save(force_insert=True)


def _columns(asked: Asked) -> dict[str, Any]:
    return {"user": asked.user, "route": asked.route, "key": asked.key, "asked": asked.digest}


def _is_kept(answer: Response) -> bool:
    return 200 <= answer.status_code < 300


def _require_room(user: User) -> None:
    """Raise TooManyRequests if the person has as many answers kept as there may be."""
    since = timezone.now() - KEPT_FOR
    mine = StoredAnswer.objects.filter(user=user)
    mine.filter(created_at__lte=since).delete()
    if mine.count() < MOST_KEPT:
        return
    oldest = mine.order_by("created_at").values_list("created_at", flat=True).first()
    wait = int((oldest - since).total_seconds()) + 1 if oldest else 1
    raise TooManyRequests(
        f"You used {MOST_KEPT:,} keys within a day, as many as are kept. Nothing was done; send it without {HEADER}, or later.",
        "too_many_keys",
        wait_seconds=max(1, wait),
    )
