"""What each kind of operation was asked to do: the members of `params`, by `kind`. Those that do not apply are absent.

The work itself is done above this app; only the names of the members are known here. A test compares the list of kinds.
"""

from typing import Any

from rest_framework import serializers


def _is_asked(help_text: str = "") -> serializers.BooleanField:
    return serializers.BooleanField(required=False, help_text=help_text)


class LibraryParams(serializers.Serializer[Any]):
    """Of work on one library."""

    library = serializers.UUIDField(required=False)


class GoneParams(LibraryParams):
    """Of work that asks before it believes that photos are gone."""

    confirm_gone = _is_asked("A person confirmed that what cannot be found is gone.")


class ScanParams(GoneParams):
    """Parameters of a scan."""

    verify_heads = _is_asked("Read the beginning of every file, also of those that look unchanged.")
    only_failed = _is_asked("Only the broken and damaged files are tried again.")


class RebuildParams(GoneParams):
    """Parameters of a rebuild."""

    full = _is_asked("Read every file anew, whatever is known of it.")
    start_over = _is_asked("What was read before is thrown away.")


class RestoreParams(LibraryParams):
    """Parameters of the restore of a snapshot."""

    md5 = serializers.CharField(required=False, help_text="The snapshot; empty: the latest that can be used.")


class FilingParams(LibraryParams):
    """Parameters of filing photos into folders of their dates."""

    photos = serializers.ListField(child=serializers.UUIDField(), required=False)
    layout = serializers.CharField(required=False)


class TrashParams(LibraryParams):
    """Parameters of deleting for good."""

    before = serializers.DateTimeField(required=False, help_text="Only what was there at that moment.")


class RenditionParams(serializers.Serializer[Any]):
    """Parameters of the conversion of a video."""

    photo = serializers.UUIDField(required=False)


class ExportParams(serializers.Serializer[Any]):
    """Parameters of a catalog export."""

    export = serializers.UUIDField(required=False)


class FolderExportParams(LibraryParams):
    """Parameters of an export of originals."""

    destination = serializers.UUIDField(required=False)


class SelectionExportParams(serializers.Serializer[Any]):
    """Parameters of an export of selected photos."""

    destination = serializers.UUIDField(required=False)
    photo_count = serializers.IntegerField(required=False, help_text="How many were selected.")


class CatalogImportParams(LibraryParams):
    """Parameters of giving back what a catalog export says."""

    export = serializers.UUIDField(required=False)
    file = serializers.CharField(required=False, help_text="A file on the server instead, by the command.")
    apply = _is_asked("Changes are made; else they are only told.")
    overwrite = _is_asked("Also what the photos say otherwise by now.")


class RecordsRebuildParams(FolderExportParams):
    """Parameters of recognising copies in a destination."""

    apply = _is_asked("Records are written; else it is only counted.")


class BackupParams(serializers.Serializer[Any]):
    """Parameters of a backup and of its verification."""

    backup = serializers.UUIDField(required=False)


class BackupRestoreParams(serializers.Serializer[Any]):
    """Parameters of the restore of a backup."""

    restore = serializers.UUIDField(required=False)


class VerificationParams(serializers.Serializer[Any]):
    """Parameters of the verification of a destination."""

    destination = serializers.UUIDField(required=False)
    repair = _is_asked("Copies that are bad are made again.")


class BackupSearchParams(serializers.Serializer[Any]):
    """Parameters of the search for backups in the bucket of a destination."""

    destination = serializers.UUIDField(required=False)


class SimilarParams(serializers.Serializer[Any]):
    """Of looking for similar pictures: all that the user sees are compared."""

    most_bits = serializers.IntegerField(
        required=False, help_text="Of 63: so many bits of what two pictures look like may differ."
    )


PARAMS: dict[str, type[serializers.Serializer[Any]]] = {
    "scan": ScanParams,
    "rebuild": RebuildParams,
    "restore": RestoreParams,
    "write": LibraryParams,
    "filing": FilingParams,
    "import": LibraryParams,
    "purge": TrashParams,
    "empty_trash": TrashParams,
    "taken_over": LibraryParams,
    "rendition": RenditionParams,
    "similar": SimilarParams,
    "export": ExportParams,
    "export_folder": FolderExportParams,
    "export_selection": SelectionExportParams,
    "import_catalog": CatalogImportParams,
    "rebuild_records": RecordsRebuildParams,
    "verify_destination": VerificationParams,
    "backup": BackupParams,
    "find_backups": BackupSearchParams,
    "verify_backup": BackupParams,
    "restore_backup": BackupRestoreParams,
}
