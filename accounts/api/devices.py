"""Sign devices in and out; one's own profile."""

from typing import Any
from uuid import UUID

from django.contrib.auth import authenticate
from django.http import Http404
from knox.models import AuthToken
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.response import Response

from accounts import known
from accounts.attempts import Held, sign_in_attempt
from accounts.devices import add_device
from accounts.models import Device, User
from accounts.requests import Request
from photolala.web.keyset import envelope, paginate
from photolala.web.parameters import check_parameters, utc_text
from photolala.web.proxies import client_address
from photolala.web.refusals import Problem, TooManyRequests
from photolala.web.views import PAGE_PARAMETERS, ApiView, RequestBody, documented, made, page_body, refuse_members

NEWEST_FIRST = ("-created_at", "id")
CAPABILITIES = ["favourites", "libraries", "operations", "timeline"]


class SignIn(RequestBody):
    """Who signs in, on what."""

    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=1024, trim_whitespace=False)
    name = serializers.CharField(max_length=100, help_text="The device's name, to know it again in the list.")
    device_id = serializers.CharField(
        max_length=200,
        required=False,
        allow_blank=True,
        default="",
        help_text="An id that the device keeps: who signs in anew with it gets the device's own library back.",
    )
    device_secret = serializers.CharField(
        max_length=known.LONGEST_SECRET,
        required=False,
        allow_blank=True,
        default="",
        help_text="What the device got when it signed in last: wrong passwords of others do not hold it up.",
    )


class DeviceBody(serializers.Serializer[Any]):
    """A device that is signed in."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField(allow_null=True)
    current = serializers.BooleanField(help_text="It is the one that asks.")


class NewDeviceBody(DeviceBody):
    """A device that has just signed in."""

    token = serializers.CharField(help_text="Shown this once. Send it as `Authorization: Token …`.")
    device_secret = serializers.CharField(
        help_text="Keep it beside the token and send it when you sign in again. By itself it opens nothing."
    )


class ProfileBody(serializers.Serializer[Any]):
    """The signed-in user."""

    id = serializers.UUIDField()
    username = serializers.CharField()
    first_name = serializers.CharField()
    last_name = serializers.CharField()
    email = serializers.CharField()
    is_staff = serializers.BooleanField()
    joined_at = serializers.DateTimeField()
    quota_bytes = serializers.IntegerField(allow_null=True, help_text="null: no limit is set.")
    capabilities = serializers.ListField(child=serializers.CharField(), help_text="What this server can do.")


class ProfileChange(RequestBody):
    """What one may change of oneself here."""

    first_name = serializers.CharField(max_length=150, allow_blank=True, required=False)
    last_name = serializers.CharField(max_length=150, allow_blank=True, required=False)
    email = serializers.EmailField(allow_blank=True, required=False)


DevicePage = page_body("DevicePage", DeviceBody)


class SignInRefused(Problem):
    """401: name and password do not belong together."""

    status_code = 401
    auth_header = "Token"


class DeviceList(ApiView):
    """One's own devices, and the way in."""

    def get_authenticators(self) -> list[Any]:
        """Who signs in has nothing to show yet, and an old cookie or token must not be in the way."""
        return [] if self.request is not None and self.request.method == "POST" else super().get_authenticators()

    def get_permissions(self) -> list[Any]:
        """Anybody may try to sign in."""
        if self.request is not None and self.request.method == "POST":
            return [AllowAny()]
        return list(super().get_permissions())

    @documented(
        "devices_list",
        "One's own devices, newest first.",
        {200: DevicePage},
        errors=(400, 401),
        parameters=PAGE_PARAMETERS,
    )
    def get(self, request: Request) -> Response:
        check_parameters(request.query_params, {"limit", "cursor"})
        own = Device.objects.filter(user=request.user)
        page = paginate(own, NEWEST_FIRST, request.query_params)
        return Response(envelope(page, [_device_json(row, request) for row in page.rows], request))

    @documented(
        "devices_sign_in",
        "Sign a device in; the answer holds its token, once. 429 after ten wrong passwords; each next one makes the wait longer "
        "(Retry-After).",
        {201: NewDeviceBody},
        errors=(400, 401, 415, 429),
        request=SignIn,
        auth=[],
    )
    def post(self, request: Request) -> Response:
        body = SignIn(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        try:
            address = client_address(request._request)
            with sign_in_attempt(given["username"], address, given["device_secret"]) as attempt:
                user = authenticate(request._request, username=given["username"], password=given["password"])
                if user is not None:
                    attempt.succeeded()
        except Held as held:
            raise TooManyRequests(str(held), wait_seconds=held.wait_seconds) from None
        if user is None:
            raise SignInRefused("That name and password do not belong together.", "wrong_password")
        device, token = add_device(user, given["name"], given["device_id"])
        secret = known.secret_for(user, given["device_secret"])
        body = {**_device_json(device, request), "token": token, "device_secret": secret}
        return made(body, "device", device.pk)


class DeviceDetail(ApiView):
    """One device of the user."""

    @documented(
        "devices_revoke",
        "Sign a device out; its token is worthless at once.",
        {204: "It is signed out."},
        errors=(401, 403, 404),
    )
    def delete(self, request: Request, device_id: UUID) -> Response:
        if not revoke(request.user, device_id):
            raise Http404
        return Response(status=204)


class SignOutEverywhere(ApiView):
    """All of one's devices and browsers."""

    @documented(
        "sign_out_everywhere",
        "Sign out everywhere: all sessions end, and the tokens of all devices are worthless, that of the one that asks, too.",
        {204: "Nobody is signed in as you."},
        errors=(401, 403),
        request=None,
    )
    def post(self, request: Request) -> Response:
        refuse_members(request)
        request.user.sign_out_everywhere()
        return Response(status=204)


class Me(ApiView):
    """The signed-in user's own profile."""

    @documented("me_retrieve", "One's own profile, and what this server can do.", {200: ProfileBody}, errors=(401,))
    def get(self, request: Request) -> Response:
        return Response(_profile_json(request.user))

    @documented(
        "me_update",
        "Change one's own name or address.",
        {200: ProfileBody},
        errors=(400, 401, 403, 415),
        request=ProfileChange,
    )
    def patch(self, request: Request) -> Response:
        body = ProfileChange(data=request.data)
        body.is_valid(raise_exception=True)
        user = User.objects.get(pk=request.user.pk)
        for name, value in body.validated_data.items():
            setattr(user, name, value)
        if body.validated_data:
            user.save(update_fields=list(body.validated_data))
        return Response(_profile_json(user))


def revoke(user: User, device_id: UUID) -> bool:
    """Sign out a device of `user`, token and all; return whether there was one."""
    device = Device.objects.filter(pk=device_id, user=user).first()
    if device is None:
        return False
    AuthToken.objects.filter(pk=device.token_id).delete()  # takes the device with it
    return True


def _device_json(device: Device, request: Request) -> dict[str, Any]:
    current = getattr(request.auth, "pk", None)
    return {
        "id": str(device.pk),
        "name": device.name,
        "created_at": utc_text(device.created_at),
        "last_seen_at": utc_text(device.last_seen_at),
        "current": current is not None and device.token_id == current,
    }


def _profile_json(user: User) -> dict[str, Any]:
    return {
        "id": str(user.pk),
        "username": user.username,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email": user.email,
        "is_staff": user.is_staff,
        "joined_at": utc_text(user.date_joined),
        "quota_bytes": user.quota_bytes,
        "capabilities": CAPABILITIES,
    }
