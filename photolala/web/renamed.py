"""Addresses that are answered under a former name: as before, with the headers that name the successor (RFC 9745)."""

from typing import Any

from django.urls import reverse

from .views import ApiView

SINCE = "@1796083200"
"""1 December 2026."""


class Renamed(ApiView):
    """The base of views under a former name; `successor` is the route's new name."""

    successor = ""

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Deprecation"] = SINCE
        response["Link"] = f'<{reverse(f"api:{self.successor}", kwargs=kwargs)}>; rel="successor-version"'
        return response
