"""Sign-in and the profile: password, look, devices."""

import math
import uuid
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from accounts.models import Device, User
from photolala.web.proxies import client_address
from photolala.web.throttle import SignInThrottle

THEMES = ("auto", "light", "dark")
THEME_COOKIE = "theme"
MOST_DEVICES = 200
YEAR_SECONDS = 60 * 60 * 24 * 365


class SignInView(LoginView):
    """The sign-in page; somebody who is signed in already goes on to the photos."""

    template_name = "accounts/sign_in.html"
    redirect_authenticated_user = True
    http_method_names = ["get", "head", "post", "options"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Check name and password, unless there were too many failures lately: then 429 without looking."""
        throttle = SignInThrottle(request.POST.get("username", ""), client_address(request))
        with throttle.turn() as wait:
            if wait:
                return self._too_many(wait)
            response = super().post(request, *args, **kwargs)
            if request.user.is_authenticated:
                throttle.succeeded()
            else:
                throttle.failed()
            return response

    def _too_many(self, wait_seconds: int) -> HttpResponse:
        form = self.form_class(self.request)
        minutes = max(1, math.ceil(wait_seconds / 60))
        context = self.get_context_data(form=form, wait_minutes=minutes)
        return self.render_to_response(context, status=429, headers={"Retry-After": str(wait_seconds)})


@login_required
@require_GET
def show_profile(request: HttpRequest) -> HttpResponse:
    """Show one's own profile."""
    return _profile(request, PasswordChangeForm(_user(request)))


@login_required
@require_POST
@sensitive_post_parameters()
def change_password(request: HttpRequest) -> HttpResponse:
    """Change one's own password; this session stays, all others end."""
    form = PasswordChangeForm(_user(request), request.POST)
    throttle = SignInThrottle(_user(request).get_username(), client_address(request))
    with throttle.turn() as wait:
        if wait:
            messages.warning(request, "Too many wrong passwords. Wait a while, then try again. Nothing was changed.")
            return _profile(request, PasswordChangeForm(_user(request)), status=429)
        if not form.is_valid():
            if "old_password" in form.errors:  # who found an open browser must not guess on
                throttle.failed()
            return _profile(request, form, status=422)
        form.save()
    update_session_auth_hash(request, form.user)
    messages.success(request, "Your password is changed. Other browsers are signed out; devices stay signed in.")
    return redirect("accounts:profile")


@require_POST
def choose_theme(request: HttpRequest) -> HttpResponse:
    """Keep the chosen look in a cookie of this browser, so that the server renders it and nothing flashes."""
    theme = request.POST.get("theme", "")
    if theme not in THEMES:
        return HttpResponse("The look is one of auto, light and dark.", status=400, content_type="text/plain")
    response = redirect("accounts:profile")
    if theme == "auto":
        response.delete_cookie(THEME_COOKIE, samesite="Lax")
    else:
        response.set_cookie(THEME_COOKIE, theme, max_age=YEAR_SECONDS, samesite="Lax", secure=request.is_secure())
    return response


@login_required
@require_POST
def revoke_device(request: HttpRequest, device_id: uuid.UUID) -> HttpResponse:
    """Sign a device out at once: its token is deleted, and the device row with it."""
    device = get_object_or_404(Device.objects.filter(user=_user(request)).select_related("token"), pk=device_id)
    name = device.name
    device.token.delete()
    messages.success(request, f"“{name}” is signed out.")
    return redirect("accounts:profile")


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)


def _profile(request: HttpRequest, form: PasswordChangeForm, status: int = 200) -> HttpResponse:
    theme = request.COOKIES.get(THEME_COOKIE, "auto")
    context = {
        "form": form,
        "devices": Device.objects.filter(user=_user(request))[:MOST_DEVICES],
        "theme": theme if theme in THEMES else "auto",
        "themes": [("auto", "As the system says"), ("light", "Light"), ("dark", "Dark")],
    }
    return render(request, "accounts/profile.html", context, status=status)
