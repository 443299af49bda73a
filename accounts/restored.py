"""People of a backup of the whole server, with their ids and passwords' hashes. For `exports.restore`, in its transaction."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX, identify_hasher
from django.contrib.auth.models import Permission
from django.core.exceptions import ValidationError
from django.utils.dateparse import parse_datetime

from accounts.models import User

_LONGEST_PASSWORD = 128
"""Of a hash: what the database keeps."""


class UserRefused(ValueError):
    """The backup says something of a person that cannot be; the message is a sentence."""


def restore_user(entry: Mapping[str, Any]) -> User:
    """Make the person as they were: name, rights, quota, and the hash of their password. Raises UserRefused."""
    user = User(
        pk=UUID(entry["id"]),
        username=entry["username"],
        email=entry["email"],
        first_name=entry["firstName"],
        last_name=entry["lastName"],
        is_active=entry["isActive"],
        is_staff=entry["isStaff"],
        is_superuser=entry["isSuperuser"],
        quota_bytes=entry["quotaBytes"],
    )
    joined = parse_datetime(entry["dateJoined"])
    if joined is not None:
        user.date_joined = joined
    password = entry["password"]
    try:
        if not password.startswith(UNUSABLE_PASSWORD_PREFIX) or len(password) > _LONGEST_PASSWORD:
            identify_hasher(password)
        user.password = password
    except ValueError:  # of a kind that this server does not know
        user.set_unusable_password()
    try:
        user.full_clean(exclude=["password"])
    except ValidationError as error:
        raise UserRefused(" ".join(error.messages)) from None
    user.save(force_insert=True)
    wanted = set(entry["permissions"])
    known = Permission.objects.select_related("content_type")
    user.user_permissions.set(one for one in known if f"{one.content_type.app_label}.{one.codename}" in wanted)
    return user
