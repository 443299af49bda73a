"""Which destination a folder is, by the file beside its records."""

import logging
from pathlib import Path

from exports.ledger.identity import Identity, read_identity, write_identity
from exports.ledger.load import FOLDER_NAME
from exports.models import ExportDestination
from photolala.lib.files import is_real_folder

logger = logging.getLogger(__name__)


def claim_records(destination: ExportDestination) -> None:
    """Write whose records a folder has, unless something says so already; an error is logged: exports work without it."""
    try:
        folder = destination.records_folder
        if not destination.is_bucket and is_real_folder(folder) and read_identity(folder) is None:
            write_identity(folder, Identity(destination.pk, destination.name))
    except OSError as error:
        logger.warning("The id of the destination %s cannot be written beside its records: %s", destination.pk, error)


def name_records(destination: ExportDestination) -> None:
    """Write that the records in a folder are those of a destination that was just made there, whatever was said before."""
    try:
        folder = destination.records_folder
        if not destination.is_bucket and is_real_folder(folder):
            found = read_identity(folder)
            if found is None or found.id != destination.pk:
                write_identity(folder, Identity(destination.pk, destination.name))
    except OSError as error:
        logger.warning("The id of the destination %s cannot be written beside its records: %s", destination.pk, error)


def known_identity(folder: Path) -> Identity | None:
    """Return which destination a folder was, by the file beside its records; None if nothing says so, or it cannot be read."""
    try:
        return read_identity(folder / FOLDER_NAME)
    except OSError as error:
        logger.warning("Whose records are in %s cannot be read: %s", folder, error)
        return None


def id_for_new(owner_id: object, folder: Path) -> Identity | None:
    """Return the id that a destination at `folder` had and that is free here; None if it had none, or it is another one's.

    Raises OtherPlace if it is that of a destination of the same person whose folder is not there: that one was moved.
    """
    found = known_identity(folder)
    if found is None:
        return None
    known = ExportDestination.objects.filter(pk=found.id).first()
    if known is None:
        return found
    if known.owner_id == owner_id and not known.is_bucket and not is_real_folder(known.path):
        raise OtherPlace(known)
    return None


class OtherPlace(Exception):
    """The folder is a destination's that this server knows at another place."""

    def __init__(self, destination: ExportDestination) -> None:
        super().__init__(destination.name)
        self.destination = destination
