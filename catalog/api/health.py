"""Probes and figures for those who run the server."""

import logging
import time
import uuid
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import Storage
from django.db import Error, connection
from django.db.models import Count, F, Sum
from django.http import HttpResponse
from django.utils.crypto import constant_time_compare
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.cache import tree
from catalog.models import Library
from operations.models import ClockReading, Operation, State
from operations.overdue import overdue
from photolala.web.outages import outage_of
from photolala.web.proxies import IS_UNNAMED, client_address
from photolala.web.views import ApiView, documented

logger = logging.getLogger(__name__)
KEEP_SECONDS = 5.0
_written_at = -KEEP_SECONDS
_kept: tuple[Storage | None, float, str] = (None, 0.0, "")


class Health(serializers.Serializer[Any]):
    """Whether the service works, in one word."""

    status = serializers.ChoiceField(["ok", "failing"])
    checks = serializers.DictField(
        child=serializers.CharField(), required=False, help_text="Each check: ok, or a sentence."
    )


class Live(ApiView):
    """Liveness: the process answers requests."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @documented("health_live", "Whether the process answers at all.", {200: Health}, errors=(), auth=[])
    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})


class Ready(ApiView):
    """Readiness: database, disk and workers can be used."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @documented(
        "health_ready",
        "Whether database and cache tree can be used, and whether work that waits is heard by a worker.",
        {200: Health, 503: Health},
        errors=(),
        auth=[],
    )
    def get(self, request: Request) -> Response:
        checks = {"database": _database(), "cache": _cache_tree()}
        if checks["database"] == "ok":
            checks["worker"] = _worker()
        is_good = all(answer == "ok" for answer in checks.values())
        return Response({"status": "ok" if is_good else "failing", "checks": checks}, status=200 if is_good else 503)


class Metrics(ApiView):
    """Figures for Prometheus."""

    permission_classes = [AllowAny]

    @documented(
        "metrics",
        "Figures in Prometheus' text format: with `Authorization: Bearer` and PHOTOLALA_METRICS_TOKEN, from an address that "
        "PHOTOLALA_METRICS_FROM names, and for staff.",
        {200: bytes},
        errors=(401, 403),
        binary="text/plain",
    )
    def get(self, request: Request) -> HttpResponse:
        """Return them. A few queries over small tables."""
        if not (_has_metrics_token(request) or _is_named(request) or request.user.is_staff):
            if not request.user.is_authenticated:
                self.permission_denied(request)
            raise PermissionDenied("Figures are for staff.")
        text = "\n".join(_figures()) + "\n"
        return HttpResponse(text, content_type="text/plain; version=0.0.4; charset=utf-8")


def _has_metrics_token(request: Request) -> bool:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    wanted = settings.METRICS_TOKEN
    return bool(wanted) and kind.lower() == "bearer" and constant_time_compare(token.strip(), wanted)


def _is_named(request: Request) -> bool:
    """True if whoever asks is named; not if a proxy may stand between that is not, for then everybody has its address."""
    return client_address(request._request) in settings.METRICS_FROM and IS_UNNAMED not in request.META


def _database() -> str:
    """Read, and now and then write: a full disk can be read."""
    global _written_at
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if time.monotonic() - _written_at > KEEP_SECONDS:
            ClockReading.objects.update(heard_at=F("heard_at"))
            _written_at = time.monotonic()
    except Error as error:
        logger.exception("The database does not answer, or takes no changes")
        outage = outage_of(error)
        return outage.sentence if outage else "The database does not answer; see the log."
    return "ok"


def _worker() -> str:
    try:
        waiting = overdue()
    except Error:
        logger.exception("The operations cannot be read")
        return "The operations cannot be read; see the log."
    if waiting:
        return "Work has waited for more than three minutes, and no worker takes it: start the worker again."
    return "ok"


def _cache_tree() -> str:
    """Write and delete an object, but not each time that anybody in the world asks: a bucket's owner pays for it."""
    global _kept
    storage, asked, answer = _kept
    if storage is not tree.cache() or time.monotonic() - asked > KEEP_SECONDS:
        answer = _try_cache_tree()
        _kept = (tree.cache(), time.monotonic(), answer)
    return answer


def _try_cache_tree() -> str:
    storage = tree.cache()
    name = f"health/{uuid.uuid4()}"
    try:
        storage.delete(storage.save(name, ContentFile(b"ok")))
    except Exception:  # each storage has its own kinds of errors
        logger.exception("The cache tree cannot be written")
        return "The cache tree cannot be written; see the log."
    return "ok"


def _figures() -> Iterable[str]:
    totals = Library.objects.aggregate(
        libraries=Count("pk"), photos=Sum("photo_count"), problems=Sum("problem_count"), size=Sum("size_bytes")
    )
    for name, words, value in (
        ("libraries", "Libraries.", totals["libraries"]),
        ("photos", "Photos and videos that can be shown.", totals["photos"]),
        ("problems", "Damaged and broken files.", totals["problems"]),
        ("library_bytes", "Bytes of all catalogued files.", totals["size"]),
    ):
        yield f"# HELP photolala_{name} {words}"
        yield f"# TYPE photolala_{name} gauge"
        yield f"photolala_{name} {value or 0}"
    yield "# HELP photolala_operations Operations by kind and state."
    yield "# TYPE photolala_operations gauge"
    rows = Operation.objects.order_by("kind", "state").values_list("kind", "state").annotate(count=Count("pk"))
    for kind, state, count in rows:
        yield f'photolala_operations{{kind="{kind}",state="{State(state).value}"}} {count}'
