"""`up`: everything in one terminal: migrate, first user, web, worker, schedule."""

import contextlib
import fcntl
import os
import socket
import sys
from pathlib import Path
from typing import Any, TextIO

from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import OperationalError

from accounts.models import User
from catalog.importing.upload_sweep import tidy as tidy_uploads
from catalog.libraries.adding import add_library
from catalog.models import Library
from catalog.roots.folders import LibraryRefused
from catalog.scanning.requests import start_scan
from operations.running import AlreadyActive
from photolala.lib.paths import escape_path
from photolala.lib.supervisor import Program, Supervisor
from photolala.web import static_files

QUEUES = "files,scan,export,sync"


class Command(BaseCommand):
    """Starts Photolala: database, first user, web server, worker and schedule. Ctrl-C stops all of it."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--photos", default="", help="A folder to add as a library of the first user, and to scan.")
        parser.add_argument("--port", default="", help="Port of the web server (8000).")
        parser.add_argument("--host", default="", help="Address to listen on (127.0.0.1; 0.0.0.0 for the network).")

    def handle(self, *args: Any, **options: Any) -> None:
        host = options["host"] or "127.0.0.1"
        port = self.port_number(options["port"] or "8000")
        photos = self.photos_folder(options["photos"])
        Path(settings.DATA_DIR).mkdir(parents=True, exist_ok=True)
        with self.only_one():
            self.check_port(host, port)
            self.prepare()
            environment = self.open_root(photos)
            if photos:
                self.add_and_scan(photos)
            self.stdout.write(f"\nPhotolala: http://{self.shown_host(host)}:{port}/\n")
            self.stdout.flush()
            Supervisor(self.programs(host, port), environment=environment, say=self.say).run()
        self.stdout.write("Stopped. What was under way goes on at the next start.")

    def shown_host(self, host: str) -> str:
        """Return the name to open in a browser, and say so if the settings would refuse it to others."""
        if host in {"127.0.0.1", "::1", "localhost"}:
            return "localhost"
        if host not in {"0.0.0.0", "::"}:  # noqa: S104  (compared, not listened on)
            return f"[{host}]" if ":" in host else host
        if not os.environ.get("PHOTOLALA_HOSTS"):
            self.stderr.write(
                "Other devices reach this server only under the names in PHOTOLALA_HOSTS, which is not set; set it to "
                "this machine's name or address, e.g. PHOTOLALA_HOSTS=photos.local,192.168.1.20."
            )
        return socket.gethostname()

    def say(self, line: str) -> None:
        """Print a line of a program at once."""
        self.stdout.write(line)
        self.stdout.flush()

    def port_number(self, text: str) -> int:
        """Return the port, or say what is wrong with it."""
        if not text.isdigit() or not 0 < int(text) < 65536:
            raise CommandError(f"PORT={text} is no port: write a number from 1 to 65535.")
        return int(text)

    def photos_folder(self, text: str) -> Path | None:
        """Return the folder of --photos as a real path, or say what is wrong with it."""
        if not text:
            return None
        folder = Path(text).expanduser()
        if not folder.exists():
            raise CommandError(f"PHOTOS={text}: there is no such folder. Is the disk mounted, the name spelled right?")
        if not folder.is_dir():
            raise CommandError(f"PHOTOS={text} is a file; name the folder that holds the photos.")
        if not os.access(folder, os.R_OK | os.X_OK):
            raise CommandError(f"PHOTOS={text} cannot be read by this user: give it the right to list the folder.")
        return folder.resolve()

    @contextlib.contextmanager
    def only_one(self) -> Any:
        """Hold the data folder's lock; a second start on the same data is refused."""
        lock: TextIO
        with (Path(settings.DATA_DIR) / "up.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise CommandError(
                    f"Photolala is running already on {settings.DATA_DIR}. Stop it first, or set PHOTOLALA_DATA to "
                    "another folder for a second one."
                ) from None
            yield

    def check_port(self, host: str, port: int) -> None:
        """Refuse a port that is taken, before anything starts."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise CommandError(
                    f"Port {port} on {host} cannot be used ({error.strerror}). Another program listens there: stop it or "
                    f"choose another port, e.g. make run PORT={port + 1 if port < 65535 else 8080}."
                ) from None

    def prepare(self) -> None:
        """Bring database and static files up to date and create the first user."""
        self.stdout.write("Preparing the database …")
        try:
            call_command("migrate", interactive=False, verbosity=0)
            static_files.collect()
            call_command("first_user", stdout=self.stdout)
            tidy_uploads()
        except (OSError, OperationalError) as error:
            raise CommandError(
                f"Photolala could not be prepared in {settings.DATA_DIR}: {error}. Nothing is lost. Is the disk full, the "
                "database reachable? Fix that and start again."
            ) from None

    def open_root(self, photos: Path | None) -> dict[str, str]:
        """Add the folder to PHOTOLALA_ROOTS, so that it and what is below can become libraries."""
        roots = list(settings.PHOTO_ROOTS)
        if photos and str(photos) not in roots:
            settings.PHOTO_ROOTS = [*roots, str(photos)]
        shown = [root for root in settings.PHOTO_ROOTS if ":" not in root.removeprefix("s3:")]
        return {"PHOTOLALA_ROOTS": ":".join(shown)} if shown else {}

    def add_and_scan(self, photos: Path) -> None:
        """Make the folder a library of the administrator if it is none yet, and ask for a scan."""
        library = Library.objects.filter(root=escape_path(os.fsencode(photos))).first()
        owner = library.owner if library else User.objects.filter(is_superuser=True).order_by("date_joined").first()
        if owner is None:
            raise CommandError("There is no administrator to own the library: run `manage.py createsuperuser`.")
        try:
            library = library or add_library(owner, str(photos))
            start_scan(library, owner)
        except LibraryRefused as error:
            raise CommandError(f"PHOTOS={photos}: {error.operators_sentence}") from None
        except AlreadyActive:
            self.stdout.write(f"The scan of {library} goes on where it was." if library else "")

    def programs(self, host: str, port: int) -> list[Program]:
        """Return the command lines of web server, worker, schedule and watcher."""
        python = sys.executable
        celery = [python, "-W", "ignore::UserWarning", "-m", "celery", "-q", "-A", "photolala.celery"]
        schedule = str(Path(settings.DATA_DIR) / "schedule")
        return [
            Program(
                "web",
                [
                    *[python, "-m", "granian", "--interface", "asgi", "--host", host, "--port", str(port)],
                    *["--workers", "1", "--backlog", "1024", "--backpressure", "4096", "--no-ws"],
                    *["--log-level", "error", "photolala.server:application"],
                ],
            ),
            Program(
                "worker", [*celery, "worker", "-Q", QUEUES, "-l", "WARNING", "--without-gossip", "--without-mingle"]
            ),
            Program("watch", [python, "-m", "django", "watch"]),
            Program("schedule", [*celery, "beat", "-l", "WARNING", "-s", schedule, "--pidfile", ""]),
        ]
