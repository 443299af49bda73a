"""Photos: lists, and the facts of one, which can be changed."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.http import Http404
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.response import Response

from accounts.requests import Request
from catalog.api.filter_parameters import PARAMETERS
from catalog.browsing import photo_lists
from catalog.browsing.filters import NAMES, PhotoFilters
from catalog.edits import dates
from catalog.edits.captions import set_caption
from catalog.edits.favourites import FULL
from catalog.edits.keywords import set_keywords
from catalog.edits.places import set_place
from catalog.edits.ratings import set_rating
from catalog.models import Library, Photo
from photolala.web.keyset import envelope
from photolala.web.parameters import check_parameters
from photolala.web.refusals import Unprocessable
from photolala.web.views import PAGE_PARAMETERS, ApiView, RequestBody, documented, page_body

from .captions import Caption
from .dates import WallClock
from .keywords import Keywords
from .photo_json import (
    DETAIL_COLUMNS,
    LIST_COLUMNS,
    PhotoBody,
    PhotoDetailBody,
    photo_detail_json,
    photo_json,
)
from .places import PlaceOfPhoto

PhotoPage = page_body("PhotoPage", PhotoBody)


class PhotoChange(RequestBody):
    """What can be changed of a photo."""

    rating = serializers.IntegerField(min_value=0, max_value=FULL, required=False)
    taken_at = WallClock(required=False)
    caption = Caption(required=False)
    keywords = Keywords(required=False)
    place = PlaceOfPhoto(required=False, help_text="null takes the place away.")


class PhotoList(ApiView):
    """All that one may see, newest first."""

    @documented(
        "photos_list",
        "Photos, newest first; undated ones last.",
        {200: PhotoPage},
        errors=(400, 401, 422),
        parameters=[*PARAMETERS, *PAGE_PARAMETERS],
    )
    def get(self, request: Request) -> Response:
        check_parameters(request.query_params, NAMES | {"limit", "cursor"})
        filters = PhotoFilters.from_query(request.query_params)
        page = photo_lists.photo_page(request.user, filters, request.query_params, LIST_COLUMNS)
        return Response(envelope(page, [photo_json(row) for row in page.rows], request))


class PhotoDetail(ApiView):
    """One photo that the user may see."""

    @documented(
        "photos_retrieve",
        "All facts of one photo.",
        {200: PhotoDetailBody},
        errors=(401, 404),
    )
    def get(self, request: Request, photo_id: UUID) -> Response:
        """Return the facts. One query."""
        return Response(self._facts(request, photo_id))

    @documented(
        "photos_update",
        "Change the photo itself: its rating, when it was taken, its caption (an empty one takes it away), its keywords (all "
        "that it is to have), where it was taken. They go into its file as the library's setting says. All of them are "
        "changed, or none. For owner and editors.",
        {200: PhotoDetailBody},
        errors=(400, 401, 403, 404, 415, 422),
        request=PhotoChange,
    )
    def patch(self, request: Request, photo_id: UUID) -> Response:
        """Change it, and return the facts."""
        visible = Photo.objects.visible_to(request.user).filter(pk=photo_id)
        if not visible.exists():
            raise Http404
        body = PhotoChange(data=request.data)
        body.is_valid(raise_exception=True)
        if not Photo.objects.editable_by(request.user).filter(pk=photo_id).exists():
            raise PermissionDenied(
                "You may look at this photo, but not change it: ask the library's owner. Nothing was changed."
            )
        taken = body.validated_data.get("taken_at")
        if taken is not None:
            photo = visible.select_related("library").get()
            (planned,) = dates.plan([photo], dates.Setting(taken.local, taken.offset_minutes))
            if planned.problem:
                raise Unprocessable(f"{planned.problem} Nothing was changed.", "impossible_date")
        try:
            with transaction.atomic():
                if taken is not None:
                    dates.set_dates(request.user, [planned])
                if "rating" in body.validated_data:
                    set_rating(request.user, photo_id, body.validated_data["rating"])
                if "caption" in body.validated_data:
                    set_caption(request.user, photo_id, body.validated_data["caption"])
                if "keywords" in body.validated_data:
                    set_keywords(request.user, photo_id, body.validated_data["keywords"])
                if "place" in body.validated_data:
                    set_place(request.user, photo_id, body.validated_data["place"])
        except Photo.DoesNotExist:  # a scan found it to be another photo meanwhile
            raise Http404 from None
        return Response(self._facts(request, photo_id))

    def _facts(self, request: Request, photo_id: UUID) -> dict[str, Any]:
        found = photo_lists.with_own_stars(Photo.objects.visible_to(request.user).filter(pk=photo_id), request.user)
        editable = Library.objects.editable_by(request.user).filter(pk=OuterRef("library_id"))
        row = found.annotate(can_edit=Exists(editable)).values(*DETAIL_COLUMNS, "stars", "can_edit").first()
        if row is None:
            raise Http404
        return photo_detail_json(row)
