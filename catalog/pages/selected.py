"""Photos that somebody selected on a page, as that sends them: ids with commas, and where to go afterwards."""

import uuid

from django.http import Http404
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.requests import HttpRequest


def ids_in(text: str, most: int) -> list[uuid.UUID]:
    """Return the ids in a list with commas. Raises Http404 for anything else, and for more than `most`."""
    words = text.split(",")
    if len(words) > most:
        raise Http404(f"Up to {most:,} photos can be changed at once.")
    try:
        return [uuid.UUID(word) for word in words]
    except ValueError:
        raise Http404("These are no photos.") from None


def way_back(request: HttpRequest) -> str:
    """Return the address in POST's `back`, if it is one of this site; else the timeline's."""
    back = request.POST.get("back", "")
    return back if url_has_allowed_host_and_scheme(back, allowed_hosts=None) else reverse("catalog:timeline")
