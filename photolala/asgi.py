"""The entry of the events process, which serves nothing but `/api/v1/events/`; everything else is the web process's."""

import os

from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "photolala.settings")
settings.ROOT_URLCONF = "photolala.events_urls"
application = get_asgi_application()
