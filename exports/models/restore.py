"""Restore: a backup that is compared or put back; WaitingFacts: what it says of photos that are not here yet."""

import uuid
from pathlib import Path
from typing import Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import User
from operations.models import EXPORT_JOB_WORDS, Operation, State


class RestoreQuerySet(models.QuerySet["Restore"]):
    """Reads that say who may see."""

    def visible_to(self, user: User) -> Self:
        """Only the restores that `user` asked for."""
        return self.filter(user=user)


class Restore(models.Model):
    """One backup in the hands of a person who wants it back; its operation says how far it is.

    First it is only compared (`is_dry_run`); once that is confirmed, the same backup is put back.
    """

    class Mode(models.TextChoices):
        """What becomes of what is here."""

        MERGE = "merge", "keep the newest of both"
        REPLACE = "replace", "as in the backup; what it does not have goes to the trash"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="restores")
    operation = models.OneToOneField(Operation, on_delete=models.SET_NULL, null=True, related_name="restore")
    mode = models.CharField(max_length=10, choices=Mode, default=Mode.MERGE)
    is_dry_run = models.BooleanField(default=True, help_text="It is compared only; nothing is changed.")
    source = models.TextField(blank=True, help_text="Where the backup is, in escaped form; empty: it was sent.")
    source_name = models.CharField(max_length=255)

    # Written at the end of each run.
    counts = models.JSONField(default=dict, blank=True, help_text="By kind and by what becomes of it.")
    differences = models.JSONField(default=list, blank=True, help_text="The first of them; all are in the report.")
    difference_count = models.PositiveIntegerField(default=0)
    problems = models.JSONField(default=list, blank=True, help_text="What in the backup cannot be used, and why.")
    problem_count = models.PositiveIntegerField(default=0)
    exported_at = models.DateTimeField(null=True, blank=True, help_text="When the backup was made.")
    created_at = models.DateTimeField(default=timezone.now)
    compared_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True, help_text="When it was put back.")

    objects = RestoreQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(mode__in=["merge", "replace"]), name="restore_mode_is_known")
        ]
        indexes = [models.Index(fields=["user", "-created_at"], name="restore_newest")]

    def __str__(self) -> str:
        return f"restore {self.pk}"

    @property
    def folder(self) -> Path:
        """The folder of what was sent, and of the report."""
        return restores_folder() / str(self.pk)

    @property
    def sent_file(self) -> Path:
        """Where a backup that was sent is kept until it is put back, or forgotten: by its person, or after two weeks."""
        return self.folder / "backup.zip"

    @property
    def report_file(self) -> Path:
        """All differences, one JSON object a line."""
        return self.folder / "report.jsonl"

    @property
    def word(self) -> str:
        """Its state in the words of export jobs (formats.md §7)."""
        if self.operation is None:
            return "completed" if self.compared_at or self.completed_at else "cancelled"
        return EXPORT_JOB_WORDS[State(self.operation.state)]

    @property
    def can_be_confirmed(self) -> bool:
        """True once it was compared, and until it is put back."""
        is_at_work = self.operation is not None and self.operation.is_active
        return self.compared_at is not None and self.completed_at is None and not is_at_work


class WaitingFacts(models.Model):
    """What a restored backup says of a photo that is not here: it joins when the photo appears, by a scan or an import."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    restore = models.ForeignKey(Restore, on_delete=models.SET_NULL, null=True, related_name="waiting")
    photo_id = models.UUIDField(help_text="In the backup.")
    library_id = models.UUIDField(help_text="In the backup.")
    photo_md5 = models.CharField(max_length=32, blank=True)
    path = models.TextField()
    size_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    said = models.JSONField(default=dict, blank=True, help_text="As ratings.json of a backup; empty: it is only named.")
    is_refused = models.BooleanField(
        default=False, db_default=False, help_text="The photo is here, in a library that the person may not change."
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "waiting facts"
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["user", "photo_id"], name="one_waiting_per_photo")]

    def __str__(self) -> str:
        return f"facts of {self.photo_id}"


def restores_folder() -> Path:
    """Return the folder of what people send to be restored (which may not be there yet)."""
    return Path(settings.DATA_DIR) / "restores"
