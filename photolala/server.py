"""The web process's entry: the whole site behind one address, its change notifications included."""

import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "photolala.settings")

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.db import close_old_connections

from photolala.web.receiver import Receiver
from photolala.web.sqlite.idle import kept
from photolala.wsgi import application as site

EVENTS = frozenset({"/api/v1/events/", "/api/v1/sync/events/"})
LIVE = "/api/v1/health/live"
MOST_FILES = 65_536
SWITCH_SECONDS = 0.001
"""How long a thread may compute before another one does. What takes requests in waits for each thread that computes."""


class EventsHandler(ASGIHandler):
    """Django's handler for `photolala.events_urls` alone."""

    def create_request(self, scope: Any, body_file: Any) -> Any:
        """Let the request be resolved by those routes."""
        request, failed = super().create_request(scope, body_file)
        if request is not None:
            request.urlconf = "photolala.events_urls"
        return request, failed


def allow_many_files() -> None:
    """Let this process keep as many files and connections open as its user may: every slow client holds one or two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


allow_many_files()
sys.setswitchinterval(SWITCH_SECONDS)
kept.begin()
application = Receiver(
    site,
    settings.WEB_THREADS,
    EventsHandler(),
    EVENTS.__contains__,
    Path(tempfile.gettempdir()),
    release=close_old_connections,
    live=LIVE,
    at_end=kept.end,
)
