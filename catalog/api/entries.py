"""What is in a library's folders, and the history of its snapshots."""

import re
from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponseBase
from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from catalog.browsing import photo_lists, serve
from catalog.browsing.filters import LONGEST_FOLDER, read_folder
from catalog.models import Library, Snapshot
from photolala.web.file_headers import CONDITIONS
from photolala.web.keyset import envelope, paginate
from photolala.web.parameters import check_parameters, utc_text
from photolala.web.refusals import NotThere
from photolala.web.views import PAGE_PARAMETERS, ApiView, answers_head, documented, in_path, page_body, query

from .found_libraries import find_library
from .photo_json import LIST_COLUMNS, PhotoBody, photo_json

NEWEST_FIRST = ("-published_at", "id")
SNAPSHOT = in_path("md5", "The MD5 of the catalog file.", pattern="^[0-9a-f]{32}$")
_MD5 = re.compile(r"[0-9a-f]{32}", re.ASCII)


class FolderBody(serializers.Serializer[Any]):
    """A subfolder and its number of photos."""

    name = serializers.CharField()
    path = serializers.CharField(help_text="For `directory=`.")
    count = serializers.IntegerField(help_text="Photos in it and below.")


class SnapshotBody(serializers.Serializer[Any]):
    """A published catalog snapshot."""

    md5 = serializers.CharField()
    entry_count = serializers.IntegerField()
    size_bytes = serializers.IntegerField()
    published_at = serializers.DateTimeField()
    in_cache = serializers.BooleanField()
    in_root = serializers.BooleanField()
    current = serializers.BooleanField(help_text="The library's latest.")


EntryPage = page_body(
    "EntryPage",
    PhotoBody,
    directory=serializers.CharField(),
    folders=FolderBody(many=True, help_text="Only with the first page."),
)
SnapshotPage = page_body("SnapshotPage", SnapshotBody)


class Entries(ApiView):
    """Folders and photos of one folder."""

    @documented(
        "libraries_entries",
        "The subfolders and entries of one folder, by name; broken files too (`state`), missing ones not.",
        {200: EntryPage},
        errors=(400, 401, 404),
        parameters=[
            query("directory", "Relative to the root; the root itself if absent.", maxLength=LONGEST_FOLDER),
            *PAGE_PARAMETERS,
        ],
    )
    def get(self, request: Request, library_id: UUID) -> Response:
        check_parameters(request.query_params, {"directory", "limit", "cursor"})
        library = find_library(request, library_id)
        directory = read_folder(request.query_params.get("directory", ""))
        if not photo_lists.folder_exists(library, directory):
            raise NotThere(f"The library knows no folder {directory[:200]!r}.", "no_folder")
        folders, page = photo_lists.directory(request.user, library, directory, request.query_params, LIST_COLUMNS)
        rows = [photo_json(row) for row in page.rows]
        return Response(envelope(page, rows, request, directory=directory, folders=folders))


class Snapshots(ApiView):
    """The library's published snapshots."""

    @documented(
        "libraries_snapshots",
        "The published catalog files, newest first.",
        {200: SnapshotPage},
        errors=(400, 401, 404),
        parameters=PAGE_PARAMETERS,
    )
    def get(self, request: Request, library_id: UUID) -> Response:
        check_parameters(request.query_params, {"limit", "cursor"})
        library = find_library(request, library_id)
        page = paginate(Snapshot.objects.filter(library=library), NEWEST_FIRST, request.query_params)
        rows = [_snapshot_json(row, library.snapshot_md5) for row in page.rows]
        return Response(envelope(page, rows, request))


class SnapshotDetail(ApiView):
    """One published snapshot."""

    @documented(
        "libraries_snapshot",
        "One published catalog file.",
        {200: SnapshotBody},
        errors=(401, 404),
        parameters=[SNAPSHOT],
    )
    def get(self, request: Request, library_id: UUID, md5: str) -> Response:
        library = find_library(request, library_id)
        return Response(_snapshot_json(find_snapshot(library, md5), library.snapshot_md5))


@answers_head
class SnapshotFile(ApiView):
    """The bytes of a published snapshot."""

    @documented(
        "libraries_snapshot_file",
        "The catalog file itself, an SQLite database; its MD5 is its name.",
        {200: bytes, 206: bytes, 304: "The client has it already."},
        errors=(401, 404, 416, 503),
        parameters=[SNAPSHOT, *CONDITIONS],
        binary="application/vnd.sqlite3",
    )
    def get(self, request: Request, library_id: UUID, md5: str) -> HttpResponseBase:
        library = find_library(request, library_id)
        return serve.serve_snapshot(request._request, library, find_snapshot(library, md5).md5)


def find_snapshot(library: Library, md5: str) -> Snapshot:
    """Return the library's snapshot of this MD5; Http404 if it has none."""
    snapshot = Snapshot.objects.filter(library=library, md5=md5).first() if _MD5.fullmatch(md5) else None
    if snapshot is None:
        raise Http404
    return snapshot


def _snapshot_json(snapshot: Snapshot, current: str) -> dict[str, Any]:
    return {
        "md5": snapshot.md5,
        "entry_count": snapshot.entry_count,
        "size_bytes": snapshot.size_bytes,
        "published_at": utc_text(snapshot.published_at),
        "in_cache": snapshot.in_cache,
        "in_root": snapshot.in_root,
        "current": snapshot.md5 == current,
    }
