"""Sign-in and the profile: password, look, devices."""

import uuid
from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from accounts import known
from accounts.attempts import Held, password_attempt, sign_in_attempt
from accounts.devices import add_device
from accounts.models import Device, User
from photolala.web.proxies import client_address

THEMES = ("auto", "light", "dark")
THEME_COOKIE = "theme"
MOST_DEVICES = 200
MOST_CHARACTERS = 150
MOST_NAME = 100
YEAR_SECONDS = 60 * 60 * 24 * 365


class SignInView(LoginView):
    """The sign-in page; somebody who is signed in already continues to the photos."""

    template_name = "accounts/sign_in.html"
    redirect_authenticated_user = True
    http_method_names = ["get", "head", "post", "options"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Check name and password, unless too many were wrong lately: then 429 without looking."""
        secret = request.COOKIES.get(known.COOKIE, "")
        try:
            with sign_in_attempt(request.POST.get("username", ""), client_address(request), secret) as attempt:
                response = super().post(request, *args, **kwargs)
                if request.user.is_authenticated:
                    attempt.succeeded()
        except Held as held:
            form = self.form_class(
                self.request, initial={"username": request.POST.get("username", "")[:MOST_CHARACTERS]}
            )
            context = self.get_context_data(form=form, held=held)
            return self.render_to_response(context, status=429, headers={"Retry-After": str(held.wait_seconds)})
        if request.user.is_authenticated:
            know_again(request, response)
        return response


def know_again(request: HttpRequest, response: HttpResponse) -> None:
    """Let the browser keep by what it is known when it signs in again."""
    response.set_cookie(
        known.COOKIE,
        known.secret_for(_user(request), request.COOKIES.get(known.COOKIE, "")),
        max_age=known.KEEP,
        httponly=True,
        samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE or request.is_secure(),
    )


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
    try:
        with password_attempt(_user(request)) as attempt:
            is_good = form.is_valid()
            if "old_password" not in form.errors:  # who found an open browser must not guess on
                attempt.succeeded()
    except Held as held:
        messages.warning(request, f"{held} Nothing was changed.")
        response = _profile(request, PasswordChangeForm(_user(request)), status=429)
        response["Retry-After"] = str(held.wait_seconds)
        return response
    if not is_good:
        return _profile(request, form, status=422)
    form.save()
    update_session_auth_hash(request, form.user)
    messages.success(request, "Your password is changed. Other browsers are signed out; devices stay signed in.")
    response = redirect("accounts:profile")
    know_again(request, response)
    return response


@login_required
@require_POST
@never_cache
@sensitive_post_parameters()
def make_token(request: HttpRequest) -> HttpResponse:
    """Make a device `name` with a token, which is shown this once; who found an open browser needs the password, too."""
    user = _user(request)
    name = " ".join(request.POST.get("name", "").split())
    form = PasswordChangeForm(user)
    if not name or len(name) > MOST_NAME or "\0" in name:
        error = f"Give the device or script a name of at most {MOST_NAME} characters. No token was made."
        return _profile(request, form, status=422, token_error=error, token_name=name[:MOST_NAME])
    try:
        with password_attempt(user) as attempt:
            is_right = user.check_password(request.POST.get("password", ""))
            if is_right:
                attempt.succeeded()
    except Held as held:
        response = _profile(request, form, status=429, token_error=f"{held} No token was made.", token_name=name)
        response["Retry-After"] = str(held.wait_seconds)
        return response
    if not is_right:
        error = "That is not your password. No token was made."
        return _profile(request, form, status=422, token_error=error, token_name=name)
    device, token = add_device(user, name)
    return _profile(request, form, status=201, token=token, token_device=device)


@login_required
@require_POST
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """End all other sessions and sign out all devices; this browser stays signed in."""
    user = _user(request)
    user.sign_out_everywhere()
    update_session_auth_hash(request, user)
    messages.success(request, "All other browsers and all devices are signed out.")
    response = redirect("accounts:profile")
    know_again(request, response)
    return response


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


def _profile(request: HttpRequest, form: PasswordChangeForm, status: int = 200, **more: Any) -> HttpResponse:
    theme = request.COOKIES.get(THEME_COOKIE, "auto")
    context = {
        "form": form,
        "devices": Device.objects.filter(user=_user(request))[:MOST_DEVICES],
        "theme": theme if theme in THEMES else "auto",
        "themes": [("auto", "As the system says"), ("light", "Light"), ("dark", "Dark")],
        **more,
    }
    return render(request, "accounts/profile.html", context, status=status)
