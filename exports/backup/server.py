"""What only a backup of the whole server has: people, their devices, settings, and the history of libraries."""

from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings

from accounts.models import Device, User
from catalog.models import Alias, Snapshot
from exports.bundle import entries
from exports.bundle.layout import ALIASES, DEVICES, SETTINGS, SNAPSHOTS, USERS, ListFile, time_text

from .things import BATCH

TOLD_SETTINGS = ("EXPORT_DAYS", "LANGUAGE_CODE", "PHOTO_ROOTS", "TIME_ZONE", "WORKER_PROCESSES")
"""Settings that a person who sets the server up anew wants to know. Nothing secret, and no address with a password in it."""


def server_lists(using: str) -> dict[ListFile, Callable[[], Iterator[Any]]]:
    """Return what yields the entries of each file; `using` is the connection of the moment."""
    return {
        USERS: lambda: _users(using),
        DEVICES: lambda: _devices(using),
        SETTINGS: _settings,
        SNAPSHOTS: lambda: _snapshots(using),
        ALIASES: lambda: _aliases(using),
    }


def _users(using: str) -> Iterator[entries.User]:
    people = User.objects.using(using).order_by("pk").prefetch_related("groups", "user_permissions__content_type")
    for user in people.iterator(chunk_size=BATCH):
        permissions = (f"{one.content_type.app_label}.{one.codename}" for one in user.user_permissions.all())
        yield {
            "id": str(user.pk),
            "username": user.get_username(),
            "email": user.email,
            "firstName": user.first_name,
            "lastName": user.last_name,
            "password": user.password,
            "isActive": user.is_active,
            "isStaff": user.is_staff,
            "isSuperuser": user.is_superuser,
            "quotaBytes": user.quota_bytes,
            "permissions": sorted(permissions),
            "groups": sorted(group.name for group in user.groups.all()),
            "dateJoined": time_text(user.date_joined),
        }


def _devices(using: str) -> Iterator[entries.Device]:
    for device in Device.objects.using(using).select_related("user").order_by("pk").iterator(chunk_size=BATCH):
        yield {
            "id": str(device.pk),
            "user": device.user.get_username(),
            "name": device.name,
            "stableId": device.stable_id,
            "createdAt": time_text(device.created_at),
            "lastSeenAt": time_text(device.last_seen_at) if device.last_seen_at else None,
        }


def _settings() -> Iterator[entries.Setting]:
    for name in TOLD_SETTINGS:
        yield {"name": name, "value": getattr(settings, name, None)}


def _snapshots(using: str) -> Iterator[entries.Snapshot]:
    for row in Snapshot.objects.using(using).order_by("library", "md5").iterator(chunk_size=BATCH):
        yield {
            "libraryId": str(row.library_id),
            "md5": row.md5,
            "entryCount": row.entry_count,
            "sizeBytes": row.size_bytes,
            "publishedAt": time_text(row.published_at),
        }


def _aliases(using: str) -> Iterator[entries.Alias]:
    for row in Alias.objects.using(using).order_by("library", "old_md5").iterator(chunk_size=BATCH):
        yield {"libraryId": str(row.library_id), "oldMD5": row.old_md5, "newMD5": row.new_md5}
