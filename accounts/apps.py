"""The accounts app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Registers the checks of accounts, devices and sign-in."""

    name = "accounts"

    def ready(self) -> None:
        from . import checks  # noqa: F401
