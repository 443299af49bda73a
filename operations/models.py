"""Operation: the one way in which long work runs."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Count, Exists, OuterRef, Q, Subquery
from django.utils import timezone

from accounts.models import User
from photolala.lib.process import boot_seconds, is_dead, is_of_this_boot


class State(models.TextChoices):
    """Where an operation stands (formats.md §7)."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


INTERRUPTIONS = "interruptions"
"""In an operation's metrics: how often it was taken over from a worker that was killed, or lost its lease."""
ACTIVE = (State.PENDING, State.RUNNING)
UNFINISHED = (State.PENDING, State.RUNNING, State.INTERRUPTED, State.FAILED)
ENDED = (State.COMPLETED, State.FAILED, State.CANCELLED)
# One table maps the words of the export jobs (API) and records (files) to ours; no other place compares strings.
EXPORT_JOB_WORDS = {
    State.PENDING: "queued",
    State.RUNNING: "running",
    State.INTERRUPTED: "queued",
    State.COMPLETED: "completed",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
}


class OperationQuerySet(models.QuerySet["Operation"]):
    """Reads that say who may see."""

    def visible_to(self, user: User) -> Self:
        """Only the operations that `user` started."""
        return self.filter(owner=user)

    def unfinished(self) -> Self:
        """Those that still want work, or a person's decision."""
        return self.filter(state__in=UNFINISHED, superseded=False)

    def first_in_line(self) -> Self:
        """Those that no other one of their line precedes, which may run."""
        return self.filter(Q(line="") | ~Exists(before_in_line(OuterRef)))

    def with_place(self) -> Self:
        """Each with what its `ahead` needs, so that a list of them costs no query for each."""
        before = before_in_line(OuterRef).values("line").annotate(number=Count("pk")).values("number")
        return self.annotate(ahead_count=Subquery(before))


