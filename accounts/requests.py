"""Requests of signed-in people, for type checkers: behind `login_required` and the API's permissions `user` is a User."""

from typing import TYPE_CHECKING

from django.http import HttpRequest as DjangoRequest
from rest_framework.request import Request as ApiRequest

if TYPE_CHECKING:
    from accounts.models import User

    class HttpRequest(DjangoRequest):
        """A page's request; nobody comes that far without having signed in."""

        user: User

    class Request(ApiRequest):
        """A request to the API, authenticated by session or token."""

        user: User
else:
    HttpRequest, Request = DjangoRequest, ApiRequest
