"""One's own stars: of a photo, of many, and the list of photos that have some."""

from typing import Any
from uuid import UUID

from django.http import Http404
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from catalog.edits.favourites import FULL, MOST_AT_ONCE, FavouriteAnswer
from catalog.edits.stars import star, star_many
from catalog.models import Favourite, Library, Photo
from photolala.web.bulk import BulkBody, BulkError, bulk_answer
from photolala.web.keyset import envelope, paginate
from photolala.web.parameters import check_parameters
from photolala.web.renamed import Renamed
from photolala.web.views import PAGE_PARAMETERS, ApiView, RequestBody, documented, page_body

from .photo_json import LIST_COLUMNS, PhotoBody, photo_json

FavouritePage = page_body(
    "FavouritePage", PhotoBody, count=serializers.IntegerField(help_text="How many there are in all.")
)
NEWEST_FAVOURITES = ("-created_at", "-id")


class Rating(RequestBody):
    """Stars, or nothing at all to toggle."""

    rating = serializers.IntegerField(min_value=0, max_value=FULL, required=False)


class FavouriteBody(serializers.Serializer[Any]):
    """The user's stars of a photo."""

    photo_id = serializers.UUIDField()
    rating = serializers.IntegerField()
    is_favourite = serializers.BooleanField()


class FormerFavouriteBody(serializers.Serializer[Any]):
    """The same under its former name."""

    photo_id = serializers.UUIDField()
    rating = serializers.IntegerField()
    favorited = serializers.BooleanField()


class BulkRating(RequestBody):
    """Stars for up to 1,000 photos."""

    photo_ids = serializers.ListField(
        child=serializers.CharField(max_length=100), allow_empty=False, max_length=MOST_AT_ONCE
    )
    rating = serializers.IntegerField(min_value=0, max_value=FULL)


@extend_schema_serializer(deprecate_fields=["photo_id"])
class BulkFavouriteError(BulkError):
    """One photo that got no stars."""

    photo_id = serializers.CharField(help_text="The former name of `id`.")


class BulkFavouriteBody(BulkBody):
    """How many photos were rated, and why the others were not."""

    errors = BulkFavouriteError(many=True)


class PhotoFavourite(ApiView):
    """The user's own stars of one photo."""

    @documented(
        "photos_favourite",
        "Set the stars of one's own favourite; 0 takes it away. Apps send the rating: an empty body toggles (0 <-> 5), and one "
        "that is sent twice because its answer was lost takes the star away again. The owner's stars are the photo's rating "
        "and go into its file as the library's setting `ratings` says.",
        {200: FavouriteBody},
        errors=(400, 401, 403, 404, 415),
        request=Rating,
    )
    def post(self, request: Request, photo_id: UUID) -> Response:
        if not Photo.objects.visible_to(request.user).filter(pk=photo_id).exists():
            raise Http404
        body = Rating(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            stars = star(request.user, photo_id, body.validated_data.get("rating"))
        except Photo.DoesNotExist:
            raise Http404 from None
        return Response(self.body_of(stars))

    def body_of(self, stars: FavouriteAnswer) -> dict[str, Any]:
        """Return how the photo stands."""
        return {"photo_id": str(stars.photo_id), "rating": stars.rating, "is_favourite": stars.favorited}


class FormerPhotoFavourite(Renamed, PhotoFavourite):
    """One's own star, under its former name."""

    successor = "favourite"

    @documented(
        "photos_favorite",
        "The former name of `favourite/`.",
        {200: FormerFavouriteBody},
        errors=(400, 401, 403, 404, 415),
        request=Rating,
        deprecated=True,
    )
    def post(self, request: Request, photo_id: UUID) -> Response:
        return super().post(request, photo_id)

    def body_of(self, stars: FavouriteAnswer) -> dict[str, Any]:
        """Return it in the former words."""
        return stars.as_json()


class FavouriteList(ApiView):
    """Photos with stars of the user."""

    @documented(
        "photos_favourites",
        "One's own favourites, the newest star first.",
        {200: FavouritePage},
        errors=(400, 401),
        parameters=PAGE_PARAMETERS,
    )
    def get(self, request: Request) -> Response:
        check_parameters(request.query_params, {"limit", "cursor"})
        visible = Library.objects.visible_to(request.user).values("pk")
        own = Favourite.objects.filter(user=request.user, photo__library__in=visible, photo__is_shown=True)
        count = own.count()  # a person's own stars: thousands, not millions
        rows = own.values("created_at", "id", "rating", *(f"photo__{name}" for name in LIST_COLUMNS))
        page = paginate(rows, NEWEST_FAVOURITES, request.query_params)
        return Response(envelope(page, [_favourite_json(row) for row in page.rows], request, count=count))


class FormerFavouriteList(Renamed, FavouriteList):
    """One's own favourites, under their former name."""

    successor = "favourites"

    @documented(
        "photos_favorites",
        "The former name of `favourites/`.",
        {200: FavouritePage},
        errors=(400, 401),
        parameters=PAGE_PARAMETERS,
        deprecated=True,
    )
    def get(self, request: Request) -> Response:
        return super().get(request)


class BulkFavourite(ApiView):
    """Give many photos stars in one transaction."""

    @documented(
        "photos_bulk_favourite",
        f"Set one's own stars of up to {MOST_AT_ONCE:,} photos; 0 takes them away.",
        {200: BulkFavouriteBody},
        errors=(400, 401, 403, 415),
        request=BulkRating,
    )
    def post(self, request: Request) -> Response:
        """Set them; what is not visible is told photo by photo."""
        body = BulkRating(data=request.data)
        body.is_valid(raise_exception=True)
        ids, malformed = [], []
        for text in body.validated_data["photo_ids"]:
            try:
                ids.append(UUID(text))
            except ValueError:
                malformed.append({"photo_id": text, "error": "This is no photo's id."})
        answer = star_many(request.user, ids, body.validated_data["rating"])
        errors = [{"id": one["photo_id"], **one} for one in [*answer["errors"], *malformed]]
        return Response(bulk_answer(answer["success_count"], errors))


class FormerBulkFavourite(Renamed, BulkFavourite):
    """Stars for many, under its former name."""

    successor = "bulk-favourite"

    @documented(
        "photos_bulk_favorite",
        "The former name of `bulk-favourite/`.",
        {200: BulkFavouriteBody},
        errors=(400, 401, 403, 415),
        request=BulkRating,
        deprecated=True,
    )
    def post(self, request: Request) -> Response:
        return super().post(request)


def _favourite_json(row: dict[str, Any]) -> dict[str, Any]:
    photo = {name: row[f"photo__{name}"] for name in LIST_COLUMNS}
    return photo_json({**photo, "stars": row["rating"]})
