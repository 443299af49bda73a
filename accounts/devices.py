"""Give devices and scripts their access: the one way in which tokens are made."""

from django.db import transaction
from knox.models import AuthToken

from accounts.models import Device, User


def add_device(user: User, name: str, stable_id: str = "") -> tuple[Device, str]:
    """Return a new device of `user`, who has shown the password, and its token, of which only a hash is kept."""
    with transaction.atomic():
        row, token = AuthToken.objects.create(user)
        return Device.objects.create(user=user, name=name, stable_id=stable_id, token=row), token
