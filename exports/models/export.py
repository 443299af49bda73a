"""Export: the catalog of a library as files, asked for once; ExportDownload: who got what of it."""

import os
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Count, OuterRef, Subquery
from django.utils import timezone

from accounts.models import User
from catalog.models import Library
from operations.models import EXPORT_JOB_WORDS, Operation, State, before_in_line
from photolala.lib.paths import unescape_path


class ExportQuerySet(models.QuerySet["Export"]):
    """Reads that say who may see."""

    def visible_to(self, user: User) -> Self:
        """Only the exports that `user` asked for."""
        return self.filter(user=user)

    def with_place(self) -> Self:
        """Each with its operation, and `ahead`: how many exports of its line come before it."""
        before = before_in_line(lambda name: OuterRef(f"operation__{name}")).values("line")
        return self.select_related("operation").annotate(
            ahead=Subquery(before.annotate(number=Count("pk")).values("number"))
        )


class Export(models.Model):
    """One export of a library's catalog, with its originals if asked for; its operation says how far it is.

    It is a folder `{YYYY-MM-DD_HH-MM-SS}_{id}` in the user's export folder, or in `parent` if a command named one.
    """

    class Format(models.TextChoices):
        """How the rows are written."""

        JSON = "json", "JSON"
        CSV = "csv", "CSV"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="exports")
    library = models.ForeignKey(Library, on_delete=models.SET_NULL, null=True, related_name="+")
    library_name = models.CharField(max_length=200, help_text="Stays when the library is forgotten.")
    operation = models.OneToOneField(Operation, on_delete=models.SET_NULL, null=True, related_name="export")
    format = models.CharField(max_length=4, choices=Format)
    start_date = models.DateField(null=True, blank=True, help_text="Taken on this day or later, by the wall clock.")
    end_date = models.DateField(null=True, blank=True, help_text="Taken on this day or earlier.")
    filter = models.JSONField(default=dict, blank=True, help_text="The photos' filters, by name.")
    include_media = models.BooleanField(default=False)
    parent = models.TextField(blank=True, help_text="The folder that a command named, in escaped form.")

    # Written at the end.
    photo_count = models.PositiveIntegerField(default=0)
    media_count = models.PositiveIntegerField(default=0)
    missing_count = models.PositiveIntegerField(default=0, help_text="Photos whose file could not be exported.")
    size_bytes = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    completed_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="When its files are deleted; empty: by hand only."
    )

    objects = ExportQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(format__in=["json", "csv"]), name="export_format_is_known"),
            models.CheckConstraint(
                condition=models.Q(start_date__isnull=True)
                | models.Q(end_date__isnull=True)
                | models.Q(end_date__gte=models.F("start_date")),
                name="export_ends_after_it_starts",
            ),
        ]
        indexes = [models.Index(fields=["user", "-created_at"], name="export_newest")]  # the page and the API's list

    def __str__(self) -> str:
        return f"{self.library_name} as {self.format} ({self.folder_name})"

    @property
    def folder_name(self) -> str:
        """The name of its folder."""
        return f"{self.created_at:%Y-%m-%d_%H-%M-%S}_{self.pk}"

    @property
    def parent_folder(self) -> Path:
        """The folder that its folder is in."""
        return Path(os.fsdecode(unescape_path(self.parent))) if self.parent else own_folder(self.user_id)

    @property
    def folder(self) -> Path:
        """Where its files are once it is complete."""
        return self.parent_folder / self.folder_name

    @property
    def is_kept_here(self) -> bool:
        """True if the server keeps its files; else a command wrote them elsewhere, and they are the operator's."""
        return not self.parent

    @property
    def can_be_downloaded(self) -> bool:
        """True if it is complete and kept here, still."""
        return self.completed_at is not None and self.is_kept_here and not self.is_expired

    def expiry_from(self, completed_at: datetime) -> datetime | None:
        """Return when its files are to be deleted if it is finished then; None: by hand only."""
        if not self.is_kept_here or not settings.EXPORT_DAYS:
            return None
        return completed_at + timedelta(days=settings.EXPORT_DAYS)

    @property
    def is_expired(self) -> bool:
        """True once nobody gets its files any more."""
        return self.expires_at is not None and self.expires_at < timezone.now()

    @property
    def place(self) -> int | None:
        """How many exports of its user come before it while it waits, else None. A query, unless read `with_place`."""
        operation = self.operation
        if operation is None or operation.state != State.PENDING or not operation.line:
            return None
        return (self.__dict__["ahead"] or 0) if "ahead" in self.__dict__ else operation.ahead

    @property
    def word(self) -> str:
        """Its state in the words of export jobs (formats.md §7)."""
        if self.completed_at is not None:
            return "completed"
        return EXPORT_JOB_WORDS[self.operation.state] if self.operation else "failed"  # type: ignore[index]

    @property
    def date_range(self) -> dict[str, str] | None:
        """The range of days, as manifests and the API write it; None for all."""
        days = {"start_date": self.start_date, "end_date": self.end_date}
        return {name: day.isoformat() for name, day in days.items() if day} or None


class ExportDownload(models.Model):
    """A download of an export, or of a part of it: who got what, and what is under way. Stays when the export is deleted."""

    export = models.ForeignKey(Export, on_delete=models.SET_NULL, null=True, related_name="downloads")
    export_name = models.CharField(max_length=100, help_text="The name of its folder.")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="export_downloads")
    address = models.CharField(max_length=64, blank=True, help_text="Where it was sent to.")
    first_byte = models.PositiveBigIntegerField(default=0, help_text="Where in the ZIP it began.")
    sent_bytes = models.PositiveBigIntegerField(default=0)
    size_bytes = models.PositiveBigIntegerField(help_text="Of the whole ZIP.")
    server = models.CharField(max_length=200, blank=True, help_text="The process that sends it.")
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-started_at", "-id"]
        indexes = [
            models.Index(fields=["user"], condition=models.Q(ended_at=None), name="export_download_under_way"),
            models.Index(fields=["started_at"], name="export_download_age"),
        ]

    def __str__(self) -> str:
        return f"{self.export_name} from byte {self.first_byte:,}: {self.sent_bytes:,} of {self.size_bytes:,}"

    @property
    def reached_the_end(self) -> bool:
        """True if the last byte was sent."""
        return self.ended_at is not None and self.first_byte + self.sent_bytes >= self.size_bytes


def own_folder(user_id: Any) -> Path:
    """Return the folder of a user's exports (which may not be there yet)."""
    return Path(settings.EXPORTS_DIR) / str(user_id)
