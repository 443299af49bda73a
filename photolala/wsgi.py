"""The web server's entry."""

import os

from django.core.wsgi import get_wsgi_application

import photolala.celery  # noqa: F401  (loaded before the first request that sends a message)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "photolala.settings")
application = get_wsgi_application()
