"""Create the administrator of a fresh installation."""

import secrets

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from .models import User

PASSWORD_BYTES = 12


class BadFirstUser(ValueError):
    """PHOTOLALA_ADMIN cannot be used; the text says why."""


def create_first_user(name_and_password: str = "") -> tuple[User, str] | None:
    """Create the administrator from `name:password`, or `admin` with a random password; None if any user exists.

    Returns the user and the password if it was made here (to be shown once), else "". Raises BadFirstUser.
    """
    with transaction.atomic():
        if User.objects.exists():
            return None
        name, colon, password = name_and_password.partition(":")
        name = name.strip() or "admin"
        made = "" if colon and password else secrets.token_urlsafe(PASSWORD_BYTES)
        user = User(username=name)
        try:
            user.full_clean(exclude=["password"])
            if not made:
                validate_password(password, user)
        except ValidationError as error:
            raise BadFirstUser(f"PHOTOLALA_ADMIN cannot be used: {' '.join(error.messages)}") from None
        try:
            with transaction.atomic():
                created = User.objects.create_superuser(username=name, password=made or password)
        except IntegrityError:  # another process that started at this moment was first
            return None
        return created, made
