"""What commands are told to work on."""

import os
from uuid import UUID

from django.core.management.base import CommandError

from catalog.models import Library
from photolala.lib.paths import escape_path


def root_of(folder: str) -> str:
    """Return what a library of that folder has as its root: the real path, in escaped form; `~` is the caller's home."""
    return escape_path(os.path.realpath(os.fsencode(os.path.expanduser(folder))))


def known_library(target: str) -> Library:
    """Return the library of that id, folder or bucket; none is ever made here. Raises CommandError."""
    try:
        found = Library.objects.filter(pk=UUID(target))
    except ValueError:
        found = Library.objects.filter(root__in=[root_of(target), escape_path(os.fsencode(target))])
    library = found.select_related("owner").first()
    if library is None:
        raise CommandError(f"{target} is no library. Scan the folder first. Nothing was changed.", returncode=2)
    return library
