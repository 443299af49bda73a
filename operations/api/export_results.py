"""What exports, backups and restores of backups say of their end; `results` says which kind has which."""

from typing import Any

from rest_framework import serializers

from .result_members import FileProblem, ProblemsResult, duration, number


class ExportResult(ProblemsResult):
    """Of an export of the catalog."""

    export = serializers.UUIDField(required=False)
    operation = serializers.UUIDField(required=False)
    format = serializers.CharField(required=False)
    folder = serializers.CharField(required=False)
    photos = number()
    media = number()
    failed = number("Photos whose file could not be exported.")
    size_bytes = number()
    seconds = duration()


class FolderExportResult(ProblemsResult):
    """Result of an export into a folder."""

    operation = serializers.UUIDField(required=False)
    destination = serializers.CharField(required=False)
    copied = number()
    skipped = number("Files that were there already.")
    adopted = number("Files that were there without a record.")
    companions = number("Sidecars and other files beside photos that went along.")
    previews = number("Previews that were put beside copies.")
    failed = number()
    size_bytes = number()
    seconds = duration()
    record_problems = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="What was wrong with the records there."
    )


class VerificationResult(serializers.Serializer[Any]):
    """Of reading all copies in a destination, and the previews beside them, which count like copies."""

    operation = serializers.UUIDField(required=False)
    destination = serializers.CharField(required=False)
    whole = number("Copies that are as they were exported.")
    missing = number("Copies that are not there any more.")
    damaged = number("Copies whose bytes differ from those that were exported.")
    unreadable = number()
    without_digest = number("Copies of other programs, which recorded no digest: they could be read.")
    repaired = number("Copies and previews that were made again.")
    failed = number("Bad ones that were not made again.")
    size_bytes = number("What was read.")
    seconds = duration()
    problem_count = number()
    problems = FileProblem(many=True, required=False)
    record_problems = serializers.ListField(child=serializers.CharField(), required=False)


class RecordsRebuildResult(serializers.Serializer[Any]):
    """Of recognising copies in a destination whose records are lost."""

    operation = serializers.UUIDField(required=False)
    destination = serializers.CharField(required=False)
    library = serializers.UUIDField(required=False)
    total = number("Files in `YYYY/MM/`.")
    matched = number("Those that are the copy of a photo and were not recorded.")
    known = number("Those that are recorded.")
    ambiguous = number("Those that have the name of a photo, but not its bytes, or those of several photos.")
    unmatched = number("Those that have the name of no photo of their month, or cannot be read.")
    recorded = number("Records that were written; none without `apply`.")
    failed = number()
    seconds = duration()
    problem_count = number()
    problems = FileProblem(many=True, required=False)
    record_problems = serializers.ListField(child=serializers.CharField(), required=False)


class FieldChange(serializers.Serializer[Any]):
    """What becomes of one field of a photo, or of an album. Long texts are given in part."""

    path = serializers.CharField(help_text="The photo's in the export, or the album's title.")
    field = serializers.ChoiceField(["caption", "rating", "keywords", "place", "date", "album"])
    before = serializers.CharField(allow_blank=True, help_text="Empty: it has none.")
    after = serializers.CharField(help_text="Of keywords, after a plus sign, those that are added.")


class CatalogImportResult(serializers.Serializer[Any]):
    """Of giving what a catalog export says back to the photos of a library, and its albums."""

    operation = serializers.UUIDField(required=False)
    library = serializers.UUIDField(required=False)
    is_applied = serializers.BooleanField(required=False, help_text="False: it is only told what would be changed.")
    rows = number()
    matched = number("Rows that are photos of the library, by id or else by content.")
    unmatched = number()
    captions = number("New captions.")
    ratings = number("New ratings.")
    keywords = number("Photos that get keywords which they lack.")
    places = number("New places.")
    dates = number("New dates.")
    albums = number("New albums.")
    album_items = number("Photos that are added to albums.")
    kept = number("What the catalog has otherwise, and keeps.")
    failed = number("Rows that cannot be used, and values that their photos cannot get.")
    seconds = duration()
    change_count = number("Fields and albums that get something.")
    changes = FieldChange(many=True, required=False, help_text="The first 200 of them.")
    problem_count = number()
    problems = FileProblem(many=True, required=False)


class BackupResult(ProblemsResult):
    """Of a backup that was made and verified."""

    operation = serializers.UUIDField(required=False)
    backup = serializers.UUIDField(required=False)
    path = serializers.CharField(required=False, help_text="Where it is on the server.")
    albums = number()
    notes = number()
    drafts = number()
    ratings = number("Photos of which somebody said something.")
    media = number("Attached files, each content once.")
    size_bytes = number()
    seconds = duration()


class BackupVerificationResult(ProblemsResult):
    """Of reading all of a backup again."""

    operation = serializers.UUIDField(required=False)
    backup = serializers.UUIDField(required=False)
    files = number("Those that are as they were written.")
    size_bytes = number("What was read.")
    failed = number("What is not as it was written.")


class BackupSearchResult(ProblemsResult):
    """Of looking for backups in the bucket of a destination."""

    destination = serializers.UUIDField(required=False)
    found = number("Complete backups that are there.")
    added = number("Those that were not listed here.")


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
    differences = number()
    problem_count = number()
    problems = BackupProblem(many=True, required=False)
