"""Keywords of many photos at once: which they have, which they are to have, too, and which not any more."""

from collections import Counter
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from accounts.requests import HttpRequest
from catalog.edits.keywords import MOST_AT_ONCE, change_keywords
from catalog.models import Photo
from photolala.lib.keywords import BadKeyword

from .selected import ids_in, way_back

MOST_SHOWN = 200


@login_required
@require_POST
def change_many(request: HttpRequest) -> HttpResponse:
    """Show the form for the ids in POST's `photos`; with `change` do what it says with `add` and the ticked `remove`."""
    mine = Photo.objects.editable_by(request.user).exclude(state=Photo.State.MISSING)
    mine = mine.filter(pk__in=ids_in(request.POST.get("photos", ""), MOST_AT_ONCE)).order_by()
    lists = dict(mine.values_list("pk", "keywords"))
    if not lists:
        raise Http404("There are no photos there that are yours to change.")
    error = ""
    if "change" in request.POST:
        add, remove = request.POST.get("add", "").split(","), request.POST.getlist("remove")
        try:
            done, refused = change_keywords(request.user, list(lists), add, remove)
        except BadKeyword as reason:
            error = f"{reason} Nothing was changed."
        else:
            _tell(request, len(done), refused)
            return redirect(way_back(request))
    counted = Counter(word for words in lists.values() for word in dict.fromkeys(words))
    context = {
        "count": len(lists),
        "keywords": counted.most_common(MOST_SHOWN),
        "photos": request.POST["photos"],
        "back": way_back(request),
        "added": request.POST.get("add", ""),
        "removed": request.POST.getlist("remove"),
        "error": error,
    }
    return render(request, "catalog/keywords.html", context, status=422 if error else 200)


def _tell(request: HttpRequest, done: int, refused: dict[UUID, str]) -> None:
    photos = "The photo has its keywords" if done == 1 else f"{done:,} photos have their keywords"
    if done:
        messages.success(request, f"{photos}. What belongs into files is written now: see “Changes to your files”.")
    if refused:
        reason = next(iter(refused.values()))
        messages.warning(request, f"{len(refused):,} were left as they are. {reason}")
