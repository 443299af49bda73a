"""The changes app."""

from django.apps import AppConfig


class ChangesConfig(AppConfig):
    """Numbers of what changed, for devices that ask what is new."""

    name = "changes"
    default_auto_field = "django.db.models.BigAutoField"
