"""The exports app."""

from django.apps import AppConfig


class ExportsConfig(AppConfig):
    """What has left."""

    name = "exports"
