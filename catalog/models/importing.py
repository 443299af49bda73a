"""Import and ImportItem: files that shall come into a library, and what became of each; uploads, under way and over."""

import uuid

from django.conf import settings
from django.db import models

from photolala.lib.paths import join_path

from .library import Library


class Import(models.Model):
    """One import into a library: of a folder of the server, of an archive, or of files that somebody sends.

    Its items are what is to be done; `listed_at` is when all of them were known. A batch of uploads has none until it is
    closed: files may still come.
    """

    class Kind(models.TextChoices):
        """Where the files come from."""

        FOLDER = "folder", "a folder of this server"
        ARCHIVE = "archive", "a ZIP archive"
        UPLOAD = "upload", "files that were sent"

    class Layout(models.TextChoices):
        """The folder of the library that a file comes into."""

        MONTH = "month", "year/month: 2024/05"
        DAY = "day", "year/day: 2024/2024-05-17"
        YEAR = "year", "year: 2024"
        KEEP = "keep", "as where they come from"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    library = models.ForeignKey(Library, on_delete=models.CASCADE, related_name="imports", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=10, choices=Kind)
    source = models.TextField(blank=True, help_text="The folder's absolute path in escaped form; an archive's name.")
    archive = models.UUIDField(null=True, blank=True, help_text="The upload that holds the archive.")
    layout = models.CharField(max_length=10, choices=Layout, default=Layout.MONTH)
    export = models.CharField(
        max_length=200, blank=True, db_default="", help_text="What the parts of one export of another service share."
    )
    people_as_keywords = models.BooleanField(
        default=False,
        db_default=False,
        help_text="People's names, and that photos were archived or locked, as Google Takeout tells them, become keywords.",
    )
    error = models.TextField(blank=True, help_text="Why the source as a whole could not be read, in a sentence.")
    created_at = models.DateTimeField(auto_now_add=True)
    listed_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "id"]
        indexes = [
            models.Index(fields=["library", "-created_at"], name="import_of_library"),
            models.Index(fields=["user", "-created_at"], name="import_of_user"),
        ]

    def __str__(self) -> str:
        return f"import of {self.source or self.kind}"


class ImportItem(models.Model):
    """One file of an import.

    ::

        waiting ──read──> placing ──> imported
           │ ^               └─ the target is in the row before the file is put there, so that a killed import finds it
           │ └── try again ── rejected (`code`, `reason`)
           └──> duplicate (`reason` says of what)
    """

    class State(models.TextChoices):
        """Outcome of one file of an import."""

        WAITING = "waiting", "to come"
        PLACING = "placing", "being put into its place"
        IMPORTED = "imported", "imported"
        DUPLICATE = "duplicate", "there already"
        REJECTED = "rejected", "not imported"

    OPEN = (State.WAITING, State.PLACING)

    import_run = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="items", db_index=False)
    directory = models.TextField(blank=True, help_text="Relative to the source, in escaped form.")
    filename = models.TextField(help_text="In escaped form.")
    size_bytes = models.PositiveBigIntegerField()
    mtime_ns = models.BigIntegerField()
    is_sidecar = models.BooleanField(default=False, help_text="It speaks about a photo and travels with it.")
    upload = models.UUIDField(null=True, blank=True, help_text="The upload that holds it, or held it.")
    sent_path = models.TextField(blank=True, db_default="", help_text="Of an upload: its path as it was sent.")
    photo = models.UUIDField(null=True, blank=True, help_text="The photo that it became, or is a duplicate of.")
    finished_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    photo_md5 = models.CharField(max_length=32, blank=True)
    head_md5 = models.CharField(
        max_length=32, blank=True, default="", db_default="", help_text="Of the first 4 kB, for later imports."
    )
    target_directory = models.TextField(blank=True)
    target_filename = models.TextField(blank=True)
    code = models.CharField(max_length=20, blank=True, help_text="Why it was not imported, for programs.")
    reason = models.TextField(blank=True, help_text="The same in a sentence.")
    detail = models.TextField(blank=True, help_text="The technical part.")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["import_run", "directory", "filename"], name="one_item_per_file"),
        ]
        indexes = [
            models.Index(fields=["import_run", "state", "id"], name="import_item_state"),
            models.Index(
                fields=["photo_md5"], condition=models.Q(state__in=["placing", "imported"]), name="import_item_content"
            ),
            models.Index(fields=["upload"], condition=models.Q(upload__isnull=False), name="import_item_upload"),
        ]

    def __str__(self) -> str:
        return f"{self.path} ({self.state})"

    @property
    def path(self) -> str:
        """Where it is in the source."""
        return join_path(self.directory, self.filename)

    @property
    def target(self) -> str:
        """Where it is, or is to be, in the library; "" while that is not known."""
        if not self.target_filename:
            return ""
        return join_path(self.target_directory, self.target_filename)


class Upload(models.Model):
    """A file that somebody sends in pieces (tus 1.0); the size of its staged file is how far it has come.

    What is beyond `unchecked_from` is a piece whose checksum was not compared yet: it does not count.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    import_run = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="uploads")
    directory = models.TextField(blank=True)
    filename = models.TextField()
    sent_path = models.TextField(blank=True, db_default="", help_text="Its path as it was sent.")
    size_bytes = models.PositiveBigIntegerField()
    mtime_ns = models.BigIntegerField()
    unchecked_from = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(db_index=True)
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return self.filename


class KeptDocument(models.Model):
    """What an export says of a photo that another part brings, or of an album; parts may come days apart, and archives go.

    It is not tied to its item by a key: so many items are deleted without looking at each.
    """

    import_run = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="kept_documents", db_index=False)
    directory = models.TextField(blank=True)
    filename = models.TextField()
    body = models.BinaryField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["import_run", "directory", "filename"], name="one_kept_document_per_file"),
        ]

    def __str__(self) -> str:
        return join_path(self.directory, self.filename)


class FinishedUpload(models.Model):
    """What is remembered of an upload whose bytes are in the library, or were there already: its id leads nowhere else.

    A client that missed the last answer asks how far it has come, until the upload expires; without this it would send
    everything again.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    import_run = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="finished_uploads")
    sent_path = models.TextField(blank=True)
    size_bytes = models.PositiveBigIntegerField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["expires_at", "id"]

    def __str__(self) -> str:
        return self.sent_path
