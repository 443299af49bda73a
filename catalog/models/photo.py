"""Photo: one entry of a library, found at a path; PhotoMetadata: what its file says in full."""

import uuid
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.db.models.expressions import Combinable

from accounts.models import User
from changes.models import Numbered, NumberedQuerySet
from photolala.lib.paths import join_path
from photolala.lib.wall_clock import wall_clock_text

from .conditions import is_given, state_in, written_out
from .library import Library
from .photo_indexes import INDEXES

UNDATED = datetime(1800, 1, 1, tzinfo=UTC)  # sorts last; shown as "undated"
EARLIEST = datetime.min.replace(tzinfo=UTC)
IS_SURE = (Q(read_md5=F("photo_md5")) | Q(state="remote")) & ~Q(state="missing")
"""It is there, and its photo MD5 was read here, or told by the phone on which it is."""
IS_ESTIMATED = Q(taken_source=written_out("file"))
"""Only its file's time is known. When a file was copied says nothing of when the photo was taken: it counts as undated."""
HEAD_BYTES = 4096
"""`head_md5` is the MD5 of so many first bytes of the file, or of all of a shorter one."""
NAMESPACE_SEPARATOR = "\n"


def photo_id(library_id: uuid.UUID, path: str, fast_photo_key: str) -> uuid.UUID:
    """Return the id of a photo first seen at `path` with `fast_photo_key` (formats.md §1)."""
    return uuid.uuid5(library_id, f"{path}{NAMESPACE_SEPARATOR}{fast_photo_key}")


class PhotoQuerySet(NumberedQuerySet["Photo"]):
    """Reads that say who may see, and the one way to say that photos are gone."""

    def visible_to(self, user: User) -> Self:
        """The photos of the libraries that `user` may see."""
        return self.filter(library__in=Library.objects.visible_to(user).values("pk"))

    def editable_by(self, user: User) -> Self:
        """The photos that `user` may change: those of libraries that they own or edit."""
        return self.filter(library__in=Library.objects.editable_by(user).values("pk"))

    def shown(self) -> Self:
        """Those with a picture: what the timeline shows."""
        return self.filter(is_shown=True)

    def with_pictures(self, image_digests: Collection[str]) -> Self:
        """Those whose files hold these pictures, through the index of pictures."""
        return self.filter(is_given("image_digest"), image_digest__in=image_digests)

    def of_assets(self, asset_ids: Collection[str]) -> Self:
        """Those that a device has under these ids, through the index of assets."""
        return self.filter(is_given("asset_id"), asset_id__in=asset_ids)

    def undigested(self) -> Self:
        """Those whose files are still to be read, through the index of that queue: hence the bound, which holds for all."""
        return self.filter(needs_digest=True, taken_local__gte=EARLIEST)

    def unread(self) -> Self:
        """Those whose photo MD5 is only told (by a snapshot, or a phone), through their index: nobody here read such bytes."""
        return self.exclude(read_md5=F("photo_md5"))

    def with_problems(self) -> Self:
        """Those that are broken, damaged or missing, through their index."""
        return self.filter(state_in("broken", "damaged", "missing"))

    def gone(self) -> Self:
        """Those that are missing and are not in the trash."""
        return self.filter(state=Photo.State.MISSING, trash_item=None)

    def mark_missing(self, since: datetime, *, seen_at: Combinable | None = None) -> int:
        """Mark those that are not missing yet as gone from the root; nothing of them is deleted. Returns how many.

        `seen_at` says when they were last seen there if nobody saw them until `since`. Call it in a transaction.
        """
        return self.exclude(state=Photo.State.MISSING).update(
            state=Photo.State.MISSING,
            is_shown=False,
            needs_digest=False,
            missing_since=since,
            seen_at=seen_at,
            returned_at=None,
            claim_token=F("claim_token") + 1,  # whoever reads it just now writes nothing
        )


