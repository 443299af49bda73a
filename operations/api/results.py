"""What each kind of operation says of its end: the members of `result`, by `kind`. All are absent until it has ended.

The work itself is done above this app; only the names of the members are known here. A test compares the list of kinds.
"""

from typing import Any

from rest_framework import serializers

from .params import PARAMS


def _count(help_text: str = "") -> serializers.IntegerField:
    return serializers.IntegerField(required=False, help_text=help_text)


def _seconds(help_text: str = "") -> serializers.FloatField:
    return serializers.FloatField(required=False, help_text=help_text)


class FileProblem(serializers.Serializer[Any]):
    """A file with which something was wrong."""

    path = serializers.CharField()
    reason = serializers.CharField()


class LibraryResult(serializers.Serializer[Any]):
    """Of work on one library."""

    library = serializers.UUIDField(required=False)


class ProblemsResult(LibraryResult):
    """Of work that continues after problems with single files; the first of them are listed."""

    problem_count = _count()
    problems = FileProblem(many=True, required=False)


class ScanResult(ProblemsResult):
    """Result of a scan."""

    operation = serializers.UUIDField(required=False)
    found = _count("Photos and videos in the folder.")
    added = _count()
    changed = _count()
    moved = _count()
    unchanged = _count()
    gone = _count()
    known = _count("With `confirm_gone`: how many there were.")
    failed = _count("Files that cannot be shown, or only in part.")
    failures = FileProblem(many=True, required=False)
    retried = _count("With `only_failed`: files that were tried again.")
    mended = _count("With `only_failed`: those that can be shown now.")
    snapshot_md5 = serializers.CharField(required=False, allow_null=True)
    time_zone = serializers.CharField(required=False)
    seconds = _seconds()
    survey_seconds = _seconds()
    cache_hits = _count("Files that were known and not read.")
    cache_misses = _count("Files that were read.")


class RebuildResult(ScanResult):
    """Of a rebuild, and the scan at its end."""

    recognised = _count("Photos that the new catalog knows again.")
    read = _count("Files that were read whole.")
    rebuilt_md5 = serializers.CharField(required=False)
    backup_md5 = serializers.CharField(required=False, allow_null=True, help_text="The snapshot of the catalog before.")
    rebuild_seconds = _seconds()


class RestoreResult(LibraryResult):
    """Of a restore of the catalog."""

    snapshot_md5 = serializers.CharField(required=False)
    entries = _count()
    added = _count()
    changed = _count()
    gone = _count()
    time_zone = serializers.CharField(required=False)


class WriteResult(LibraryResult):
    """Result of writing tags into files."""

    written = _count()
    waiting = _count()
    failed = _count()
    problems = FileProblem(many=True, required=False)


class FilingResult(ProblemsResult):
    """Of moving files into the folders of their dates."""

    moved = _count()


class ImportResult(LibraryResult):
    """Result of an import run."""

    imported = _count()
    duplicate = _count("Files that the library had already.")
    rejected = _count()
    known = _count("Files that were known from earlier imports and not read again.")
    failed = _count("The same as `rejected`.")


class PurgeResult(LibraryResult):
    """Of a purge of missing photos."""

    purged = _count()


class EmptyTrashResult(LibraryResult):
    """Result of emptying a library's trash."""

    deleted = _count()
    freed_bytes = _count()


class TakenOverResult(LibraryResult):
    """What the owner of a library was left by a member who was deleted."""

    writes = _count()
    files = _count()
    imports = _count()
    trash = _count()


class RenditionResult(serializers.Serializer[Any]):
    """Of making a video playable."""

    size_bytes = _count()
    width = _count()
    height = _count()
    was_there = serializers.BooleanField(required=False)


class ExportResult(ProblemsResult):
    """Of an export of the catalog."""

    export = serializers.UUIDField(required=False)
    operation = serializers.UUIDField(required=False)
    format = serializers.CharField(required=False)
    folder = serializers.CharField(required=False)
    photos = _count()
    media = _count()
    failed = _count("Photos whose file could not be exported.")
    size_bytes = _count()
    seconds = _seconds()


class FolderExportResult(ProblemsResult):
    """Result of an export into a folder."""

    operation = serializers.UUIDField(required=False)
    destination = serializers.CharField(required=False)
    copied = _count()
    skipped = _count("Files that were there already.")
    adopted = _count("Files that were there without a record.")
    companions = _count("Sidecars and other files beside photos that went along.")
    previews = _count("Previews that were put beside copies.")
    failed = _count()
    size_bytes = _count()
    seconds = _seconds()
    record_problems = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="What was wrong with the records there."
    )


