"""What is on a phone: its assets, told by the phone itself."""

from typing import Any
from uuid import UUID

from django.http import Http404
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.parsers import BaseParser
from rest_framework.response import Response

from accounts.models import Device
from accounts.requests import Request
from catalog.entries.previews import DecoderBusy
from catalog.importing import assets as importing_assets
from catalog.models import Library, Photo
from photolala.web.bulk import BulkBody, bulk_answer
from photolala.web.keyset import envelope, paginate
from photolala.web.parameters import check_parameters
from photolala.web.refusals import BadRequest, TooLarge, Unavailable, Unprocessable
from photolala.web.views import PAGE_PARAMETERS, ApiView, RequestBody, documented, page_body, query

from .dates import WallClock
from .library_json import LibraryBody, library_json

ORDER = ("asset_id", "id")


@extend_schema_serializer(deprecate_fields=["favorite", "favorite_changed"])
class AssetBody(RequestBody):
    """An asset on a phone."""

    asset_id = serializers.CharField(
        max_length=importing_assets.LONGEST_ID,
        trim_whitespace=False,
        help_text="The platform's own id; may hold slashes.",
    )
    filename = serializers.RegexField(r"\A[^/\x00]{1,200}\Z", trim_whitespace=False)
    media_type = serializers.RegexField(r"\A(image|video)/[a-z0-9.+-]{1,40}\Z")
    modified = serializers.CharField(
        max_length=100,
        required=False,
        allow_blank=True,
        help_text="Changes when the asset does: its picture is wanted anew.",
    )
    taken_at = WallClock(required=False, allow_null=True)
    width = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=2**31 - 1)
    height = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=2**31 - 1)
    duration_ms = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=2**62)
    size_bytes = serializers.IntegerField(required=False, default=0, min_value=0, max_value=2**62)
    latitude = serializers.FloatField(required=False, allow_null=True, min_value=-90, max_value=90)
    longitude = serializers.FloatField(required=False, allow_null=True, min_value=-180, max_value=180)
    favourite = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=5,
        help_text="The phone's own stars. What was changed last, there or here, counts.",
    )
    favourite_changed = serializers.DateTimeField(
        required=False,
        allow_null=True,
        help_text="When they changed; without it only another number than the one told before is a change.",
    )
    favorite = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=5, help_text="The former name of `favourite`."
    )
    favorite_changed = serializers.DateTimeField(
        required=False, allow_null=True, help_text="The former name of `favourite_changed`."
    )
    photo_md5 = serializers.RegexField(
        r"\A[0-9a-f]{32}\Z", required=False, help_text="Of the original, if it is known."
    )


class AssetsBody(RequestBody):
    """Assets that the device reports."""

    assets = AssetBody(many=True, allow_empty=False, max_length=importing_assets.MOST_AT_ONCE)  # type: ignore[call-arg]


@extend_schema_serializer(deprecate_fields=["count"])
class WantedBody(BulkBody):
    """What the server would like to have."""

    count = serializers.IntegerField(help_text="The former name of `success_count`.")
    wanted = serializers.ListField(child=serializers.CharField(), help_text="Asset ids whose pictures are wanted.")


class AssetIds(RequestBody):
    """The ids of assets that are gone from the device."""

    asset_ids = serializers.ListField(
        child=serializers.CharField(max_length=importing_assets.LONGEST_ID, trim_whitespace=False),
        allow_empty=False,
        max_length=importing_assets.MOST_AT_ONCE,
    )


@extend_schema_serializer(deprecate_fields=["count"])
class RemovedBody(BulkBody):
    """How many assets were removed."""

    count = serializers.IntegerField(help_text="The former name of `success_count`.")


class KnownBody(serializers.Serializer[Any]):
    """What is known of one."""

    asset_id = serializers.CharField()
    photo = serializers.UUIDField()
    thumbnail = serializers.BooleanField()


KnownPage = page_body("AssetPage", KnownBody)


class JpegBody(BaseParser):
    """A picture, as it is."""

    media_type = "image/jpeg"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return its bytes. Raises TooLarge."""
        data = stream.read(importing_assets.LARGEST_PICTURE_BYTES + 1)
        if len(data) > importing_assets.LARGEST_PICTURE_BYTES:
            raise TooLarge("The picture is larger than 4 MiB; send a smaller one.")
        return bytes(data)


class DeviceIdBody(RequestBody):
    """The device's stable id; the body may be empty."""

    device_id = serializers.CharField(
        max_length=200,
        required=False,
        allow_blank=True,
        default="",
        help_text="An id that the device keeps, if it told none when it signed in.",
    )


class DeviceLibrary(ApiView):
    """The library of the device that asks."""

    @documented(
        "device_library",
        "The library that stands for this device: made when it is first asked for. Only with the token of a device.",
        {200: LibraryBody},
        errors=(400, 401, 403, 415),
        request=DeviceIdBody,
    )
    def post(self, request: Request) -> Response:
        body = DeviceIdBody(data=request.data)
        body.is_valid(raise_exception=True)
        device = Device.objects.filter(token=getattr(request.auth, "pk", None)).select_related("user").first()
        if device is None:
            raise PermissionDenied("Only a device that signed in with `auth/devices/` has a library of its own.")
        importing_assets.know_by(device, body.validated_data["device_id"])
        return Response(library_json(importing_assets.library_of(device), request.user, "owner"))


