"""The page of exports: start one, see those at work, take the finished ones, give them back, delete them."""

import uuid
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST, require_safe

from accounts.requests import HttpRequest
from catalog.browsing.filters import LONGEST_FOLDER, LONGEST_TEXT
from catalog.models import Album, Library
from exports.catalogs import requests as verbs
from exports.catalogs.downloads import serve_export
from exports.catalogs.import_back import start_import
from exports.ledger.placement import PROPOSED_TEMPLATE
from exports.models import Export, ExportDestination
from exports.refusals import ExportRefused
from operations.models import Operation
from operations.running import AlreadyActive
from photolala.web.problem_pages import say_problems
from photolala.web.refusals import BadRequest

MOST_SHOWN = 50
MOST_ALBUMS = 1_000
KINDS = ["export", "export_folder", "export_selection"]
_NARROWING = ("min_rating", "favourite", "album", "folder", "q")


class ExportForm(forms.Form):
    """What a person wants exported."""

    library = forms.UUIDField()
    format = forms.ChoiceField(choices=Export.Format.choices)
    start_date = forms.DateField(required=False)
    end_date = forms.DateField(required=False)
    include_media = forms.BooleanField(required=False)
    min_rating = forms.IntegerField(required=False, min_value=1, max_value=5)
    favourite = forms.BooleanField(required=False)
    album = forms.UUIDField(required=False)
    folder = forms.CharField(required=False, max_length=LONGEST_FOLDER, empty_value="")
    q = forms.CharField(required=False, max_length=LONGEST_TEXT, empty_value="")

    def wishes(self) -> verbs.Wishes:
        """Return what is wished, once the form is valid."""
        wanted = {name: value for name, value in self.cleaned_data.items() if name != "library"}
        narrowed = {name: wanted.pop(name) for name in (*_NARROWING,)}
        chosen = {name: str(value) if name == "album" else value for name, value in narrowed.items() if value}
        if chosen.get("folder"):
            chosen["recursive"] = True
        return verbs.Wishes(**wanted, filter=chosen)


class ImportForm(forms.Form):
    """Which library an export is given back to, and how."""

    library = forms.UUIDField()
    overwrite = forms.BooleanField(required=False)
    apply = forms.BooleanField(required=False)


@login_required
@require_GET
def list_exports(request: HttpRequest) -> HttpResponse:
    """Show the forms, what is at work, what is finished, and the destinations. Six queries."""
    return render_list(request)


@login_required
@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Start an export of a catalog."""
    form = ExportForm(request.POST)
    if not form.is_valid():
        return render_list(
            request, 422, export_error="Choose a library and a format, days as 2024-05-31, and one of your albums."
        )
    library = get_object_or_404(Library.objects.visible_to(request.user), pk=form.cleaned_data["library"])
    try:
        verbs.start_export(request.user, library, form.wishes())
    except ExportRefused as refused:
        return render_list(request, 422, export_error=str(refused))
    except BadRequest as refused:
        return render_list(request, 422, export_error=f"{refused.detail} Nothing was started.")
    except AlreadyActive:
        sentence = "This export is at work or waits already. Wait until it is done, or cancel it."
        return render_list(request, 409, export_error=sentence)
    return redirect("exports:list")


@login_required
@require_safe
@say_problems
def download(request: HttpRequest, export_id: uuid.UUID) -> HttpResponse:
    """Send the files of a finished export as one ZIP."""
    return cast(HttpResponse, serve_export(request, _export(request, export_id)))


@login_required
@require_POST
def give_back(request: HttpRequest, export_id: uuid.UUID) -> HttpResponse:
    """Compare an export with a library, or give back to it what the export says; the operation's page tells what differs."""
    export, form = _export(request, export_id), ImportForm(request.POST)
    if not form.is_valid():
        raise Http404
    wanted = form.cleaned_data
    library = get_object_or_404(Library.objects.editable_by(request.user), pk=wanted["library"])
    try:
        operation = start_import(request.user, export, library, apply=wanted["apply"], overwrite=wanted["overwrite"])
    except ExportRefused as refused:
        messages.warning(request, str(refused))
        return redirect("exports:list")
    except AlreadyActive:
        messages.warning(request, f"Another import to “{library.name}” is at work or waits. Nothing was started.")
        return redirect("exports:list")
    return redirect("operations:detail", operation.pk)


@login_required
@require_POST
def delete(request: HttpRequest, export_id: uuid.UUID) -> HttpResponse:
    """Delete an export and its files."""
    export = _export(request, export_id)
    try:
        verbs.delete_export(export)
    except ExportRefused as refused:
        messages.warning(request, str(refused))
    except OSError as error:
        messages.error(request, f"The files of this export cannot be deleted now: {error.strerror}.")
    else:
        messages.success(request, f"The export of “{export.library_name}” is deleted. No photo was touched.")
    return redirect("exports:list")


def render_list(request: HttpRequest, status: int = 200, **more: Any) -> HttpResponse:
    """Return the page; `more` goes into its context (what a person sent, and what was wrong with it)."""
    mine = Operation.objects.visible_to(request.user).filter(kind__in=KINDS)
    unfinished = list(
        mine.unfinished().with_place().select_related("export").defer("checkpoint", "error_detail")[:MOST_SHOWN]
    )
    ended = Export.objects.visible_to(request.user).filter(
        Q(completed_at__isnull=False)
        | Q(operation=None)
        | Q(operation__state="cancelled")
        | Q(operation__superseded=True)
    )
    found = list(ended.select_related("operation")[: MOST_SHOWN + 1])
    context = {
        "libraries": list(Library.objects.visible_to(request.user)),
        "editable_libraries": list(Library.objects.editable_by(request.user)),
        "albums": list(
            Album.objects.visible_to(request.user).order_by("title", "pk").values("pk", "title")[:MOST_ALBUMS]
        ),
        "destinations": list(ExportDestination.objects.visible_to(request.user)),
        "unfinished": unfinished,
        "exports": found[:MOST_SHOWN],
        "has_more": len(found) > MOST_SHOWN,
        "sent": request.POST,
        "default_template": PROPOSED_TEMPLATE,
        **more,
    }
    return render(request, "exports/list.html", context, status=status)


def _export(request: HttpRequest, export_id: uuid.UUID) -> Export:
    return get_object_or_404(Export.objects.visible_to(request.user).select_related("operation"), pk=export_id)
