"""The routes of the API, below /api/v1/."""

from django.urls import URLPattern, URLResolver, include, path

app_name = "api"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("catalog.api.urls")),
]
