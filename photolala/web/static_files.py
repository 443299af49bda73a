"""The site's static files, collected below the data folder: whole, or collected anew."""

import shutil
from io import StringIO
from pathlib import Path

from django.conf import settings
from django.core.management import call_command

from photolala.lib.files import fsync_directory, fsync_file

_COMPLETE = ".complete"


def collect() -> None:
    """Bring the static files up to date. Raises OSError.

    What an interrupted run or a loss of power left behind is collected anew: a file cut off there would look up to date, and a
    manifest cut off keeps the site from starting.
    """
    folder = Path(settings.STATIC_ROOT)
    mark = folder / _COMPLETE
    if folder.exists() and not mark.exists():
        shutil.rmtree(folder)
    mark.unlink(missing_ok=True)
    call_command("collectstatic", interactive=False, verbosity=0, stdout=StringIO())
    for path in folder.rglob("*"):
        fsync_directory(path) if path.is_dir() else fsync_file(path)
    mark.touch()
    fsync_directory(folder)
