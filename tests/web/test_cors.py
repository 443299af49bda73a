"""Web apps on other origins: only those that are named, only the API, never with cookies."""

from typing import Any

import pytest
from django.conf import settings as configured
from django.test import Client
from knox.models import AuthToken

from photolala.lib.env import BadSetting, Environment
from tests.factories import make_user

pytestmark = pytest.mark.django_db
APP = "https://app.example.org"


@pytest.fixture
def client(settings: Any, request: pytest.FixtureRequest) -> Client:
    settings.MIDDLEWARE = ["corsheaders.middleware.CorsMiddleware", *configured.MIDDLEWARE]
    settings.CORS_ALLOWED_ORIGINS = [APP]
    return Client()


def preflight(client: Client, path: str, method: str, headers: str, origin: str = APP) -> Any:
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return client.options(path, headers=asked)


def test_a_browser_may_send_files_from_a_named_origin(client: Client) -> None:
    wanted = (
        "authorization, content-type, tus-resumable, upload-length, upload-metadata, upload-offset, upload-checksum"
    )
    for method in ("POST", "PATCH", "HEAD", "DELETE"):
        answer = preflight(client, "/api/v1/uploads/", method, wanted)
        assert answer.status_code == 200 and answer["Access-Control-Allow-Origin"] == APP
        assert method in answer["Access-Control-Allow-Methods"]
        allowed = answer["Access-Control-Allow-Headers"].lower().split(", ")
        assert {*wanted.split(", "), "idempotency-key", "range", "if-none-match"} <= set(allowed)
        assert not answer.has_header("Access-Control-Allow-Credentials")


def test_an_app_reads_the_headers_that_it_needs(client: Client) -> None:
    token = AuthToken.objects.create(make_user("alice"))[1]
    answer = client.get("/api/v1/libraries/", headers={"Origin": APP, "Authorization": f"Token {token}"})
    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (200, APP)
    exposed = {name.strip() for name in answer["Access-Control-Expose-Headers"].split(",")}
    assert {
        "ETag",
        "Location",
        "Retry-After",
        "Upload-Offset",
        "Upload-Length",
        "Tus-Resumable",
        "Photolala-Photo",
    } <= exposed
    assert "origin" in answer["Vary"].lower()
    refused = client.get("/api/v1/nothing/", headers={"Origin": APP})
    assert (refused.status_code, refused["Access-Control-Allow-Origin"]) == (404, APP)


def test_others_and_pages_are_left_out(client: Client) -> None:
    for path, origin in (
        ("/api/v1/libraries/", "https://app.example.org.evil.example"),
        ("/sign-in/", APP),
        ("/admin/", APP),
    ):
        for answer in (client.get(path, headers={"Origin": origin}), preflight(client, path, "POST", "x", origin)):
            assert not answer.has_header("Access-Control-Allow-Origin"), path


def test_all_origins_never_come_with_cookies(client: Client, settings: Any) -> None:
    settings.CORS_ALLOW_ALL_ORIGINS = True
    answer = client.get("/api/v1/libraries/", headers={"Origin": "https://anywhere.example"})
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert not answer.has_header("Access-Control-Allow-Credentials") and configured.CORS_ALLOW_CREDENTIALS is False


def test_it_is_off_by_default() -> None:
    assert configured.CORS_ORIGINS == [] and not any("cors" in name for name in configured.MIDDLEWARE)
    assert not Client().get("/api/v1/libraries/", headers={"Origin": APP}).has_header("Access-Control-Allow-Origin")


@pytest.mark.parametrize("value", [APP, f"{APP}, http://localhost:5173", "capacitor://localhost", "*"])
def test_origins_that_can_be_named(value: str) -> None:
    assert Environment({"PHOTOLALA_CORS": value}).origins("PHOTOLALA_CORS") == value.split(", ")


@pytest.mark.parametrize(
    "value", ["app.example.org", f"{APP}/", f"{APP}/path", f"*, {APP}", "https://", "https://u:p@a.example", "null"]
)
def test_what_is_no_origin(value: str) -> None:
    with pytest.raises(BadSetting, match="PHOTOLALA_CORS"):
        Environment({"PHOTOLALA_CORS": value}).origins("PHOTOLALA_CORS")
