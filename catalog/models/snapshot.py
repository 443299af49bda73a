"""Snapshot: the history of a library's published catalog files."""

import uuid

from django.db import models

from .library import Library


class Snapshot(models.Model):
    """One published `.photolala.{md5}.sqlite`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="snapshots")
    md5 = models.CharField(max_length=32)
    entry_count = models.PositiveIntegerField()
    size_bytes = models.PositiveBigIntegerField()
    published_at = models.DateTimeField()
    in_cache = models.BooleanField(default=False)
    in_root = models.BooleanField(default=False)

    class Meta:
        ordering = ["-published_at", "id"]
        constraints = [models.UniqueConstraint(fields=["library", "md5"], name="one_row_per_snapshot")]

    def __str__(self) -> str:
        return self.md5
