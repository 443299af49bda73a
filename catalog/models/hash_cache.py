"""HashCache: the MD5s of a file's bytes, known by its place, size and time."""

from django.db import models

from .library import Library


class HashCache(models.Model):
    """A file of `path` with this size and time had these MD5s; any change of size or time makes it worthless."""

    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="+", db_index=False)
    path = models.TextField()
    size_bytes = models.PositiveBigIntegerField()
    mtime_ns = models.BigIntegerField()
    head_md5 = models.CharField(max_length=32)
    photo_md5 = models.CharField(max_length=32)
    cached_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "hash cache"
        constraints = [models.UniqueConstraint(fields=["library", "path"], name="one_hash_per_path")]
        indexes = [models.Index(fields=["photo_md5"], name="hash_cache_by_md5")]

    def __str__(self) -> str:
        return f"{self.path}: {self.photo_md5}"
