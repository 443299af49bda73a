"""ExportDestination: a folder that originals are copied to."""

import os
import uuid
from pathlib import Path
from typing import Self

from django.conf import settings
from django.db import models

from accounts.models import User
from catalog.models import Library
from exports.ledger.load import FOLDER_NAME
from exports.ledger.placement import DEFAULT_TEMPLATE
from photolala.lib.paths import unescape_path


class DestinationQuerySet(models.QuerySet["ExportDestination"]):
    """Reads that say who may see."""

    def visible_to(self, user: User) -> Self:
        """Only the destinations of `user`."""
        return self.filter(owner=user)


class ExportDestination(models.Model):
    """A folder of the server that originals are exported to, with the records of what has left in `ExportRecords/`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="export_destinations")
    name = models.CharField(max_length=200)
    folder = models.TextField(unique=True, help_text="The folder's absolute path, in escaped form.")
    template = models.CharField(max_length=200, default=DEFAULT_TEMPLATE, help_text="The folders below it.")
    libraries = models.ManyToManyField(Library, related_name="+", blank=True, help_text="Those exported to it.")
    has_records = models.BooleanField(default=False, help_text="An export has left records there.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = DestinationQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> Path:
        """Path of the destination's folder."""
        return Path(os.fsdecode(unescape_path(self.folder)))

    @property
    def records_folder(self) -> Path:
        """Folder of the export records (the ledger)."""
        return self.path / FOLDER_NAME

    @property
    def active_key(self) -> str:
        """The operations' key: one export to a destination at a time."""
        return f"export_folder:{self.pk}"
