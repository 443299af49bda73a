"""The accounts app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users, devices, sign-in."""

    name = "accounts"

    def ready(self) -> None:
        """Register the system checks and the API schema's authentication scheme."""
        from . import schema  # noqa: F401
