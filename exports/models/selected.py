"""SelectedPhoto: a photo that an export of selected photos is to copy."""

from django.db import models

from operations.models import Operation


class SelectedPhoto(models.Model):
    """One of the photos that an operation was asked to copy; it stays as long as the operation is remembered.

    The photo may be gone by the time it runs: then it is told, so this is its id only.
    """

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="+", db_index=False)
    photo = models.UUIDField()

    objects: models.Manager["SelectedPhoto"] = models.Manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["operation", "photo"], name="one_selected_photo")]

    def __str__(self) -> str:
        return str(self.photo)
