"""The operation `find_backups`: lists backups in a bucket that this server does not know, as those of an earlier one."""

import hashlib
from contextlib import closing
from typing import Any

from django.utils import timezone

from exports.bundle.decoding import decode
from exports.bundle.entries import Metadata
from exports.bundle.layout import MANIFEST_NAME, METADATA_NAME
from exports.bundle.lists import InvalidBundle, decode_object
from exports.models import BUCKET_BACKUPS, Backup, ExportDestination, Scope
from operations.kinds import operation_kind
from operations.running import OperationFailed, Run

from .issues import Issues

NOT_VERIFIED = "It was found in the bucket and is not verified yet."
LARGEST_COUNT = (1 << 31) - 1
"""What the columns can hold; a strange backup may say more."""
UNKNOWN_RECIPIENT = "unknown"
"""An encrypted backup does not say whose key opens it."""


@operation_kind("find_backups", label="Search for backups", queue="export")
def run_finding(run: Run) -> dict[str, Any]:
    """List what the destination's bucket has. Changes nothing there; safe to run again."""
    destination = ExportDestination.objects.select_related("owner").filter(pk=run.params["destination"]).first()
    if destination is None:
        raise OperationFailed("This destination was forgotten.", "deleted")
    from exports.destinations.bucket_backups import BucketBackups, FoundBackup

    backups = BucketBackups(destination.bucket_root)
    issues = Issues()
    count = 0
    try:
        found = backups.found()
        run.phase("Looking at backups", total=len(found), unit="backups")
        parent = f"{destination.folder}/{BUCKET_BACKUPS}"
        again = Backup.objects.filter(user=destination.owner, parent=parent, destination=None)
        again.update(destination=destination)
        known = set(Backup.objects.filter(pk__in=[one.id for one in found]).values_list("pk", flat=True))
        one: FoundBackup
        for one in found:
            if one.id not in known:
                try:
                    count += _list(destination, backups, one)
                except (InvalidBundle, FileNotFoundError) as error:
                    issues.add(f"{one.name}: {error}")
            run.advance()
            run.checkpoint(force=False)
    except OSError as error:
        raise OperationFailed(
            f"The backups in {destination.folder} cannot be listed ({error.strerror or error}). Those found so far are on the "
            "page. Try again later.",
            "destination",
        ) from error
    return {
        "destination": str(destination.pk),
        "found": len(found),
        "added": count,
        "problem_count": issues.count,
        "problems": issues.problems(),
    }


def _list(destination: ExportDestination, backups: Any, found: Any) -> bool:
    """Make a row of a backup; False if it is of a whole server, and its owner here is no administrator."""
    owner = destination.owner
    backup = Backup(
        id=found.id,
        user=owner,
        parent=f"{destination.folder}/{BUCKET_BACKUPS}",
        destination=destination,
        size_bytes=found.size_bytes,
        created_at=found.created_at,
        completed_at=timezone.now(),
        problem=NOT_VERIFIED,
        was_found=True,
    )
    if found.is_encrypted:
        backup.packaging, backup.recipient = Backup.Packaging.ZIP, UNKNOWN_RECIPIENT
        backup.key_file = _key_file(backups, found.name)
    else:
        metadata = _metadata(backups, found.name)
        backup.scope = Scope.SERVER if metadata.get("scope") == Scope.SERVER else Scope.PERSON
        if backup.scope == Scope.SERVER and not owner.is_superuser:
            return False
        stats = metadata["stats"]
        names = ("albumCount", "noteCount", "draftCount", "ratingCount", "mediaCount")
        counts = [min(max(0, int(stats[name])), LARGEST_COUNT) for name in names]  # type: ignore[literal-required]
        backup.album_count, backup.note_count, backup.draft_count, backup.rating_count, backup.media_count = counts
        with closing(backups.open(f"{found.name}/{MANIFEST_NAME}")) as stream:
            backup.sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    backup.save(force_insert=True)
    return True


def _metadata(backups: Any, name: str) -> Metadata:
    with closing(backups.open(f"{name}/{METADATA_NAME}")) as stream:
        metadata: Metadata = decode(decode_object(stream, METADATA_NAME), Metadata, METADATA_NAME)
    return metadata


def _key_file(backups: Any, name: str) -> str:
    from exports.destinations.bucket_backups import KEY_FILE

    try:
        with closing(backups.open(f"{name}{KEY_FILE}")) as stream:
            return str(stream.read(1 << 16).decode("ascii", "replace")).replace("\0", "")
    except FileNotFoundError:
        return ""
