"""The place of many photos at once: where they were taken, or that nobody is to know it."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from accounts.requests import HttpRequest
from catalog.edits.places import MOST_AT_ONCE, set_places
from catalog.models import Library, Photo
from photolala.lib.places import LONGEST_TEXT, BadPlace, place_in
from photolala.lib.towns import place_name

from .selected import ids_in, way_back


@login_required
@require_POST
def change_many(request: HttpRequest) -> HttpResponse:
    """Show the form for the ids in POST's `photos`; with `change` give them all the `place`, with `remove` none."""
    mine = Photo.objects.editable_by(request.user).exclude(state=Photo.State.MISSING)
    mine = mine.filter(pk__in=ids_in(request.POST.get("photos", ""), MOST_AT_ONCE)).order_by()
    ids = list(mine.values_list("pk", flat=True))
    if not ids:
        raise Http404("There are no photos there that are yours to change.")
    error = ""
    if "remove" in request.POST:
        done = len(set_places(request.user, dict.fromkeys(ids)))
        _tell(request, done, "No place is known of")
        return redirect(way_back(request))
    if "change" in request.POST:
        try:
            place = place_in(request.POST.get("place", "")[:LONGEST_TEXT])
            done = len(set_places(request.user, dict.fromkeys(ids, place)))
        except BadPlace as reason:
            error = f"{reason} Nothing was changed."
        else:
            name = place_name(*place) or f"{place[0]}, {place[1]}"
            _tell(request, done, f"{name} is the place of")
            return redirect(way_back(request))
    context = {
        "count": len(ids),
        "placed": mine.filter(latitude__isnull=False).count(),
        "stays_in_files": mine.exclude(library__ratings=Library.Ratings.FILE).exists(),
        "photos": request.POST["photos"],
        "back": way_back(request),
        "place": request.POST.get("place", ""),
        "error": error,
    }
    return render(request, "catalog/places.html", context, status=422 if error else 200)


def _tell(request: HttpRequest, done: int, words: str) -> None:
    photos = "the photo" if done == 1 else f"{done:,} photos"
    messages.success(
        request, f"{words} {photos} now. What belongs into files is written now: see “Changes to your files”."
    )
