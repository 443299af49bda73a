"""FileWrite: what a person wants to have in a photo's file, and what became of it."""

import uuid

from django.conf import settings
from django.db import models

from .conditions import state_in
from .library import Library
from .photo import Photo


class FileWrite(models.Model):
    """The intent to write something into one file; it survives every crash until it is done or a person gives it up.

    ::

        pending ──claim──> writing ──> done ──> undone (a later write took it back)
          ^  ^               │  │
          │  └── try again ──┘  └────> failed (a person decides: retry, or give it up)
          └─────────────────────────── retry ──┘
        pending, failed ──> superseded (something else was wanted meanwhile)

    `new_md5` is in the row before the file takes its place, `xmp_new_md5` before the XMP file beside it does, so that
    whoever finds them after a crash can tell which version is there. While the intent is open and `new_md5` is empty,
    `undo_delta` leads from the version `old_md5`, which this intent wrote before something else was wanted.
    """

    class Kind(models.TextChoices):
        """What is written."""

        RATING = "rating"
        DATE = "date"
        CAPTION = "caption"
        KEYWORDS = "keywords"
        PLACE = "place"

    class State(models.TextChoices):
        """Where it stands."""

        PENDING = "pending", "waits to be written, or to be tried again"
        WRITING = "writing", "a worker is at it"
        DONE = "done", "is in the file"
        FAILED = "failed", "cannot be written; a person must decide"
        SUPERSEDED = "superseded", "something else was wanted before it was written"
        UNDONE = "undone", "was in the file and was taken back"

    OPEN = (State.PENDING, State.WRITING, State.FAILED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="+", db_index=False)
    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="writes", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    kind = models.CharField(max_length=10, choices=Kind)
    wanted = models.JSONField(
        help_text='{"rating": 5}, {"taken": "2024-05-17T12:30:00", "offset": 120}, {"caption": "…"}, {"keywords": […]} or '
        '{"place": [48.8583, 2.2945]}.'
    )
    previous = models.JSONField(default=dict, help_text="What the file said before; empty while that is not known.")
    undoes = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    code = models.CharField(max_length=40, blank=True, help_text="Why it waits or failed, for programs.")
    reason = models.TextField(blank=True, help_text="Why it waits or failed, in a sentence.")
    attempts = models.PositiveIntegerField(default=0, help_text="Tries that ended with a reason.")
    crash_count = models.PositiveIntegerField(
        default=0, help_text="Tries in a row of this file alone whose writer did not say how they ended."
    )
    try_at = models.DateTimeField(help_text="Not before.")
    claim_token = models.PositiveIntegerField(default=0, help_text="Fencing number of the writer.")
    claimed_for = models.CharField(max_length=60, blank=True)
    claimed_path = models.TextField(
        blank=True,
        db_default="",
        help_text="Where the file lay whose folder may still have hidden names of this write.",
    )

    is_sidecar = models.BooleanField(default=False, help_text="Written into an XMP file beside the photo.")
    old_md5 = models.CharField(max_length=32, blank=True)
    new_md5 = models.CharField(max_length=32, blank=True)
    xmp_old_md5 = models.CharField(max_length=32, blank=True, db_default="", help_text="Of the XMP file beside it.")
    xmp_new_md5 = models.CharField(max_length=32, blank=True, db_default="")
    new_key = models.CharField(
        max_length=60, blank=True, db_default="", help_text="Of the version new_md5: MD5 of its head, and its size."
    )
    undo_delta = models.BinaryField(null=True, help_text="Leads from the new version to the bytes of an earlier one.")
    base_md5 = models.CharField(max_length=32, blank=True, help_text="Photo MD5 of that earlier version.")
    base = models.JSONField(default=dict, help_text="What that earlier version says, like `previous`.")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["photo", "kind"],
                condition=models.Q(state__in=["pending", "writing", "failed"]),
                name="one_open_write_per_photo_and_kind",
            ),
        ]
        indexes = [
            # the work queue: what is due, oldest first
            models.Index(
                fields=["library", "try_at", "id"],
                condition=models.Q(state__in=["pending", "writing"]),
                name="file_write_queue",
            ),
            models.Index(fields=["library", "state", "-created_at"], name="file_write_page"),
            models.Index(fields=["photo", "-created_at"], name="file_write_of_photo"),
            # the few that may have left something behind
            models.Index(fields=["library"], condition=~models.Q(claimed_path=""), name="file_write_leftover"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.photo_id} ({self.state})"

    @staticmethod
    def queued() -> models.Q:
        """Return the condition that it waits for a writer, or has one, through the index of the queue."""
        return state_in("pending", "writing")
