"""What each kind of operation says of its end: the members of `result`, by `kind`. All are absent until it has ended.

The work itself is done above this app; only the names of the members are known here. A test compares the list of kinds.
"""

from typing import Any

from rest_framework import serializers

from .export_results import (
    BackupRestoreResult,
    BackupResult,
    BackupSearchResult,
    BackupVerificationResult,
    CatalogImportResult,
    ExportResult,
    FolderExportResult,
    RecordsRebuildResult,
    VerificationResult,
)
from .params import PARAMS
from .result_members import FileProblem, LibraryResult, ProblemsResult, duration, number


class ScanResult(ProblemsResult):
    """Result of a scan."""

    operation = serializers.UUIDField(required=False)
    found = number("Photos and videos in the folder.")
    added = number()
    changed = number()
    moved = number()
    unchanged = number()
    gone = number()
    known = number("With `confirm_gone`: how many there were.")
    failed = number("Files that cannot be shown, or only in part.")
    failures = FileProblem(many=True, required=False)
    retried = number("With `only_failed`: files that were tried again.")
    mended = number("With `only_failed`: those that can be shown now.")
    snapshot_md5 = serializers.CharField(required=False, allow_null=True)
    time_zone = serializers.CharField(required=False)
    seconds = duration()
    survey_seconds = duration()
    cache_hits = number("Files that were known and not read.")
    cache_misses = number("Files that were read.")


class RebuildResult(ScanResult):
    """Of a rebuild, and the scan at its end."""

    recognised = number("Photos that the new catalog knows again.")
    read = number("Files that were read whole.")
    rebuilt_md5 = serializers.CharField(required=False)
    backup_md5 = serializers.CharField(required=False, allow_null=True, help_text="The snapshot of the catalog before.")
    rebuild_seconds = duration()


class RestoreResult(LibraryResult):
    """Of a restore of the catalog."""

    snapshot_md5 = serializers.CharField(required=False)
    entries = number()
    added = number()
    changed = number()
    gone = number()
    time_zone = serializers.CharField(required=False)


class WriteResult(LibraryResult):
    """Result of writing tags into files."""

    written = number()
    waiting = number()
    failed = number()
    problems = FileProblem(many=True, required=False)


class FilingResult(ProblemsResult):
    """Of moving files into the folders of their dates."""

    moved = number()


class ImportResult(LibraryResult):
    """Result of an import run."""

    imported = number()
    duplicate = number("Files that the library had already.")
    rejected = number()
    known = number("Files that were known from earlier imports and not read again.")
    failed = number("The same as `rejected`.")


class PurgeResult(LibraryResult):
    """Of a purge of missing photos."""

    purged = number()


class EmptyTrashResult(LibraryResult):
    """Result of emptying a library's trash."""

    deleted = number()
    freed_bytes = number()


class TakenOverResult(LibraryResult):
    """What the owner of a library was left by a member who was deleted."""

    writes = number()
    files = number()
    imports = number()
    trash = number()


class RenditionResult(serializers.Serializer[Any]):
    """Of making a video playable."""

    size_bytes = number()
    width = number()
    height = number()
    was_there = serializers.BooleanField(required=False)


class SimilarResult(serializers.Serializer[Any]):
    """Of looking for similar pictures."""

    compared = number("Pictures that were compared.")
    groups = number()
    pictures = number("In the groups together.")


RESULTS: dict[str, type[serializers.Serializer[Any]]] = {
    "scan": ScanResult,
    "rebuild": RebuildResult,
    "restore": RestoreResult,
    "write": WriteResult,
    "filing": FilingResult,
    "import": ImportResult,
    "purge": PurgeResult,
    "empty_trash": EmptyTrashResult,
    "taken_over": TakenOverResult,
    "rendition": RenditionResult,
    "similar": SimilarResult,
    "export": ExportResult,
    "export_folder": FolderExportResult,
    "export_selection": FolderExportResult,
    "import_catalog": CatalogImportResult,
    "rebuild_records": RecordsRebuildResult,
    "verify_destination": VerificationResult,
    "backup": BackupResult,
    "verify_backup": BackupVerificationResult,
    "find_backups": BackupSearchResult,
    "restore_backup": BackupRestoreResult,
}


def by_kind(base: type[serializers.Serializer[Any]]) -> dict[str, Any]:
    """Return a serializer class for each kind: `base` with that one `kind`, its `params` and its `result`."""
    return {
        kind: type(
            f"{kind.title().replace('_', '')}Operation",
            (base,),
            {
                "__doc__": result.__doc__,
                "kind": serializers.ChoiceField([kind]),
                "params": PARAMS[kind](),
                "result": result(),
            },
        )
        for kind, result in RESULTS.items()
    }
