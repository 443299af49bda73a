"""Alias: the photo MD5 that a file had, and the one that it has since something was written into it."""

from django.db import models

from .library import Library


class Alias(models.Model):
    """In `library`, the content `old_md5` became `new_md5`: the same picture, other words about it."""

    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="+", db_index=False)
    old_md5 = models.CharField(max_length=32)
    new_md5 = models.CharField(max_length=32)
    noted_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "aliases"
        constraints = [
            models.UniqueConstraint(fields=["library", "old_md5"], name="one_alias_per_md5"),
            models.CheckConstraint(condition=~models.Q(old_md5=models.F("new_md5")), name="alias_leads_elsewhere"),
        ]
        indexes = [models.Index(fields=["library", "new_md5"], name="alias_by_new_md5")]

    def __str__(self) -> str:
        return f"{self.old_md5} -> {self.new_md5}"