class Operation(models.Model):
    """One piece of long work: visible, cancellable, resumable by claiming it again, safe to run twice.

    ::

        start() ──> pending ──claim──> running ──────────────> completed
                    ^  ^  │            │ │ │ └─ error ───────> failed ────── retry ──┐
                    │  │  └─ cancel ─┐ │ │ └─── cancel ──────> cancelled ── resume ──┤
                    │  │             └─┼─┼────────────────────────^                  │
                    │  └─ worker stops ┘ └─ Ctrl-C in a command -> interrupted ─ resume ──┤
                    └────────────────────────────────────────────────────────────────┘
        running ──> pending          when it gives way to other work (`turns`): no attempt, and claimed again in its turn
        running ──claim──> running   when the lease ran out or its worker is dead: same row, next token

    `token` is the fencing number: every claim adds one, and every checkpoint and every publish is `WHERE token = mine`;
    zero rows updated means: stop, it is someone else's. The broker only carries wake-up messages; this row is the truth.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="operations")
    kind = models.CharField(max_length=40)
    subject = models.CharField(max_length=200, blank=True, help_text="What it works on, in words for people.")
    active_key = models.CharField(max_length=100, blank=True, help_text="Only one active operation may hold a key.")
    line = models.CharField(
        max_length=100,
        blank=True,
        default="",
        db_default="",
        help_text="Of those that name the same line one runs at a time, in the order in which they were made.",
    )
    params = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=12, choices=State, default=State.PENDING)
    superseded = models.BooleanField(default=False, help_text="A later operation did or does the same work.")

    token = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_offset = models.FloatField(
        null=True,
        blank=True,
        help_text="Wall clock minus boot clock of its machine when the lease was written, seconds.",
    )
    worker = models.CharField(max_length=200, blank=True)
    attempts = models.PositiveIntegerField(default=0, help_text="Claims since the last progress.")
    cancel_requested = models.BooleanField(default=False)
    stop_requested = models.BooleanField(default=False, help_text="Its worker is shutting down.")
    enqueued_at = models.DateTimeField(null=True, blank=True)

    phase = models.CharField(max_length=60, blank=True)
    done = models.PositiveBigIntegerField(default=0)
    total = models.PositiveBigIntegerField(null=True, blank=True)
    unit = models.CharField(max_length=20, default="photos")
    rate = models.FloatField(null=True, blank=True, help_text="Units per second, lately.")
    metrics = models.JSONField(default=dict, blank=True)
    checkpoint = models.JSONField(default=dict, blank=True, help_text="What a later claim must know; never an index.")
    result = models.JSONField(default=dict, blank=True)
    error = models.TextField(blank=True, help_text="A sentence for people.")
    error_code = models.CharField(max_length=40, blank=True)
    error_detail = models.TextField(blank=True, help_text="The technical part.")

    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = OperationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["active_key"],
                condition=models.Q(state__in=["pending", "running"]) & ~models.Q(active_key=""),
                name="one_active_operation_per_key",
            ),
            models.UniqueConstraint(
                fields=["line"], condition=Q(state="running") & ~Q(line=""), name="one_running_operation_per_line"
            ),
            models.CheckConstraint(condition=models.Q(state__in=State.values), name="operation_state_is_known"),
        ]
        indexes = [
            models.Index(fields=["owner", "-created_at"], name="operation_by_owner"),  # the operations page
            models.Index(fields=["state", "updated_at"], name="operation_by_state"),  # the sweep
            models.Index(fields=["kind"], name="operation_by_kind"),
            models.Index(  # whose turn it is in a line
                fields=["line", "created_at"],
                condition=Q(state__in=["pending", "running"]) & ~Q(line=""),
                name="operation_line",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject} ({self.state})"

    @property
    def went_on(self) -> bool:
        """True if a worker was killed at it, and another one continued."""
        return bool(self.metrics.get(INTERRUPTIONS))

    @property
    def is_active(self) -> bool:
        """True while it waits or runs."""
        return self.state in ACTIVE

    @property
    def ahead(self) -> int | None:
        """How many of its line come first, while it waits for its turn in one; else None. A query, unless read `with_place`."""
        if self.state != State.PENDING or not self.line:
            return None
        if "ahead_count" in self.__dict__:
            return self.__dict__["ahead_count"] or 0
        return before_in_line(lambda name: getattr(self, name)).count()

    @property
    def eta_seconds(self) -> float | None:
        """Seconds to go at the present rate, or None when that cannot be said."""
        if self.state != State.RUNNING or not self.total or not self.rate or self.total <= self.done:
            return None
        return (self.total - self.done) / self.rate

    @property
    def fraction(self) -> float | None:
        """Progress from 0 to 1, or None while the total is unknown."""
        if self.state == State.COMPLETED:
            return 1.0
        return min(1.0, self.done / self.total) if self.total else None

    @property
    def can_resume(self) -> bool:
        """True if a person may set it to work again."""
        return self.state in (State.INTERRUPTED, State.CANCELLED, State.FAILED) and not self.superseded

    @property
    def seconds(self) -> float | None:
        """How long it has run or ran, by the clock."""
        if not self.started_at:
            return None
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()

    def lease_is_dead(self, now: datetime | None = None) -> bool:
        """True if nobody works on it any more: the lease ran out, or its worker is a dead process of this machine."""
        if self.lease_until is None or is_dead(self.worker):
            return True
        if self.lease_offset is not None and is_of_this_boot(self.worker):
            # By the boot clock, which both have: the wall clock may have been set meanwhile.
            return self.lease_until.timestamp() - self.lease_offset < boot_seconds()
        return self.lease_until < (now or timezone.now())


def before_in_line(value_of: Callable[[str], Any]) -> models.QuerySet[Operation]:
    """Return what precedes an operation in its line: what runs, and what waits and was made earlier.

    `value_of` answers for the operation's columns: with their values, or with references to them.
    """
    earlier = Q(created_at__lt=value_of("created_at")) | Q(created_at=value_of("created_at"), pk__lt=value_of("pk"))
    others = (
        Operation.objects.filter(line=value_of("line"), state__in=ACTIVE).exclude(line="").exclude(pk=value_of("pk"))
    )
    return others.filter(Q(state=State.RUNNING) | earlier).order_by()


def lease_length() -> timedelta:
    """How long a claim holds without a heartbeat."""
    return timedelta(seconds=settings.OPERATION_LEASE_SECONDS)


def new_lease() -> dict[str, Any]:
    """Return the columns of a lease that begins now."""
    now = timezone.now()
    return {"lease_until": now + lease_length(), "lease_offset": now.timestamp() - boot_seconds()}


class ClockReading(models.Model):
    """What the clocks said when somebody last looked (`operations.clock`): one row."""

    seen_at = models.DateTimeField(help_text="The wall clock.")
    lived_seconds = models.FloatField(default=0.0, help_text="How long this installation has been there.")
    heard_at = models.DateTimeField(null=True, help_text="When a worker last heard the sweep.")
    suspect_until = models.FloatField(default=0.0, help_text="In lived seconds: until then the wall clock is suspect.")
    boots = models.JSONField(
        default=dict, help_text="Boot id -> its boot clock, its offset, and what was lived by then."
    )
    jumps = models.JSONField(default=list, help_text="The latest jumps of the wall clock, the newest last.")

    def __str__(self) -> str:
        return f"{self.seen_at} after {self.lived_seconds:.0f} s"


class ClockMark(models.Model):
    """Which time the wall clock showed after so many seconds of being there; a row for every six hours."""

    lived_seconds = models.FloatField(db_index=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.seen_at} after {self.lived_seconds:.0f} s"


class StoredAnswer(models.Model):
    """What was answered to a request that carried a key (`operations.api.idempotency`), for who asks the same again.

    Written in the transaction that starts the work. A `status` of 0: work that cannot be one transaction has begun, and its
    answer is not known yet.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    route = models.CharField(max_length=300, help_text="Verb and address.")
    key = models.CharField(max_length=255)
    asked = models.CharField(max_length=64, help_text="SHA-256 of what was asked: query, type and body.")
    status = models.PositiveSmallIntegerField(default=0)
    headers = models.JSONField(default=dict)
    body = models.TextField(blank=True, help_text="JSON.")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "route", "key"], name="one_answer_per_key")]
        indexes = [
            models.Index(fields=["user", "created_at"], name="stored_answer_age"),
            models.Index(fields=["created_at"], name="stored_answer_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.route}: {self.status}"
