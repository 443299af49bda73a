"""The list of libraries, adding one, and scanning one."""

import uuid
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.requests import HttpRequest
from catalog.libraries import adding as verbs
from catalog.models import Library
from catalog.roots import folders
from catalog.roots.told import told
from catalog.scanning import requests
from catalog.scanning.requests import last_scans, stopped_json
from operations.running import AlreadyActive

from .frame import library_frame
from .time_zones import time_zone_names


class AddForm(forms.Form):
    """What a person says of a new library."""

    folder = forms.CharField(max_length=4096, strip=False)
    name = forms.CharField(max_length=200, required=False)
    time_zone = forms.ChoiceField(choices=[(name, name) for name in time_zone_names()])
    ratings = forms.ChoiceField(choices=Library.Ratings.choices)


@login_required
@require_GET
def list_libraries(request: HttpRequest) -> HttpResponse:
    """Show the libraries the user may see, each with its running scan. Two queries."""
    libraries = list(
        Library.objects.visible_to(request.user).select_related("owner").annotate(member_count=Count("memberships"))
    )
    last = last_scans(libraries)
    for library in libraries:
        operation = last.get(library.scan_key)
        role = "owner" if library.owner_id == request.user.pk else ""
        library.scan = operation if operation and operation.is_active else None  # type: ignore[attr-defined]
        library.warning = told(library, request.user, library.warning)
        library.stopped = stopped_json(library, operation, role)  # type: ignore[attr-defined]
    context = {
        "libraries": libraries,
        "total_count": sum(library.photo_count for library in libraries),
        "total_bytes": sum(library.size_bytes for library in libraries),
    }
    return render(request, "catalog/libraries.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """Show the folder chooser at `?folder=`; with POST add the chosen folder as a library and start its scan."""
    if request.method != "POST":
        return _chooser(request, request.GET.get("folder", ""))
    form = AddForm(request.POST)
    if not form.is_valid():
        sentence = "Open the folder that shall become the library, then add it."
        if "folder" not in form.errors:
            sentence = "The time zone and the place of the stars must be among the choices."
        return _chooser(request, request.POST.get("folder", ""), error=sentence, status=422)
    wanted = form.cleaned_data
    try:
        library = verbs.add_library(
            request.user,
            wanted["folder"],
            wanted["name"].strip() or None,
            time_zone=wanted["time_zone"],
            ratings=wanted["ratings"],
        )
    except folders.LibraryRefused as refused:
        return _chooser(request, wanted["folder"], error=str(refused), status=422)
    adopted = getattr(library, "adopted_entry_count", 0)
    if adopted:
        photos = "one photo" if adopted == 1 else f"{adopted:,} photos"
        messages.info(
            request,
            f"The folder brings a catalog of {photos} along. It is opened at once, and the scan makes sure of every file.",
        )
    _start_scan(request, library)
    return redirect("catalog:library-timeline", library.pk)


@login_required
@require_POST
def scan(request: HttpRequest, library_id: uuid.UUID) -> HttpResponse:
    """Start a scan and return to the page that asked (`next`, this site only); owners and editors may.

    `only=failed` tries the failed files alone; `confirm_gone=1` says that what is gone was really taken away.
    """
    frame = library_frame(request, library_id, "")
    if not frame["can_edit"]:
        raise Http404("Viewers may not scan a library.")
    asked = {
        "only_failed": request.POST.get("only") == "failed",
        "confirm_gone": request.POST.get("confirm_gone") == "1",
    }
    _start_scan(request, frame["library"], **asked)
    wanted = request.POST.get("next", "")
    if wanted and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None):
        return HttpResponseRedirect(wanted)
    return redirect("catalog:library-timeline", library_id)


def _start_scan(request: HttpRequest, library: Library, **asked: bool) -> None:
    if library.source == "device":
        messages.info(request, "What is on a phone is told by the phone itself; there is nothing to scan.")
        return
    try:
        requests.start_scan(library, request.user, **asked)
    except AlreadyActive:
        messages.info(request, "A scan of this library is under way already.")


def _chooser(request: HttpRequest, folder: str, error: str = "", status: int = 200) -> HttpResponse:
    sent = request.POST
    context: dict[str, Any] = {
        "roots": settings.PHOTO_ROOTS,
        "folder": "",
        "crumbs": [],
        "choices": [],
        "error": error,
        "name": sent.get("name", ""),
        "time_zone": sent.get("time_zone", settings.TIME_ZONE),
        "time_zones": time_zone_names(),
        "ratings": sent.get("ratings", Library.Ratings.FILE),
    }
    if not settings.PHOTO_ROOTS:
        return render(request, "catalog/add.html", context, status=status)
    try:
        context.update(_choices(request, folder))
    except folders.LibraryRefused as refused:
        context.update(_choices(request, ""), folder_error=str(refused))
        status = 422 if status == 200 else status
    return render(request, "catalog/add.html", context, status=status)


def _choices(request: HttpRequest, folder: str) -> dict[str, Any]:
    found = folders.folder_choices(request.user, folder or None)
    return {"folder": found.folder, "crumbs": found.crumbs, "choices": found.folders, "is_cut": found.is_cut}
