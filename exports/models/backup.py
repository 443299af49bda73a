"""Backup: what people made, as a bundle of files, asked for once; BackupSchedule: that one is made again and again."""

import os
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from catalog.sources.s3_keys import SCHEME
from operations.models import EXPORT_JOB_WORDS, Operation
from photolala.lib.paths import unescape_path

from .destination import ExportDestination
from .export import own_folder

BUCKET_BACKUPS = "Backups"
"""Where backups are below the prefix of a destination in a bucket."""


class Scope(models.TextChoices):
    """Whose things a backup has."""

    PERSON = "person", "what I made"
    SERVER = "server", "the whole server"


class OwnedQuerySet(models.QuerySet):  # type: ignore[type-arg]
    """Reads that say who may see."""

    def visible_to(self, user: User) -> Self:
        """Only the user's own; those of the whole server only while the user is an administrator."""
        own = self.filter(user=user)
        return own if user.is_active and user.is_superuser else own.filter(scope=Scope.PERSON)


class Backup(models.Model):
    """One backup; its operation says how far it is.

    It is a folder `backup_{YYYY-MM-DD_HH-MM-SS}_{id}` in the user's folder of backups, or in `parent` if a command named one;
    or a ZIP of that name, and if `recipient` is given that ZIP encrypted by age. `parent` may be in a bucket: `Backups/` of
    the destination.
    """

    class Packaging(models.TextChoices):
        """What it is on the disk."""

        FOLDER = "folder", "folder"
        ZIP = "zip", "ZIP"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="backups")
    scope = models.CharField(max_length=10, choices=Scope, default=Scope.PERSON)
    operation = models.OneToOneField(Operation, on_delete=models.SET_NULL, null=True, related_name="backup")
    packaging = models.CharField(max_length=10, choices=Packaging, default=Packaging.FOLDER)
    parent = models.TextField(blank=True, help_text="The folder that a command named, or that of a bucket; escaped.")
    destination = models.ForeignKey(
        ExportDestination,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="backups",
        help_text="Whose prefix of a bucket it is in.",
    )
    recipient = models.CharField(max_length=200, blank=True, help_text="age's public key that it is encrypted for.")
    key_file = models.TextField(
        blank=True, help_text="The identity of `recipient`, encrypted by a passphrase that nobody here knows."
    )
    is_scheduled = models.BooleanField(default=False)
    was_found = models.BooleanField(
        default=False,
        db_default=False,
        help_text="In the bucket: another server made it, or this one before it was set up anew.",
    )

    # Written at the end.
    album_count = models.PositiveIntegerField(default=0)
    note_count = models.PositiveIntegerField(default=0)
    draft_count = models.PositiveIntegerField(default=0)
    rating_count = models.PositiveIntegerField(default=0)
    media_count = models.PositiveIntegerField(default=0)
    issue_count = models.PositiveIntegerField(default=0, help_text="What could not be read; issues.txt names it.")
    size_bytes = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True, help_text="Of the ZIP, or of the manifest of a folder.")
    created_at = models.DateTimeField(default=timezone.now)
    completed_at = models.DateTimeField(null=True, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True, help_text="When all of it was last read and right.")
    problem = models.TextField(blank=True, help_text="What the last verification found; empty: nothing.")

    objects = OwnedQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(scope__in=["person", "server"]), name="backup_scope_is_known"),
            models.CheckConstraint(condition=Q(recipient="") | Q(packaging="zip"), name="backup_encrypts_zips_only"),
        ]
        indexes = [models.Index(fields=["user", "-created_at"], name="backup_newest")]  # the page and the API's list

    def __str__(self) -> str:
        return f"backup of {self.user_id} ({self.name})"

    @property
    def name(self) -> str:
        """The name of its folder, without an extension."""
        return f"backup_{self.created_at:%Y-%m-%d_%H-%M-%S}_{self.pk}"

    @property
    def parent_folder(self) -> Path:
        """The folder that it is in; of one in a bucket, where it is made before it is sent there."""
        if not self.parent or self.is_in_bucket:
            return backups_folder(self.user_id)
        return Path(os.fsdecode(unescape_path(self.parent)))

    @property
    def is_in_bucket(self) -> bool:
        """True if it goes to a bucket, or is there."""
        return self.parent.startswith(SCHEME)

    @property
    def path(self) -> Path:
        """Where it is once it is complete: a folder or a file."""
        return self.parent_folder / self.file_name

    @property
    def file_name(self) -> str:
        """The name of its folder or file."""
        extension = {"zip": ".zip", "folder": ""}[self.packaging] + (".age" if self.recipient else "")
        return f"{self.name}{extension}"

    @property
    def address(self) -> str:
        """Where it is once it is complete, for people: a path, or `s3://…`."""
        return f"{self.parent}/{self.file_name}" if self.is_in_bucket else str(self.path)

    @property
    def is_encrypted(self) -> bool:
        """True if only who has the identity of `recipient` can read it."""
        return bool(self.recipient)

    @property
    def is_kept_here(self) -> bool:
        """True if the server keeps its files; else a command wrote them elsewhere, and they are the operator's."""
        return not self.parent

    @property
    def is_managed(self) -> bool:
        """True if the server may read and delete its files: it keeps them, or has the destination that they are in."""
        return not self.parent or self.destination_id is not None

    @property
    def can_be_restored(self) -> bool:
        """True if it is complete, and the server can read it without a passphrase."""
        return self.completed_at is not None and self.is_managed and not self.is_encrypted

    @property
    def can_be_downloaded(self) -> bool:
        """True if it is complete and kept here."""
        return self.completed_at is not None and self.is_kept_here

    @property
    def word(self) -> str:
        """Its state in the words of export jobs (formats.md §7)."""
        if self.completed_at is not None:
            return "completed"
        return EXPORT_JOB_WORDS[self.operation.state] if self.operation else "failed"  # type: ignore[index]


