"""What differs between two snapshots of a library, putting its catalog back to one, and rebuilding it."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from catalog.files.purge import CountDiffers, start_purge
from catalog.history.after_restore import ScanNeeded
from catalog.history.compare import MOST_COMPARED, diff_kept
from catalog.history.copies import SnapshotNotKept
from catalog.history.restore import start_restore
from catalog.roots.told import told
from catalog.scanning.rebuild import start_rebuild
from operations.api.idempotency import KEYED, idempotent
from operations.api.operations import OperationBody, started
from photolala.web.parameters import check_parameters
from photolala.web.refusals import Conflict, NotThere, Unprocessable
from photolala.web.views import ApiView, RequestBody, documented, query

from .entries import SNAPSHOT, find_snapshot
from .found_libraries import find_library, find_own_library

MD5 = "^[0-9a-f]{32}$"


class ChangedBody(serializers.Serializer[Any]):
    """An entry that both have."""

    path = serializers.CharField()
    fields = serializers.ListField(child=serializers.CharField(), help_text="What differs.")  # type: ignore[assignment]


class DifferenceBody(serializers.Serializer[Any]):
    """What the newer of two snapshots has other than the older."""

    older = serializers.CharField()
    newer = serializers.CharField()
    added_count = serializers.IntegerField()
    removed_count = serializers.IntegerField()
    changed_count = serializers.IntegerField()
    added = serializers.ListField(child=serializers.CharField(), help_text="The first 100 paths.")
    removed = serializers.ListField(child=serializers.CharField(), help_text="The first 100 paths.")
    changed = ChangedBody(many=True, help_text="The first 100.")


class RestoreBody(RequestBody):
    """Which snapshot shall become the catalog."""

    md5 = serializers.RegexField(
        r"\A[0-9a-f]{32}\Z", required=False, default="", help_text="The latest that can be used, if absent."
    )


class RebuildBody(RequestBody):
    """How thoroughly the catalog is rebuilt."""

    full = serializers.BooleanField(
        required=False, default=False, help_text="Read every file anew, also those whose hashes are known."
    )


class PurgeBody(RequestBody):
    """How many, so that nobody purges more than they were shown."""

    count = serializers.IntegerField(
        min_value=1, max_value=2**63 - 1, help_text="The library's `missing_count` as it was shown."
    )


class SnapshotDiff(ApiView):
    """Differences of two snapshots."""

    @documented(
        "libraries_snapshot_diff",
        "What this snapshot has other than the one `against`; counts are of all, lists are cut.",
        {200: DifferenceBody},
        errors=(400, 401, 404, 422),
        parameters=[
            SNAPSHOT,
            query("against", "The older one's MD5; the library's current one if absent.", pattern=f"{MD5}|^$"),
        ],
    )
    def get(self, request: Request, library_id: UUID, md5: str) -> Response:
        check_parameters(request.query_params, {"against"})
        library = find_library(request, library_id)
        newer = find_snapshot(library, md5)
        older = find_snapshot(library, request.query_params.get("against") or library.snapshot_md5)
        if newer.entry_count + older.entry_count > MOST_COMPARED:
            raise Unprocessable(
                f"Together they hold more than {MOST_COMPARED:,} entries. Compare them with the command `snapshots diff`.",
                "too_large",
            )
        try:
            return Response(diff_kept(library, older.md5, newer.md5).as_json())
        except SnapshotNotKept as error:
            raise NotThere(told(library, request.user, str(error)), "no_file") from None


class Restore(ApiView):
    """Restore the catalog of a snapshot."""

    @documented(
        "libraries_restore",
        "Put the catalog back to a snapshot; no photo file is touched. The owner's alone. 409 while it is scanned or restored.",
        {202: OperationBody},
        errors=(400, 401, 403, 404, 409, 415, 422, 429),
        request=RestoreBody,
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request, library_id: UUID) -> Response:
        library = find_own_library(request, library_id)
        body = RestoreBody(data=request.data)
        body.is_valid(raise_exception=True)
        wanted: dict[str, Any] = body.validated_data
        if wanted["md5"]:
            find_snapshot(library, wanted["md5"])
        return started(request, lambda: start_restore(library, request.user, wanted["md5"]))


class Rebuild(ApiView):
    """A new catalog from the files."""

    @documented(
        "libraries_rebuild",
        "Build the catalog anew from the files; the old one stands until the new one is complete, and is kept as a snapshot. "
        "The owner's alone. 409 while the library is scanned, restored or rebuilt.",
        {202: OperationBody},
        errors=(400, 401, 403, 404, 409, 415, 422, 429),
        request=RebuildBody,
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request, library_id: UUID) -> Response:
        library = find_own_library(request, library_id)
        body = RebuildBody(data=request.data)
        body.is_valid(raise_exception=True)
        return started(request, lambda: start_rebuild(library, request.user, full=body.validated_data["full"]))


class Purge(ApiView):
    """Photos whose files are gone."""

    @documented(
        "libraries_purge",
        "Delete the photos that are missing from the catalog, with everybody's favourites of them. Export records stay, and no "
        "file is touched. The owner's alone. 409 if another number is missing by now, while the library is scanned, and after a "
        "restore until it was.",
        {202: OperationBody},
        errors=(400, 401, 403, 404, 409, 415, 422, 429),
        request=PurgeBody,
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request, library_id: UUID) -> Response:
        library = find_own_library(request, library_id)
        body = PurgeBody(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            return started(request, lambda: start_purge(library, request.user, body.validated_data["count"]))
        except CountDiffers as differs:
            raise Conflict(str(differs), "count_differs") from None
        except ScanNeeded as needed:
            raise Conflict(str(needed), "scan_needed") from None
