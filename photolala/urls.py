"""All routes: pages at the top, the API under /api/v1/."""

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path, reverse
from django.views.generic import RedirectView


def sign_in_to_admin(request: HttpRequest) -> HttpResponse:
    """Send those who are not signed in to the one sign-in page, and refuse those who are, but are no staff."""
    if request.user.is_authenticated:
        raise PermissionDenied("The admin is for staff.")
    return redirect_to_login(reverse("admin:index"))


handler500 = "photolala.web.outage_middleware.server_error_or_outage"
urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/login/", sign_in_to_admin),  # Django's own form does not count failures
    # Django's own form checks the old password without counting failures.
    path("admin/password_change/", RedirectView.as_view(pattern_name="accounts:profile")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("photolala.api_urls")),
    path("", include("accounts.pages.urls")),
    path("", include("operations.pages.urls")),
    path("", include("exports.pages.urls")),
    path("", include("sync.pages.urls")),
    path("", include("catalog.pages.album_urls")),
    path("", include("catalog.pages.urls")),
]