class VerificationResult(serializers.Serializer[Any]):
    """Of reading all copies in a destination."""

    operation = serializers.UUIDField(required=False)
    destination = serializers.CharField(required=False)
    whole = _count("Copies that are as they were exported.")
    missing = _count("Copies that are not there any more.")
    damaged = _count("Copies whose bytes differ from those that were exported.")
    unreadable = _count()
    without_digest = _count("Copies of other programs, which recorded no digest: they could be read.")
    repaired = _count("Photos that were copied again.")
    failed = _count("Bad copies that were not copied again.")
    size_bytes = _count("What was read.")
    seconds = _seconds()
    problem_count = _count()
    problems = FileProblem(many=True, required=False)
    record_problems = serializers.ListField(child=serializers.CharField(), required=False)


class RecordsRebuildResult(serializers.Serializer[Any]):
    """Of recognising copies in a destination whose records are lost."""

    operation = serializers.UUIDField(required=False)
    destination = serializers.CharField(required=False)
    library = serializers.UUIDField(required=False)
    total = _count("Files in `YYYY/MM/`.")
    matched = _count("Those that are the copy of a photo and were not recorded.")
    known = _count("Those that are recorded.")
    ambiguous = _count("Those that have the name of a photo, but not its bytes, or those of several photos.")
    unmatched = _count("Those that have the name of no photo of their month, or cannot be read.")
    recorded = _count("Records that were written; none without `apply`.")
    failed = _count()
    seconds = _seconds()
    problem_count = _count()
    problems = FileProblem(many=True, required=False)
    record_problems = serializers.ListField(child=serializers.CharField(), required=False)


class CatalogImportResult(serializers.Serializer[Any]):
    """Of giving the captions and ratings of a catalog export to the photos of a library."""

    operation = serializers.UUIDField(required=False)
    library = serializers.UUIDField(required=False)
    is_applied = serializers.BooleanField(required=False, help_text="False: it is only told what would be changed.")
    rows = _count()
    matched = _count("Rows that are photos of the library, by id or else by content.")
    unmatched = _count()
    captions = _count("New captions.")
    ratings = _count("New ratings.")
    kept = _count("Captions and ratings that the catalog has otherwise, and keeps.")
    failed = _count("Rows that cannot be used.")
    seconds = _seconds()
    problem_count = _count()
    problems = FileProblem(many=True, required=False)


class BackupResult(ProblemsResult):
    """Of a backup that was made and verified."""

    operation = serializers.UUIDField(required=False)
    backup = serializers.UUIDField(required=False)
    path = serializers.CharField(required=False, help_text="Where it is on the server.")
    albums = _count()
    notes = _count()
    drafts = _count()
    ratings = _count("Photos of which somebody said something.")
    media = _count("Attached files, each content once.")
    size_bytes = _count()
    seconds = _seconds()


class BackupVerificationResult(ProblemsResult):
    """Of reading all of a backup again."""

    operation = serializers.UUIDField(required=False)
    backup = serializers.UUIDField(required=False)
    files = _count("Those that are as they were written.")
    size_bytes = _count("What was read.")
    failed = _count("What is not as it was written.")


class BackupSearchResult(ProblemsResult):
    """Of looking for backups in the bucket of a destination."""

    destination = serializers.UUIDField(required=False)
    found = _count("Complete backups that are there.")
    added = _count("Those that were not listed here.")


class BackupProblem(serializers.Serializer[Any]):
    """What in a backup cannot be used."""

    what = serializers.CharField()
    reason = serializers.CharField()


class BackupRestoreResult(serializers.Serializer[Any]):
    """Of a backup that was compared with what is here, and put back unless it is a dry run."""

    restore = serializers.UUIDField(required=False)
    mode = serializers.CharField(required=False)
    dry_run = serializers.BooleanField(required=False)
    counts = serializers.DictField(required=False, help_text="By type and by what is to be done with it.")
    differences = _count()
    problem_count = _count()
    problems = BackupProblem(many=True, required=False)


class StageBody(serializers.Serializer[Any]):
    """One stage of the work."""

    name = serializers.CharField()
    seconds = serializers.FloatField()
    done = serializers.IntegerField()
    unit = serializers.CharField()


class MetricsBody(serializers.Serializer[Any]):
    """Figures of the work so far; which of them there are depends on its kind."""

    stages = StageBody(many=True, required=False)
    seconds = _seconds()
    interruptions = _count("How often it went on after its worker was killed.")
    files_compared = _count()
    files_read = _count()
    files_read_by_assistants = _count("By other processes than the first.")
    bytes_read = _count()
    cache_hits = _count()
    later_columns_filled = _count()
    known_from_memory = serializers.BooleanField(required=False)
    photos_processed = _count()
    photos_total = _count()
    media_copied = _count()
    media_total = _count()
    fraction = serializers.FloatField(required=False, help_text="0 to 1, by phases; of backups.")


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
