"""StarQueue: what was starred and un-starred, in order, for what mirrors stars elsewhere."""

from django.conf import settings
from django.db import models

from .library import Library


class QueuedStar(models.Model):
    """A library's owner gave a photo a star, or took it away; whatever drains the queue removes the row when it is done."""

    class Operation(models.TextChoices):
        """What to do with the photo."""

        STAR = "star"
        UNSTAR = "unstar"

    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    photo_md5 = models.CharField(max_length=32)
    fast_photo_key = models.CharField(max_length=60)
    operation = models.CharField(max_length=10, choices=Operation)
    queued_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "star queue"
        ordering = ["pk"]
        constraints = [
            # the last action wins: one row for each photo
            models.UniqueConstraint(fields=["library", "fast_photo_key"], name="one_queued_star_per_photo"),
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.photo_md5}"
