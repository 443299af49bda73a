"""The words by which photos, albums and notes are found, and what is still to be indexed (catalog.words)."""

from django.db import models

from .library import Library


class SearchKind(models.TextChoices):
    """What is found by words."""

    PHOTO = "photo"
    ALBUM = "album"
    NOTE = "note"


class SearchText(models.Model):
    """The folded words of one photo, album or note; the database's full-text index is of `text`."""

    kind = models.CharField(max_length=10, choices=SearchKind)
    object_id = models.UUIDField()
    text = models.TextField()
    library_id = models.UUIDField(null=True, blank=True, help_text="Of a photo: its library.")
    day = models.PositiveIntegerField(
        null=True, blank=True, help_text="Of a photo that is shown: its taken_day, so that days are counted from here."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["object_id", "kind"], name="one_search_text_per_object"),
        ]

    def __str__(self) -> str:
        return f"words of {self.kind} {self.object_id}"


class SearchQueue(models.Model):
    """Something whose words changed, or that is gone. Triggers of the database add rows; `catalog.words` takes them away."""

    kind = models.CharField(max_length=10, choices=SearchKind)
    object_id = models.UUIDField()

    class Meta:
        verbose_name_plural = "search queue"
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id}"


class SearchFacet(models.Model):
    """A camera, lens, keyword or folder that photos of a library have, or had; offered while somebody types a search."""

    class Kind(models.TextChoices):
        """Of which field it is a value."""

        CAMERA = "camera"
        LENS = "lens"
        KEYWORD = "keyword"
        FOLDER = "folder"

    library = models.ForeignKey(
        Library, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    kind = models.CharField(max_length=10, choices=Kind)
    value = models.TextField()
    text = models.TextField(help_text="Its folded words.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["library", "kind", "value"], name="one_search_facet_per_value"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"
