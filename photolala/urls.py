"""All routes: pages at the top, the API under /api/v1/."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("api/v1/", include("photolala.api_urls")),
    path("", include("accounts.pages.urls")),
    path("", include("operations.pages.urls")),
    path("", include("exports.pages.urls")),
    path("", include("catalog.pages.urls")),
]
