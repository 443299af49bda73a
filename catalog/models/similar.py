"""SimilarGroup: pictures that looked alike when a person last asked for such."""

from django.conf import settings
from django.db import models


class SimilarGroup(models.Model):
    """One group of one person's; all of a person's are replaced when they ask again.

    The photos may have been changed or deleted since, or be no longer theirs to see: who shows a group asks each photo anew.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    number = models.PositiveIntegerField()
    look = models.BigIntegerField(help_text="Of the picture in the middle, to which all others are similar.")
    photos = models.JSONField(help_text="The photos' ids, the largest picture first.")

    objects: models.Manager["SimilarGroup"] = models.Manager()

    class Meta:
        ordering = ["user", "number"]
        constraints = [models.UniqueConstraint(fields=["user", "number"], name="one_similar_group_per_number")]

    def __str__(self) -> str:
        return f"group {self.number} of {self.user}"
