"""TrashItem: a photo that somebody deleted, and where its file is until the trash is emptied."""

import uuid
from typing import Any, Self

from django.conf import settings
from django.db import models, transaction

from photolala.lib.paths import join_path

from .library import Library
from .photo import Photo, PhotoQuerySet


class TrashItemQuerySet(models.QuerySet["TrashItem"]):
    """Reads that say what people see."""

    def deleted(self) -> Self:
        """Those of photos that somebody deleted, without those that only pass on their way into another folder."""
        return self.exclude(state=TrashItem.State.FILING)

    def update(self, **values: Any) -> int:
        """As Django's; missing photos that are in the trash from now on, or no longer, are marked: devices see that."""
        if not {"photo", "photo_id"} & values.keys():
            return super().update(**values)
        with transaction.atomic():
            new = values.get("photo", values.get("photo_id"))
            _mark_missing(Photo.objects.filter(trash_item__in=self.order_by().values("pk")))
            if new is not None:
                _mark_missing(Photo.objects.filter(pk=getattr(new, "pk", new)))
            return super().update(**values)

    update.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        """As Django's; photos that stay missing are marked."""
        with transaction.atomic():
            _mark_missing(Photo.objects.filter(trash_item__in=self.order_by().values("pk")))
            return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]


def _mark_missing(photos: PhotoQuerySet) -> None:
    keys = photos.filter(state=Photo.State.MISSING).order_by("pk").values_list("pk", flat=True)
    if missing := list(keys):
        Photo.objects.filter(pk__in=missing).mark()


class TrashItem(models.Model):
    """A deleted photo. Its row stays as that of a missing one, at its old path, so that everything that hangs on it waits.

    ::

        moving ──> trashed ──> restoring ──> (row gone, photo back)
                      └──────> deleting ───> (row and photo gone)
        filing ──> (row gone, photo in the folder of its date)

    The state is in the row before a file is touched, so that whoever finds it after a crash can finish; so is the name of
    who moves it, which is proven before each step (`catalog.files.trash_leases`).
    """

    class State(models.TextChoices):
        """Stage of a file on its way into the trash, or back."""

        MOVING = "moving", "on its way into the trash"
        TRASHED = "trashed", "in the trash"
        RESTORING = "restoring", "on its way back"
        DELETING = "deleting", "being deleted for good"
        FILING = "filing", "on its way into another folder"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="trash", db_index=False)
    photo = models.OneToOneField(
        Photo,
        null=True,
        on_delete=models.SET_NULL,
        related_name="trash_item",
        help_text="Empty: the catalog forgot it.",
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.MOVING)
    photo_state = models.CharField(max_length=10, help_text="The photo's state before.")
    was_shown = models.BooleanField(default=True)
    directory = models.TextField(blank=True)
    filename = models.TextField()
    sidecars = models.JSONField(default=list, blank=True, help_text="Names of the files beside it that went along.")
    size_bytes = models.PositiveBigIntegerField()
    mtime_ns = models.BigIntegerField()
    photo_md5 = models.CharField(max_length=32, blank=True)
    trashed_at = models.DateTimeField()
    mover = models.CharField(
        max_length=120, blank=True, db_default="", help_text="Who moves its files just now: process and piece of work."
    )
    mover_seen_at = models.DateTimeField(
        null=True, blank=True, help_text="When the mover last said that it is at work."
    )
    restored_as = models.TextField(
        blank=True, db_default="", help_text="The name under which the file is about to come back."
    )
    target = models.TextField(blank=True, db_default="", help_text="Of a file that is filed: the folder it goes into.")

    handed_over = models.JSONField(
        null=True,
        blank=True,
        help_text="What a kept copy took over from it, so that this can be undone (`catalog.duplicates.inheritance`).",
    )

    objects = TrashItemQuerySet.as_manager()

    class Meta:
        ordering = ["-trashed_at", "id"]
        indexes = [
            models.Index(fields=["library", "-trashed_at", "id"], name="trash_of_library"),
            models.Index(fields=["state", "trashed_at"], name="trash_by_state"),
        ]

    def __str__(self) -> str:
        return self.path

    def save(self, *args: Any, **kwargs: Any) -> None:
        """As Django's; a missing photo that is in the trash from now on is marked."""
        with transaction.atomic():
            if self._state.adding and self.photo_id is not None:
                _mark_missing(Photo.objects.filter(pk=self.photo_id))
            super().save(*args, **kwargs)

    @property
    def path(self) -> str:
        """Where the photo was, relative to the root, in escaped form."""
        return join_path(self.directory, self.filename)