class Assets(ApiView):
    """The device's assets."""

    @documented(
        "assets_list",
        "Those that are known.",
        {200: KnownPage},
        errors=(400, 401, 403, 404),
        parameters=PAGE_PARAMETERS,
    )
    def get(self, request: Request, library_id: UUID) -> Response:
        check_parameters(request.query_params, {"limit", "cursor"})
        rows = Photo.objects.filter(library=_library(request, library_id)).values("id", "asset_id", "has_thumbnail")
        page = paginate(rows, ORDER, request.query_params)
        known = [
            {"asset_id": row["asset_id"], "photo": str(row["id"]), "thumbnail": row["has_thumbnail"]}
            for row in page.rows
        ]
        return Response(envelope(page, known, request))

    @documented(
        "assets_register",
        f"Tell up to {importing_assets.MOST_AT_ONCE} assets of the device, new ones or known ones. They are shown in the "
        "timeline as on the phone. Answers whose pictures are wanted.",
        {200: WantedBody},
        errors=(400, 401, 403, 404, 415, 422),
        request=AssetsBody,
    )
    def post(self, request: Request, library_id: UUID) -> Response:
        library = _library(request, library_id)
        body = AssetsBody(data=request.data)
        body.is_valid(raise_exception=True)
        told = [_told(one) for one in body.validated_data["assets"]]
        taken = [one.get("taken_at") for one in body.validated_data["assets"]]
        assets = [importing_assets.Asset(**one, taken=when) for one, when in zip(told, taken, strict=True)]
        try:
            wanted = importing_assets.register(library, assets)
        except importing_assets.AssetRefused as refused:
            raise Unprocessable(str(refused), "hidden") from None
        count = len({asset.asset_id for asset in assets})
        return Response(bulk_answer(count, count=count, wanted=wanted))


class AssetPicture(ApiView):
    """A small picture of an asset."""

    parser_classes = [JpegBody]

    @documented(
        "assets_picture",
        "A JPEG of an asset, best of 512 px or a little more; it is drawn anew in 256 px. At most 4 MiB.",
        {204: "It is kept."},
        errors=(400, 401, 403, 404, 413, 415, 422, 503),
        request={"image/jpeg": bytes},
        parameters=[
            query(
                "asset_id",
                "The platform's own id.",
                required=True,
                minLength=1,
                maxLength=importing_assets.LONGEST_ID,
            )
        ],
    )
    def put(self, request: Request, library_id: UUID) -> Response:
        check_parameters(request.query_params, {"asset_id"})
        library = _library(request, library_id)
        key = request.query_params.get("asset_id", "")
        if not key or "\0" in key:
            raise BadRequest("Say which asset: asset_id.", "missing")
        photo = Photo.objects.filter(library=library).of_assets([key]).first()
        if photo is None:
            raise Http404
        data = request.data
        if not isinstance(data, bytes) or not data:
            raise BadRequest("The body must be a JPEG.", "no_picture")
        try:
            importing_assets.store_picture(library, photo, data)
        except importing_assets.NoPicture as reason:
            raise Unprocessable(str(reason), "no_picture") from None
        except DecoderBusy:
            raise Unavailable("Many pictures are being made just now. Try again in a moment.", "busy") from None
        return Response(status=204)


class AssetsRemove(ApiView):
    """Remove assets that are gone from the device."""

    @documented(
        "assets_remove",
        "Forget assets that are no longer on the device, or that were uploaded into a library.",
        {200: RemovedBody},
        errors=(400, 401, 403, 404, 415),
        request=AssetIds,
    )
    def post(self, request: Request, library_id: UUID) -> Response:
        library = _library(request, library_id)
        body = AssetIds(data=request.data)
        body.is_valid(raise_exception=True)
        count = importing_assets.remove(library, body.validated_data["asset_ids"])
        return Response(bulk_answer(count, count=count))


def _told(asset: dict[str, Any]) -> dict[str, Any]:
    """Return what was told of an asset as `importing.assets.Asset` has it, but for the date."""
    own = {"favorite": ("favourite", "favorite"), "favorite_changed": ("favourite_changed", "favorite_changed")}
    stars = {name: asset[given] for name, names in own.items() for given in reversed(names) if given in asset}
    return {
        **{name: value for name, value in asset.items() if not name.startswith("favo") and name != "taken_at"},
        **stars,
    }


def _library(request: Request, library_id: UUID) -> Library:
    library = Library.objects.visible_to(request.user).filter(pk=library_id, source=importing_assets.SOURCE).first()
    if library is None:
        raise Http404
    if library.owner_id != request.user.pk:
        raise PermissionDenied("Only the owner's devices tell what is on them.")
    return library