class BackupSchedule(models.Model):
    """A backup is made for `user` every so many days, and older ones are thinned out."""

    class Every(models.IntegerChoices):
        """Days between two backups."""

        NEVER = 0, "only when asked"
        DAY = 1, "every day"
        WEEK = 7, "every week"
        MONTH = 30, "every 30 days"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="backup_schedules")
    scope = models.CharField(max_length=10, choices=Scope, default=Scope.PERSON)
    every_days = models.PositiveSmallIntegerField(choices=Every, default=Every.NEVER)
    keep_daily = models.PositiveSmallIntegerField(default=7, help_text="Of so many days the newest is kept.")
    keep_weekly = models.PositiveSmallIntegerField(default=4, help_text="Of so many weeks the newest is kept.")
    keep_monthly = models.PositiveSmallIntegerField(default=12, help_text="Of so many months the newest is kept.")
    recipient = models.CharField(max_length=200, blank=True, help_text="age's public key; empty: not encrypted.")
    key_file = models.TextField(blank=True, help_text="The identity of `recipient`, encrypted by a passphrase.")
    destination = models.ForeignKey(
        ExportDestination,
        on_delete=models.RESTRICT,
        null=True,
        blank=True,
        related_name="backup_schedules",
        help_text="In whose prefix of a bucket they are kept; empty: on this server.",
    )
    started_at = models.DateTimeField(null=True, blank=True, help_text="When the schedule last asked for one.")
    refusal = models.TextField(
        blank=True, db_default="", help_text="Why the schedule could not begin the last one; empty: it could."
    )

    objects = OwnedQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["user", "scope"], name="one_backup_schedule_per_user_and_scope"),
            models.CheckConstraint(condition=Q(scope__in=["person", "server"]), name="backup_schedule_scope_is_known"),
        ]

    def __str__(self) -> str:
        return f"backups of {self.user_id} ({self.scope}) every {self.every_days} days"

    @property
    def interval(self) -> timedelta:
        """The time between two backups."""
        return timedelta(days=self.every_days)


def backups_folder(user_id: object) -> Path:
    """Return the folder of a user's backups (which may not be there yet)."""
    return own_folder(user_id) / "backups"