class Photo(Numbered):
    """A photo or video. Its id outlives moves and edits; its path is where it is now, relative to the root."""

    class State(models.TextChoices):
        """How far it is known, and whether it can be shown."""

        SURVEYED = "surveyed", "its head is known, its digest is to come"
        READY = "ready", "everything is known"
        DAMAGED = "damaged", "readable in part; shown with a mark"
        BROKEN = "broken", "cannot be shown; listed with the reason"
        REMOTE = "remote", "on the phone: its file is not here"
        MISSING = "missing", "gone from the root; kept until a person says otherwise"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="photos", db_index=False)
    asset_id = models.TextField(
        blank=True, db_default="", help_text="The platform's own id of what lies on a device; else empty."
    )
    directory = models.TextField(blank=True)
    filename = models.TextField()
    size_bytes = models.PositiveBigIntegerField()
    mtime_ns = models.BigIntegerField()
    sidecars = models.CharField(
        max_length=32, blank=True, help_text="MD5 of its sidecars' names, sizes and times: tells when they change."
    )
    head_md5 = models.CharField(max_length=32)
    photo_md5 = models.CharField(max_length=32, blank=True)
    read_md5 = models.CharField(
        max_length=32,
        blank=True,
        db_default="",
        help_text="Photo MD5 of the bytes that this server last read of it: only what has that MD5 is shared with "
        "others' photos.",
    )
    replaced_md5 = models.CharField(
        max_length=32, blank=True, help_text="Photo MD5 of what lay here before, until the scan has followed its moves."
    )
    image_digest = models.CharField(
        max_length=32,
        blank=True,
        db_default="",
        help_text="Of the picture's data alone: the same for a file with other words; empty for videos and where unknown.",
    )
    replaced_image = models.CharField(
        max_length=32,
        blank=True,
        db_default="",
        help_text="The image digest of what lay here before, like replaced_md5.",
    )
    state = models.CharField(max_length=10, choices=State, default=State.SURVEYED)
    is_shown = models.BooleanField(default=True, help_text="It has a picture: surveyed, ready or damaged.")
    problem = models.TextField(blank=True, help_text="Why it is broken or damaged, in a sentence.")
    notes = models.JSONField(default=list, blank=True, help_text="What was odd in the file, in sentences.")
    needs_digest = models.BooleanField(default=True)
    claim_token = models.PositiveIntegerField(default=0, help_text="Fencing number of the digest.")
    claimed_for = models.CharField(max_length=60, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)

    media_type = models.CharField(max_length=60, blank=True)
    width = models.PositiveIntegerField(null=True, blank=True, help_text="Upright, in pixels.")
    height = models.PositiveIntegerField(null=True, blank=True, help_text="Upright, in pixels.")
    orientation = models.PositiveSmallIntegerField(default=1, help_text="The file's own value.")
    duration_ms = models.PositiveBigIntegerField(null=True, blank=True)
    placeholder = models.CharField(max_length=7, blank=True, help_text="Average colour, #rrggbb.")
    has_thumbnail = models.BooleanField(default=False)

    taken_local = models.DateTimeField(default=UNDATED, help_text="The wall clock's time, stored as if it were UTC.")
    taken_day = models.PositiveIntegerField(default=0, help_text="yyyymmdd of taken_local; 0 when undated.")
    taken_at = models.DateTimeField(default=UNDATED, help_text="The instant.")
    taken_offset_minutes = models.SmallIntegerField(null=True, blank=True, help_text="As the file knew it.")
    taken_source = models.CharField(max_length=10, blank=True)
    taken_held = models.BooleanField(
        default=False,
        db_default=False,
        help_text="A person gave the date and the file has it not (yet): no scan overwrites it.",
    )

    camera_make = models.CharField(max_length=200, blank=True)
    camera_model = models.CharField(max_length=200, blank=True)
    lens_model = models.CharField(max_length=200, blank=True)
    iso = models.PositiveIntegerField(null=True, blank=True)
    aperture = models.FloatField(null=True, blank=True, help_text="F-number.")
    shutter_speed = models.CharField(max_length=20, blank=True, help_text='Seconds, e.g. "1/250".')
    focal_length = models.FloatField(null=True, blank=True, help_text="Millimetres.")
    latitude = models.FloatField(null=True, blank=True)
    longitude = models.FloatField(null=True, blank=True)
    placed_at = models.DateTimeField(null=True, blank=True, help_text="When a person last said where it was taken.")
    place_held = models.BooleanField(
        default=False,
        db_default=False,
        help_text="A person gave the place, or took it away, and the file does not say so (yet): no scan overwrites it.",
    )
    rating = models.PositiveSmallIntegerField(null=True, blank=True, help_text="0 to 5, as in the file.")
    told_rating = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Of an asset on a phone: the stars that the phone told last."
    )
    rated_at = models.DateTimeField(null=True, blank=True, help_text="When a person last said how many stars it has.")
    dated_at = models.DateTimeField(null=True, blank=True, help_text="When a person last said when it was taken.")
    rating_held = models.BooleanField(
        default=False,
        db_default=False,
        help_text="A person gave the rating and the file has it not (yet): no scan overwrites it.",
    )
    caption = models.TextField(blank=True)
    captioned_at = models.DateTimeField(null=True, blank=True, help_text="When a person last wrote its caption.")
    caption_held = models.BooleanField(
        default=False,
        db_default=False,
        help_text="A person wrote the caption and the file has it not (yet): no scan overwrites it.",
    )
    keywords = models.JSONField(default=list, blank=True)
    keyworded_at = models.DateTimeField(null=True, blank=True, help_text="When a person last gave or took keywords.")
    keywords_held = models.BooleanField(
        default=False,
        db_default=False,
        help_text="A person gave the keywords and the file has them not (yet): no scan overwrites them.",
    )
    content_identifier = models.CharField(max_length=100, blank=True, help_text="Apple's Live Photo pair.")
    motion_bytes = models.PositiveBigIntegerField(
        null=True,
        blank=True,
        help_text="So many bytes before the end of its file begins the short video of a motion photo; 0: there is none; empty: "
        "its file was not read for it.",
    )
    look = models.BigIntegerField(
        null=True,
        blank=True,
        help_text="Tells similar pictures by the bits that differ; 0: it cannot be told by it; empty: not looked at yet.",
    )
    added_at = models.DateTimeField()
    missing_since = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Of a missing photo: when the last scan began that still saw it; what was first seen then, or later, may be "
        "the place that it moved to. Of one that is back: the same, of the time when it was missing.",
    )
    returned_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When the scan began that saw a missing photo again; forgotten when a later scan has come to its end.",
    )
    later_tried = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        help_text="Its file was read for columns that later versions added, up to this generation of them.",
    )

    objects = PhotoQuerySet.as_manager()

    class Meta:
        ordering = ["-taken_local", "id"]
        constraints = [
            models.UniqueConstraint(fields=["library", "directory", "filename"], name="one_photo_per_path"),
            models.UniqueConstraint(
                fields=["library", "asset_id"], condition=~models.Q(asset_id=""), name="one_photo_per_asset"
            ),
            models.CheckConstraint(
                condition=models.Q(rating__isnull=True) | models.Q(rating__lte=5), name="photo_rating_0_to_5"
            ),
        ]
        indexes = INDEXES

    def __str__(self) -> str:
        return self.path

    @property
    def path(self) -> str:
        """Where it is, relative to the root, in escaped form."""
        return join_path(self.directory, self.filename)

    @property
    def fast_photo_key(self) -> str:
        """The change detector: MD5 of the first 4,096 bytes, a colon, the size."""
        return f"{self.head_md5}:{self.size_bytes}"

    @property
    def is_video(self) -> bool:
        """True if the file is a video by its media type."""
        return self.media_type.startswith("video/")

    @property
    def is_dated(self) -> bool:
        """False if nothing, not even the file's time, told when it was taken."""
        return self.taken_source != ""

    @property
    def ratio(self) -> float:
        """Width over height, 1.5 while unknown."""
        return self.width / self.height if self.width and self.height else 1.5

    @property
    def taken_text(self) -> str:
        """The capture time as RFC 3339: with the offset if the file knew it, else without; "" when undated."""
        return wall_clock_text(self.taken_local, self.taken_offset_minutes) if self.is_dated else ""


class PhotoMetadata(models.Model):
    """The metadata JSON of a photo (formats.md §2), kept apart so that photo rows stay slim."""

    photo = models.OneToOneField(Photo, on_delete=models.CASCADE, primary_key=True, related_name="metadata")
    body = models.TextField()

    class Meta:
        verbose_name_plural = "photo metadata"

    def __str__(self) -> str:
        return f"metadata of {self.photo_id}"
