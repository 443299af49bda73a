"""Selected photos as a download: what the bar of the timeline sends."""

import uuid
from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.views.decorators.http import require_POST

from accounts.requests import HttpRequest
from exports.selections.downloads import serve_selection
from exports.selections.plan import MOST_PHOTOS
from photolala.web.problem_pages import say_problems
from photolala.web.refusals import BadRequest, Unprocessable


@login_required
@require_POST
@say_problems
def download(request: HttpRequest) -> HttpResponse:
    """Send the photos with the ids in `photos` (separated by commas); with `album` those seen in it, or all of it."""
    photos, album = request.POST.get("photos", ""), request.POST.get("album", "")
    photo_ids = _ids(photos) if photos or not album else []
    return cast(HttpResponse, serve_selection(request, request.user, photo_ids, _ids(album)[0] if album else None))


def _ids(text: str) -> list[uuid.UUID]:
    words = text.split(",")
    if len(words) > MOST_PHOTOS:
        raise Unprocessable(f"Up to {MOST_PHOTOS:,} photos can be downloaded at once. Select fewer.", "too_many")
    try:
        return [uuid.UUID(word) for word in words]
    except ValueError:
        raise BadRequest("These are no ids of photos. Select the photos again.", "bad_id") from None
