"""Imports: upload files, choose a folder of the server, and see what became of each file."""

import uuid
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.requests import HttpRequest
from catalog.importing import requests as verbs
from catalog.models import Import, ImportItem, Library
from catalog.roots.folders import LibraryRefused, folder_choices
from catalog.roots.told import source_for_eyes_of, told_of_import
from photolala.web.keyset import paginate
from photolala.web.problem_pages import say_problems
from photolala.web.refusals import BadRequest

SHOWN = 50
GROUPS = {
    "imported": ("Imported", (ImportItem.State.IMPORTED,)),
    "duplicate": ("Already in the library", (ImportItem.State.DUPLICATE,)),
    "rejected": ("Not imported", (ImportItem.State.REJECTED,)),
    "waiting": ("To come", ImportItem.OPEN),
}


class FolderForm(forms.Form):
    """A folder of the server, a library, and how the files are laid into it."""

    folder = forms.CharField(max_length=4096, strip=False)
    library = forms.UUIDField()
    layout = forms.ChoiceField(choices=Import.Layout.choices)
    people_as_keywords = forms.BooleanField(required=False)


@login_required
@require_GET
def show_imports(request: HttpRequest) -> HttpResponse:
    """Show the forms and the newest imports. Four queries."""
    imports = list(verbs.visible_imports(request.user)[:SHOWN])
    return render(
        request, "catalog/imports.html", {**_choices(request), "imports": _shown(_with_counts(imports), request)}
    )


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def import_folder(request: HttpRequest) -> HttpResponse:
    """Show the chooser at `?folder=`; with POST begin to import the chosen folder."""
    if request.method != "POST":
        return _chooser(request, request.GET.get("folder", ""))
    form = FolderForm(request.POST)
    if not form.is_valid():
        words = "Open the folder that is to be imported, and say into which library."
        return _chooser(request, request.POST.get("folder", ""), error=words, status=422)
    said = form.cleaned_data
    library = _targets(request).filter(pk=said["library"]).first()
    if library is None:
        raise Http404("There is no such library, or it is not yours to change.")
    try:
        wanted = verbs.start_folder_import(
            library, request.user, said["folder"], said["layout"], people_as_keywords=said["people_as_keywords"]
        )
    except (verbs.ImportRefused, LibraryRefused) as refused:
        return _chooser(request, said["folder"], error=str(refused), status=422)
    return redirect("catalog:import", wanted.pk)


@login_required
@require_GET
@say_problems
def show_import(request: HttpRequest, import_id: uuid.UUID) -> HttpResponse:
    """Show one import and a page of its files."""
    wanted = _find(request, import_id)
    (wanted,) = _with_counts([wanted])
    counts: dict[str, int] = wanted.counts  # type: ignore[attr-defined]
    numbers = {key: sum(counts[state] for state in states) for key, (_, states) in GROUPS.items()}
    chosen = request.GET.get("show") or ("rejected" if numbers["rejected"] else "imported")
    if chosen not in GROUPS:
        raise BadRequest("What to show is one of imported, duplicate, rejected and waiting.")
    rows = wanted.items.filter(state__in=GROUPS[chosen][1])
    page = paginate(rows, ("id",), {"limit": "100", "cursor": request.GET.get("cursor", "")})
    again = wanted.items.filter(state=ImportItem.State.REJECTED, code__in=verbs.AGAIN).exists()
    for item in page.rows:
        item.reason, item.detail = told_of_import(wanted, request.user, [item.reason, item.detail])
    _shown([wanted], request)
    context: dict[str, Any] = {
        "wanted": wanted,
        "groups": [(key, words, numbers[key]) for key, (words, _) in GROUPS.items()],
        "chosen": chosen,
        "page": page,
        "can_edit": _targets(request).filter(pk=wanted.library_id).exists(),
        "can_retry": again or bool(wanted.error),
    }
    return render(request, "catalog/import.html", context)


@login_required
@require_POST
def retry_import(request: HttpRequest, import_id: uuid.UUID) -> HttpResponse:
    """Try again what was rejected for a reason that may be gone."""
    wanted = _changeable(request, import_id)
    count = verbs.retry(wanted, request.user)
    files = "One file is" if count == 1 else f"{count:,} files are"
    messages.success(request, f"{files} tried again now." if count else "It continues.")
    return redirect("catalog:import", import_id)


@login_required
@require_POST
def stop_import(request: HttpRequest, import_id: uuid.UUID) -> HttpResponse:
    """Import nothing more of it."""
    verbs.stop(_changeable(request, import_id))
    messages.success(request, "Nothing more is imported. What came in stays.")
    return redirect("catalog:import", import_id)


def _find(request: HttpRequest, import_id: uuid.UUID) -> Import:
    wanted = verbs.visible_imports(request.user).select_related("library", "user").filter(pk=import_id).first()
    if wanted is None:
        raise Http404("There is no such import, or it is not yours to see.")
    return wanted


def _changeable(request: HttpRequest, import_id: uuid.UUID) -> Import:
    wanted = _find(request, import_id)
    if not _targets(request).filter(pk=wanted.library_id).exists():
        raise Http404("There is no such import, or it is not yours to change.")
    return wanted


def _targets(request: HttpRequest) -> QuerySet[Library]:
    return Library.objects.editable_by(request.user).filter(source="local")


def _choices(request: HttpRequest) -> dict[str, Any]:
    chosen = request.POST.get("library") or request.GET.get("library", "")
    return {
        "targets": list(_targets(request).order_by("name", "id")),
        "layouts": Import.Layout.choices,
        "target": chosen,
        "layout": request.POST.get("layout", Import.Layout.MONTH),
        "people_as_keywords": bool(request.POST.get("people_as_keywords")),
    }


def _shown(imports: list[Import], request: HttpRequest) -> list[Import]:
    """Say of imports what the user may read; they are not to be saved after that."""
    for one in imports:
        one.error = told_of_import(one, request.user, one.error)
        one.source = source_for_eyes_of(one, request.user)
    return imports


def _with_counts(imports: list[Import]) -> list[Import]:
    counts = verbs.counts_of(imports)
    for one in imports:
        own = counts[one.pk]
        one.counts = own  # type: ignore[attr-defined]
        one.left = own["waiting"] + own["placing"]  # type: ignore[attr-defined]
        is_listed = one.kind == Import.Kind.UPLOAD or one.listed_at is not None
        one.is_at_work = not one.error and (not is_listed or own["waiting"] + own["placing"] > 0)  # type: ignore[attr-defined]
    return imports


def _chooser(request: HttpRequest, folder: str, error: str = "", status: int = 200) -> HttpResponse:
    context: dict[str, Any] = {**_choices(request), "roots": settings.PHOTO_ROOTS, "error": error}
    if settings.PHOTO_ROOTS:
        try:
            found = folder_choices(request.user, folder or None)
        except LibraryRefused as refused:
            found = folder_choices(request.user, None)
            context["folder_error"] = str(refused)
            status = 422 if status == 200 else status
        context |= {"folder": found.folder, "crumbs": found.crumbs, "choices": found.folders, "is_cut": found.is_cut}
    return render(request, "catalog/import_folder.html", context, status=status)
