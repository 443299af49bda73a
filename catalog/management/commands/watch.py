"""`watch`: notice changes in the folders of watched libraries, and start scans. Ctrl-C ends it; nothing is lost by that."""

import signal
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand

from catalog.scanning.watch import Watcher


class Command(BaseCommand):
    """Watches until it is stopped. `up` starts one; a server of several machines needs one where the folders are."""

    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGINT or SIGTERM."""
        stop = Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        Watcher(stop).run()
