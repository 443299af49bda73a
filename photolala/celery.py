"""The Celery application."""

import os

from celery import Celery

import photolala.broker  # noqa: F401  (registers the sqliteq:// transport)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "photolala.settings")

app = Celery("photolala")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
