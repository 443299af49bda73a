"""The folders of a library, as they are in its root: subfolders with counts, and what is in one, broken files too."""

import uuid

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.requests import HttpRequest
from catalog.browsing import photo_lists
from photolala.web.problem_pages import say_problems

from .frame import library_frame

COLUMNS = (
    "id",
    "filename",
    "state",
    "problem",
    "photo_md5",
    "has_thumbnail",
    "media_type",
    "duration_ms",
    "size_bytes",
    "taken_local",
    "taken_day",
)
PAGE_LENGTH = "120"


@login_required
@require_GET
@say_problems
def show_folder(request: HttpRequest, library_id: uuid.UUID) -> HttpResponse:
    """Show `?directory=` (escaped form, relative to the root): its subfolders and a page of its photos, by name."""
    frame = library_frame(request, library_id, "folders")
    directory = request.GET.get("directory", "").strip("/")
    if "\0" in directory or not photo_lists.folder_exists(frame["library"], directory):
        raise Http404("There is no such folder in this library.")
    params = {"limit": PAGE_LENGTH, "cursor": request.GET.get("cursor", "")}
    subfolders, page = photo_lists.directory(request.user, frame["library"], directory, params, COLUMNS)
    context = {**frame, "directory": directory, "crumbs": crumbs(directory), "folders": subfolders, "page": page}
    return render(request, "catalog/folders.html", context)


def crumbs(directory: str) -> list[tuple[str, str]]:
    """Return (name, path) of every folder from the root's first level down to `directory`."""
    parts = directory.split("/") if directory else []
    return [(name, "/".join(parts[: index + 1])) for index, name in enumerate(parts)]
