"""The web server's entry."""

import os

from django.core.wsgi import get_wsgi_application

import photolala.celery  # noqa: F401  (tasks are sent through our application, not Celery's default one)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "photolala.settings")
application = get_wsgi_application()
