"""Library: a root and its settings; Membership: who else may see it."""

import uuid
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models import User
from changes.models import Numbered, NumberedQuerySet


class LibraryQuerySet(NumberedQuerySet["Library"]):
    """Reads that say who may see."""

    def visible_to(self, user: User) -> Self:
        """The libraries that `user` owns or is a member of."""
        shared = Membership.objects.filter(user=user).values("library")
        return self.filter(Q(owner=user) | Q(pk__in=shared))

    def editable_by(self, user: User) -> Self:
        """The libraries that `user` owns or may edit."""
        shared = Membership.objects.filter(user=user, role=Membership.Role.EDITOR).values("library")
        return self.filter(Q(owner=user) | Q(pk__in=shared))


class Library(Numbered):
    """A root whose photos are catalogued; forgetting it never touches a photo."""

    class Ratings(models.TextChoices):
        """Where the owner's stars are written."""

        FILE = "file", "into the photo files"
        SIDECAR = "sidecar", "into XMP files beside the photos"
        DATABASE = "database", "into Photolala's database only"

    class FileTimes(models.TextChoices):
        """What becomes of a file's modification time when something is written into it."""

        UPDATE = "update", "shows when it was written, so that backups notice"
        KEEP = "keep", "stays as it was"

    class ScanEvery(models.IntegerChoices):
        """Hours between the scans that the schedule starts."""

        NEVER = 0, "only when asked"
        HOUR = 1, "every hour"
        QUARTER = 6, "every six hours"
        DAY = 24, "every day"
        WEEK = 168, "every week"

    class VerifyEvery(models.IntegerChoices):
        """Days between the scheduled scans that look for edits which kept a file's size and time."""

        NEVER = 0, "only when asked"
        WEEK = 7, "every week"
        MONTH = 30, "every 30 days"
        QUARTER = 90, "every 90 days"

    class TrashDays(models.IntegerChoices):
        """Days until what is in the trash is deleted for good."""

        NEVER = 0, "only when asked"
        WEEK = 7, "after 7 days"
        MONTH = 30, "after 30 days"
        QUARTER = 90, "after 90 days"
        YEAR = 365, "after a year"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="libraries")
    name = models.CharField(max_length=200)
    source = models.CharField(max_length=10, default="local")
    root = models.TextField(unique=True, help_text="The folder's absolute path, in escaped form.")
    ratings = models.CharField(max_length=10, choices=Ratings, default=Ratings.FILE)
    file_times = models.CharField(max_length=10, choices=FileTimes, default=FileTimes.UPDATE)
    time_zone = models.CharField(max_length=64, default="UTC", help_text="For photos that do not know their offset.")
    scan_every_hours = models.PositiveIntegerField(
        choices=ScanEvery, default=ScanEvery.DAY, db_default=ScanEvery.DAY, help_text="0: only when asked."
    )
    verify_every_days = models.PositiveIntegerField(
        choices=VerifyEvery,
        default=VerifyEvery.NEVER,
        db_default=VerifyEvery.NEVER,
        help_text="How often a scan also compares the first 4 KB of files that look unchanged; 0: only when asked.",
    )
    is_watched = models.BooleanField(default=False, db_default=False, help_text="Changes start a scan at once.")
    scan_wanted_at = models.DateTimeField(
        null=True, blank=True, help_text="Something was put into the folder: a scan that began earlier does not count."
    )
    trash_days = models.PositiveIntegerField(
        choices=TrashDays,
        default=TrashDays.MONTH,
        db_default=TrashDays.MONTH,
        help_text="Days until what is in the trash is deleted for good; 0: only when asked.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    # Written by the scan.
    photo_count = models.PositiveIntegerField(default=0)
    problem_count = models.PositiveIntegerField(default=0)
    missing_count = models.PositiveIntegerField(default=0)
    size_bytes = models.PositiveBigIntegerField(default=0)
    scanned_at = models.DateTimeField(null=True, blank=True)
    walked_at = models.DateTimeField(
        null=True, blank=True, help_text="When the last scan began that saw every folder and came to its end."
    )
    verified_at = models.DateTimeField(null=True, blank=True, help_text="The last scan that compared heads.")
    revision = models.PositiveBigIntegerField(default=0, help_text="Grows with every change of its photos.")
    snapshot_md5 = models.CharField(max_length=32, blank=True)
    snapshot_revision = models.PositiveBigIntegerField(default=0, help_text="The revision that the snapshot holds.")
    root_has_pointer = models.BooleanField(default=False, help_text="A pointer was written into the root.")
    warning = models.TextField(blank=True, help_text="What a person should know about it, e.g. that it is read-only.")
    cover_ids = models.JSONField(default=list, blank=True)

    members = models.ManyToManyField(settings.AUTH_USER_MODEL, through="Membership", related_name="+")
    objects = LibraryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "libraries"
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def scan_key(self) -> str:
        """The operations' key: one scan of a library at a time."""
        return f"scan:{self.pk}"

    @property
    def writes_ratings(self) -> bool:
        """True if files, or XMP files beside them, hold the ratings; elsewhere the catalog is their only place."""
        return self.source == "local" and self.ratings != self.Ratings.DATABASE


class Membership(models.Model):
    """`user` may see (viewer) or also change (editor) the photos of `library`."""

    class Role(models.TextChoices):
        """What a member may do."""

        VIEWER = "viewer"
        EDITOR = "editor"

    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role, default=Role.VIEWER)
    added_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["library_id", "user_id"]
        constraints = [models.UniqueConstraint(fields=["library", "user"], name="one_membership_per_user")]

    def __str__(self) -> str:
        return f"{self.user} in {self.library} ({self.role})"
