"""The accounts app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users, devices, sign-in."""

    name = "accounts"
