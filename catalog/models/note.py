"""Note and Draft: what people write; Media: the files that they attach; Attachment: which of them hold what."""

import uuid
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from changes.models import Numbered, NumberedQuerySet

from .photo import Photo


class OwnedQuerySet(NumberedQuerySet[Any]):
    """Reads of things that belong to one person."""

    def of(self, user: Any) -> Self:
        """The user's own, without those in the trash."""
        return self.filter(owner=user, trashed_at=None)

    def in_trash_of(self, user: Any) -> Self:
        """The user's own that can be restored."""
        return self.filter(owner=user, trashed_at__isnull=False)


# Names of their own: mypy's plugin loses methods of managers that are made of querysets with one name (exports has one, too).
class NoteQuerySet(OwnedQuerySet):
    """Notes."""


class DraftQuerySet(OwnedQuerySet):
    """Drafts."""


class Note(Numbered):
    """A text with what is attached to it; its owner's, and shown in the albums that hold it."""

    class Type(models.TextChoices):
        """What it is above all."""

        TEXT = "TEXT"
        IMAGE = "IMAGE"
        VIDEO = "VIDEO"
        AUDIO = "AUDIO"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    type = models.CharField(max_length=10, choices=Type, default=Type.TEXT)
    content = models.TextField(blank=True)
    caption = models.TextField(blank=True)
    attachments = models.JSONField(
        default=list,
        blank=True,
        help_text='{"photo": id} or {"media_md5", "media_type", "size_bytes", "name"}, in order.',
    )
    noted_at = models.DateTimeField(help_text="The moment it is about.")
    noted_offset_minutes = models.SmallIntegerField(default=0, help_text="Of the clock on the wall then.")
    noted_local = models.DateTimeField(
        help_text="The wall clock's time, stored as if it were UTC: orders albums by date."
    )
    place = models.JSONField(null=True, blank=True, help_text='{"latitude", "longitude", "name"}.')
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now_add=True)
    trashed_at = models.DateTimeField(null=True, blank=True)

    objects = NoteQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        ordering = ["-noted_at", "id"]
        permissions = [("see_content", "Can see what people write, in the admin")]
        indexes = [
            models.Index(fields=["owner", "-noted_at", "id"], name="note_of_owner"),
            models.Index(fields=["owner", "version"], name="note_by_version"),
            models.Index(fields=["trashed_at"], condition=Q(trashed_at__isnull=False), name="note_in_trash"),
        ]

    def __str__(self) -> str:
        return f"note {self.pk}"


class Draft(Numbered):
    """Blocks that become a note when they are published."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    blocks = models.JSONField(
        default=list,
        blank=True,
        help_text='{"id", "type", "text", "attachment", "caption", "place"}, in order.',
    )
    albums = models.JSONField(default=list, blank=True, help_text="Ids of the albums that the note shall be put into.")
    published_as = models.UUIDField(null=True, blank=True, help_text="The note that it became.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now_add=True)
    trashed_at = models.DateTimeField(null=True, blank=True)

    objects = DraftQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        ordering = ["-updated_at", "id"]
        indexes = [
            models.Index(fields=["owner", "-updated_at", "id"], name="draft_of_owner"),
            models.Index(fields=["owner", "version"], name="draft_by_version"),
            models.Index(fields=["trashed_at"], condition=Q(trashed_at__isnull=False), name="draft_in_trash"),
        ]

    def __str__(self) -> str:
        return f"draft {self.pk}"


class Media(models.Model):
    """A file in a person's own media store, known by its MD5; people of the same content have a file each."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    md5 = models.CharField(max_length=32)
    media_type = models.CharField(max_length=60)
    size_bytes = models.PositiveBigIntegerField()
    added_at = models.DateTimeField(auto_now_add=True)
    unused_since = models.DateTimeField(
        null=True, blank=True, help_text="Nothing of its owner's holds it since then; 30 days later it is removed."
    )

    class Meta:
        verbose_name_plural = "media"
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["owner", "md5"], name="one_media_per_owner_and_md5")]
        indexes = [
            models.Index(fields=["unused_since"], condition=Q(unused_since__isnull=False), name="media_unused"),
        ]

    def __str__(self) -> str:
        return self.md5


class Attachment(models.Model):
    """A note or draft holds a photo or a file: what their JSON says, so that it is found from the other side."""

    note = models.ForeignKey(Note, null=True, on_delete=models.CASCADE, related_name="held")
    draft = models.ForeignKey(Draft, null=True, on_delete=models.CASCADE, related_name="held")
    photo = models.ForeignKey(
        Photo, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="attached_to"
    )
    media = models.ForeignKey(Media, null=True, on_delete=models.CASCADE, related_name="attached_to")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(note__isnull=False, draft=None) | Q(note=None, draft__isnull=False),
                name="attachment_has_one_holder",
            ),
            models.CheckConstraint(
                condition=Q(photo__isnull=False, media=None) | Q(photo=None, media__isnull=False),
                name="attachment_has_one_target",
            ),
        ]

    def __str__(self) -> str:
        return f"attachment {self.pk}"
