"""When were they taken: one photo's date, or those of a folder, set, moved or spread; shown before anything is changed."""

import re
import uuid
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_POST

from accounts.requests import HttpRequest
from catalog.edits import dates
from catalog.entries import taken
from catalog.files import filing
from catalog.files.layouts import folder_of
from catalog.files.queue import NothingToUndo, last_done
from catalog.media.dates import parse_offset
from catalog.models import Photo

from .selected import ids_in, way_back

MOST_SHOWN = 100
HOWS = [("set", "Set one date"), ("shift", "Move them"), ("spread", "Spread them evenly")]
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?")


class MomentField(forms.Field):
    """A wall clock's time as browsers send it, without zone."""

    def to_python(self, value: Any) -> Any:
        """Return a datetime without zone, or None."""
        text = str(value or "").strip()
        if not text:
            return None
        try:
            if not _MOMENT.fullmatch(text):
                raise ValueError
            return datetime.fromisoformat(text)
        except ValueError:
            raise forms.ValidationError("Write the date as 2024-05-17 12:30:00.") from None


class DatesForm(forms.Form):
    """What is to be done with the dates."""

    how = forms.ChoiceField(choices=HOWS)
    first = MomentField(required=False)
    last = MomentField(required=False)
    days = forms.IntegerField(required=False, min_value=0, max_value=100_000)
    hours = forms.IntegerField(required=False, min_value=0, max_value=10_000)
    minutes = forms.IntegerField(required=False, min_value=0, max_value=100_000)
    seconds = forms.IntegerField(required=False, min_value=0, max_value=1_000_000)
    direction = forms.ChoiceField(choices=[("later", "later"), ("earlier", "earlier")], required=False)
    offset = forms.CharField(required=False, max_length=6)
    file_into = forms.ChoiceField(choices=[("", "stay where they are"), *filing.LAYOUTS], required=False)

    def clean_offset(self) -> int | None:
        """Return minutes east of UTC, None for none."""
        text = self.cleaned_data["offset"].strip()
        minutes = parse_offset(text) if text else None
        if text and minutes is None:
            raise forms.ValidationError("Write the offset from UTC as +02:00, or leave it empty.")
        return minutes

    def wish(self) -> dates.Wish | None:
        """Return what is wished, or None after saying what is missing."""
        said = self.cleaned_data
        offset = said["offset"]
        if said["how"] == "shift":
            units = (("days", 86400), ("hours", 3600), ("minutes", 60), ("seconds", 1))
            seconds = sum((said[name] or 0) * unit for name, unit in units)
            if not seconds and offset is None:
                self.add_error(None, "Say by how much they are to be moved, or which offset from UTC is theirs.")
                return None
            return dates.Shift(-seconds if said["direction"] == "earlier" else seconds, offset is not None, offset)
        if said["first"] is None:
            self.add_error("first", "Say the date.")
            return None
        if said["how"] == "set":
            return dates.Setting(said["first"], offset)
        if said["last"] is None or said["last"] < said["first"]:
            self.add_error("last", "Say the last date; it must not be earlier than the first.")
            return None
        return dates.Spread(said["first"], said["last"], offset)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def change_dates(request: HttpRequest) -> HttpResponse:
    """Show the form for `?photo=`, or for `?library=` and `?directory=`, or for the ids in POST's `photos`.

    With POST and `how` show what it means; with `apply=1` do it.
    """
    photos, context = _chosen(request)
    if request.method != "POST" or "how" not in request.POST:
        first = photos[0].taken_local if photos[0].is_dated else None
        values = {"how": "set" if len(photos) == 1 else "shift", "first": first and f"{first:%Y-%m-%dT%H:%M:%S}"}
        return render(request, "catalog/dates.html", {**context, "values": values})
    form = DatesForm(request.POST)
    wish = form.wish() if form.is_valid() else None
    context |= {"values": request.POST, "form": form}
    if wish is None:
        return render(request, "catalog/dates.html", context, status=422)
    planned = dates.plan(photos, wish)
    good = [one for one in planned if not one.problem]
    if request.POST.get("apply") != "1" or not good:
        problems = [one for one in planned if one.problem]
        context |= {"planned": planned[:MOST_SHOWN], "planned_count": len(planned), "good_count": len(good)}
        context |= {"problem_count": len(problems)}
        if layout := form.cleaned_data["file_into"]:
            context["folders"] = sorted({folder_of(layout, one.local) for one in good})[:MOST_SHOWN]
        return render(request, "catalog/dates.html", context)
    changed = dates.set_dates(request.user, planned)
    if layout := form.cleaned_data["file_into"]:
        dates.file_all(request.user, planned, layout)
    photo_words = "The photo has its new date" if changed == 1 else f"{changed:,} photos have their new dates"
    messages.success(request, f"{photo_words}. What belongs into files is written now: see “Changes to your files”.")
    return redirect(context["back"])


@login_required
@require_POST
def take_date_back(request: HttpRequest, photo_id: uuid.UUID) -> HttpResponse:
    """Take back the last date that was written into the photo's file."""
    photo = Photo.objects.editable_by(request.user).filter(pk=photo_id).select_related("library").first()
    if photo is None:
        raise Http404("There is no such photo, or it is not yours to change.")
    try:
        dates.undo_date(photo, request.user)
    except NothingToUndo as reason:
        messages.warning(request, str(reason))
    else:
        messages.success(request, "The file gets back what it said before.")
    return redirect("catalog:photo", photo_id)


def _chosen(request: HttpRequest) -> tuple[list[Photo], dict[str, Any]]:
    """Return the photos that the address names and that the user may change, and the page's context. Raises Http404."""
    mine = Photo.objects.editable_by(request.user).select_related("library")
    missing = Http404("There are no photos there that are yours to change.")
    try:
        photo_id, library_id = (
            uuid.UUID(text) if text else None for text in map(request.GET.get, ("photo", "library"))
        )
    except ValueError:
        raise missing from None
    directory = request.GET.get("directory", "").strip("/")
    picked = request.POST.get("photos", "")
    if picked:
        photos = list(
            mine.filter(pk__in=ids_in(picked, dates.MOST_AT_ONCE))
            .exclude(state=Photo.State.MISSING)
            .order_by("taken_local", "pk")
        )
        back = way_back(request)
    elif photo_id:
        photos = list(mine.filter(pk=photo_id))
        back = reverse("catalog:photo", args=[photo_id])
    elif library_id and "\0" not in directory:
        here = mine.filter(library=library_id, directory=directory).exclude(state=Photo.State.MISSING)
        photos = list(here.order_by("filename")[: dates.MOST_AT_ONCE + 1])
        back = f"{reverse('catalog:library-folders', args=[library_id])}?{urlencode({'directory': directory})}"
    else:
        raise missing
    if not photos:
        raise missing
    if len(photos) > dates.MOST_AT_ONCE:
        raise Http404(
            f"This folder holds more than {dates.MOST_AT_ONCE:,} photos; their dates can be changed through the API."
        )
    can_undo = bool(photo_id) and last_done(photos[0], "date") is not None
    return photos, {
        "photos": photos,
        "count": len(photos),
        "directory": directory,
        "picked": picked,
        "back": back,
        "hows": HOWS,
        "layouts": filing.LAYOUTS if any(photo.library.source == "local" for photo in photos) else [],
        "can_undo": can_undo,
        "goes_into_files": any(taken.goes_into_file(photo.library) for photo in photos),
    }
