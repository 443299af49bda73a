"""The accounts app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users, devices, sign-in."""

    name = "accounts"

    def ready(self) -> None:
        """Register the checks."""
        from . import checks  # noqa: F401
