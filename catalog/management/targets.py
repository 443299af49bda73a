"""What commands are told to work on."""

import os
from uuid import UUID

from django.core.management.base import CommandError

from catalog.models import Library
from photolala.lib.paths import escape_path


def known_library(target: str) -> Library:
    """Return the library of that id or folder; none is ever made here. Raises CommandError."""
    try:
        found = Library.objects.filter(pk=UUID(target))
    except ValueError:
        found = Library.objects.filter(root=escape_path(os.fsencode(os.path.realpath(target))))
    library = found.select_related("owner").first()
    if library is None:
        raise CommandError(f"{target} is no library. Scan the folder first. Nothing was changed.", returncode=2)
    return library
