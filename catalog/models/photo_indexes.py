"""The indexes of photos, each with the question that it is for (docs/architecture.md, "The database")."""

from django.db import models
from django.db.models import F

from .conditions import MOTION_MAKES

INDEXES = [
    # the rescan's comparison, one folder after the other, without touching the rows
    models.Index(
        fields=["library", "directory", "filename", "size_bytes", "mtime_ns", "sidecars", "state"],
        name="photo_rescan",
    ),
    # pages and timeline buckets, newest first
    models.Index(fields=["library", "-taken_local", "id"], condition=models.Q(is_shown=True), name="photo_timeline"),
    models.Index(fields=["library", "taken_day"], condition=models.Q(is_shown=True), name="photo_days"),
    # those of which only the file's time is known: they are counted and shown apart
    models.Index(
        fields=["library", "-taken_local", "id", "taken_day"],
        condition=models.Q(is_shown=True, taken_source="file"),
        name="photo_estimated",
    ),
    models.Index(fields=["library", "-taken_at", "id"], name="photo_export"),  # exports, by instant
    # the work queue of the digest: what people look at first comes first
    models.Index(
        fields=["library", "-taken_local", "id"],
        condition=models.Q(needs_digest=True),
        name="photo_digest_queue",
    ),
    models.Index(fields=["library"], condition=~models.Q(replaced_md5=""), name="photo_replaced"),
    models.Index(fields=["library"], condition=models.Q(returned_at__isnull=False), name="photo_returned"),
    models.Index(fields=["library", "photo_md5"], name="photo_by_md5"),  # moves, duplicates
    models.Index(fields=["library", "head_md5", "size_bytes"], name="photo_by_fast_key"),
    models.Index(fields=["library", "image_digest"], condition=~models.Q(image_digest=""), name="photo_by_image"),
    # what earlier versions read without all that later ones keep
    models.Index(
        fields=["library", "id"],
        condition=models.Q(image_digest="", needs_digest=False, later_tried=0),
        name="photo_unfilled",
    ),
    models.Index(
        fields=["library", "id"],
        condition=models.Q(motion_bytes__isnull=True, needs_digest=False, camera_make__in=MOTION_MAKES),
        name="photo_motion_unread",
    ),
    models.Index(
        fields=["library", "id"],
        condition=models.Q(look__isnull=True, needs_digest=False, has_thumbnail=True),
        name="photo_look_unread",
    ),
    # whose MD5 is only told; none in a library that was scanned
    models.Index(fields=["library", "id"], condition=~models.Q(read_md5=F("photo_md5")), name="photo_unread"),
    models.Index(fields=["library", "state"], name="photo_by_state"),  # what is missing, counts
    models.Index(fields=["library", "version"], name="photo_by_version"),  # what changed, and what is marked
    # which cameras and media types there are, how many photos each has by day, and the photos themselves where they are few;
    # the library is not first, so that no question about a library alone is led here
    models.Index(
        fields=["camera_make", "camera_model", "library", "taken_day", "taken_source", "is_shown"],
        name="photo_by_camera",
    ),
    models.Index(fields=["media_type", "library", "taken_day", "taken_source", "is_shown"], name="photo_by_type"),
    # few among very many: pages of them cost what they show, not what the library holds
    models.Index(
        fields=["library", "state", "directory", "filename"],
        condition=models.Q(state__in=["broken", "damaged", "missing"]),
        name="photo_problems",
    ),
    models.Index(
        fields=["library", "rating", "-taken_local", "id"],
        condition=models.Q(is_shown=True, rating__isnull=False),
        name="photo_rated",
    ),
]
