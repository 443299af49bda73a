"""ExportDestination: a folder, or a prefix of a bucket, that originals are copied to."""

import os
import uuid
from pathlib import Path
from typing import Self

from django.conf import settings
from django.db import models

from accounts.models import User
from catalog.models import Library
from catalog.sources.s3_keys import SCHEME, BucketRoot, parse_uri
from exports.ledger.load import FOLDER_NAME
from exports.ledger.placement import DEFAULT_TEMPLATE
from photolala.lib.paths import unescape_path

from .export import own_folder

BUCKET_RECORDS = "records"
"""Folder, in the exports of a user, for the records of destinations in buckets."""


class DestinationQuerySet(models.QuerySet["ExportDestination"]):
    """Reads that say who may see."""

    def visible_to(self, user: User) -> Self:
        """Only the destinations of `user`."""
        return self.filter(owner=user)


class ExportDestination(models.Model):
    """A place that originals are exported to: a folder of the server, or a prefix of a bucket (`s3://bucket/prefix`).

    The records of what has left are in `ExportRecords/` of the folder; those of a prefix are kept by the server, and
    published to `ExportRecords/` of the prefix at the end of each export.
    """

    class Schedule(models.TextChoices):
        """How often an export begins by itself."""

        NEVER = "", "never"
        DAILY = "daily", "every day"
        WEEKLY = "weekly", "every week"

    class Preview(models.IntegerChoices):
        """How large the pictures beside copies are: pixels of the longer edge."""

        NONE = 0, "none"
        SMALL = 1024, "1,024 pixels"
        MEDIUM = 1600, "1,600 pixels"
        LARGE = 2560, "2,560 pixels"

    class Weekday(models.IntegerChoices):
        """The day of a weekly export."""

        MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = range(7)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="export_destinations")
    name = models.CharField(max_length=200)
    folder = models.TextField(unique=True, help_text="Its absolute path, or s3://bucket/prefix, in escaped form.")
    template = models.CharField(max_length=200, default=DEFAULT_TEMPLATE, help_text="The folders below it.")
    libraries = models.ManyToManyField(Library, related_name="+", blank=True, help_text="Those exported to it.")
    selected_from = models.ManyToManyField(
        Library, related_name="+", blank=True, help_text="Those of which selected photos were exported to it."
    )
    has_records = models.BooleanField(default=False, help_text="An export has left records there.")
    created_at = models.DateTimeField(auto_now_add=True)
    schedule = models.CharField(
        max_length=6, choices=Schedule, blank=True, default=Schedule.NEVER, db_default=Schedule.NEVER
    )
    schedule_hour = models.PositiveSmallIntegerField(default=3, db_default=3, help_text="By the server's clock.")
    schedule_weekday = models.PositiveSmallIntegerField(
        choices=Weekday, default=Weekday.MONDAY, db_default=Weekday.MONDAY, help_text="Of a weekly export."
    )
    scheduled_since = models.DateTimeField(null=True, blank=True, help_text="When the schedule was set.")

    with_companions = models.BooleanField(
        default=False, db_default=False, help_text="Also what is beside photos: XMP, AAE and Takeout's JSON."
    )

    preview_px = models.PositiveSmallIntegerField(
        choices=Preview,
        default=Preview.NONE,
        db_default=0,
        help_text="A JPEG of so many pixels beside each copy; 0: none.",
    )

    refusal = models.TextField(
        blank=True, db_default="", help_text="Why the schedule could not begin an export; empty: it could."
    )
    refused_at = models.DateTimeField(null=True, blank=True, help_text="Since when that is so.")

    objects = DestinationQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    schedule__in=["", "daily", "weekly"], schedule_hour__lte=23, schedule_weekday__lte=6
                ),
                name="destination_schedule_is_known",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def all_libraries(self) -> models.QuerySet[Library]:
        """Those of which photos were exported to it: all of them, or selected ones."""
        return Library.objects.filter(
            models.Q(pk__in=self.libraries.values("pk")) | models.Q(pk__in=self.selected_from.values("pk"))
        )

    @property
    def is_bucket(self) -> bool:
        """True for a prefix of a bucket."""
        return self.folder.startswith(SCHEME)

    @property
    def bucket_root(self) -> BucketRoot:
        """The bucket and prefix. ValueError if it is a folder."""
        return parse_uri(self.folder)

    @property
    def path(self) -> Path:
        """Path of the destination's folder. ValueError if it is in a bucket."""
        if self.is_bucket:
            raise ValueError("A destination in a bucket has no path.")
        return Path(os.fsdecode(unescape_path(self.folder)))

    @property
    def place(self) -> Path | BucketRoot:
        """The folder, or the bucket and prefix."""
        return self.bucket_root if self.is_bucket else self.path

    @property
    def records_folder(self) -> Path:
        """Folder of the export records (the ledger), always on a disk of the server."""
        return self.kept_folder / FOLDER_NAME if self.is_bucket else self.path / FOLDER_NAME

    @property
    def kept_folder(self) -> Path:
        """Folder in which the server keeps what it must know of a destination in a bucket."""
        return Path(os.path.realpath(own_folder(self.owner_id))) / BUCKET_RECORDS / str(self.pk)

    @property
    def active_key(self) -> str:
        """The operations' key: one export to a destination at a time."""
        return f"export_folder:{self.pk}"
