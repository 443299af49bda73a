"""Forwarded headers are believed from named proxies alone, and figures are for those who are named or have the token."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.checks import run_checks
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from django.test import Client, RequestFactory

from photolala.lib.env import BadSetting, Environment
from photolala.lib.peers import Peers, origin_behind
from photolala.web import proxies
from photolala.web.proxies import believe, client_address

PROXY, CLIENT, FORGED = "10.1.2.3", "198.51.100.2", "192.0.2.66"
METRICS = "/api/v1/metrics"


@pytest.fixture(autouse=True)
def named(settings: Any) -> None:
    settings.PROXIES = Peers.named([PROXY, "2001:db8:9::/48"])
    settings.ALLOWED_HOSTS = ["photos.example.org", "testserver"]
    settings.BEHIND_TLS = False
    proxies._noted.clear()


def asked(peer: str, **headers: str) -> HttpRequest:
    said = {f"HTTP_X_FORWARDED_{name}": value for name, value in headers.items()}
    request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_HOST="testserver", **said)
    believe(request)
    return request


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        (PROXY, f"{FORGED}, {CLIENT}", CLIENT),
        (PROXY, f"{FORGED}, {CLIENT}, {PROXY}", CLIENT),
        (PROXY, f"{FORGED}, {CLIENT}, 2001:db8:9::7, {PROXY}", CLIENT),
        (PROXY, f"{CLIENT}:4711", CLIENT),
        (PROXY, "[2001:db8::1]:443", "2001:db8::1"),
        (PROXY, f"{FORGED}, unknown", PROXY),
        (PROXY, "", PROXY),
        (f"::ffff:{PROXY}", CLIENT, CLIENT),
        ("2001:db8:9::7", CLIENT, CLIENT),
        ("2001:db8:8::7", CLIENT, "2001:db8:8::7"),
        (FORGED, PROXY, FORGED),
        ("", CLIENT, ""),
    ],
)
def test_the_client_is_the_last_hop_that_is_no_proxy_of_ours(peer: str, forwarded_for: str, address: str) -> None:
    request = asked(peer, FOR=forwarded_for)
    assert client_address(request) == address
    assert not [name for name in request.META if "FORWARDED" in name]
    assert "X-Forwarded-For" not in request.headers


def test_a_unix_socket_is_named_by_a_word(settings: Any) -> None:
    settings.PROXIES = Peers.named(["unix"])
    assert client_address(asked("", FOR=CLIENT)) == CLIENT
    assert client_address(asked(PROXY, FOR=CLIENT)) == PROXY


def test_scheme_and_host_come_from_the_proxy_and_from_nobody_else() -> None:
    request = asked(PROXY, FOR=CLIENT, PROTO="https", HOST="photos.example.org")
    assert request.is_secure() and request.get_host() == "photos.example.org"
    assert request.build_absolute_uri("/x") == "https://photos.example.org/x"
    forged = asked(FORGED, FOR=CLIENT, PROTO="https", HOST="photos.example.org")
    assert not forged.is_secure() and forged.get_host() == "testserver"
    assert not asked(PROXY, FOR=CLIENT, PROTO="https, http").is_secure()  # the client wrote the first itself
    assert asked(PROXY, FOR=f"{CLIENT}, {PROXY}", PROTO="https, http").is_secure()
    assert not asked(PROXY, FOR=CLIENT, PROTO="gopher").is_secure()


def test_the_events_process_believes_the_same() -> None:
    headers = [(b"x-forwarded-for", CLIENT.encode()), (b"x-forwarded-proto", b"https"), (b"host", b"testserver")]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers, "scheme": "http"}
    for peer, is_believed in ((PROXY, True), (FORGED, False)):
        request = ASGIRequest({**scope, "client": [peer, 1]}, io.BytesIO())
        believe(request)
        assert (request.is_secure(), client_address(request) == CLIENT) == (is_believed, is_believed)


def test_csrf_trusts_the_address_that_the_proxy_tells(django_user_model: Any, db: None) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.get("/sign-in/")
    form = {"csrfmiddlewaretoken": browser.cookies["csrftoken"].value, "username": "x", "password": "y"}
    said = {"HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_FORWARDED_HOST": "photos.example.org"}
    origin = {"HTTP_ORIGIN": "https://photos.example.org", **said}
    assert browser.post("/sign-in/", form, REMOTE_ADDR=PROXY, HTTP_X_FORWARDED_FOR=CLIENT, **origin).status_code == 200
    assert browser.post("/sign-in/", form, REMOTE_ADDR=FORGED, **origin).status_code == 403


def test_the_middleware_comes_first() -> None:
    assert django_settings.MIDDLEWARE[0] == "photolala.web.proxies.ProxyMiddleware"


def test_tls_without_named_proxies_works_as_before_and_is_warned_of(settings: Any) -> None:
    settings.PROXIES, settings.BEHIND_TLS = Peers(), True
    request = asked(PROXY, FOR=f"{FORGED}, {CLIENT}", PROTO="https", HOST="evil.example")
    assert client_address(request) == CLIENT and request.is_secure() and request.get_host() == "testserver"
    assert request.META[proxies.IS_UNNAMED], "anybody may have sent this"
    assert [one.id for one in run_checks(tags=["photolala_settings"]) if "PROXIES" in str(one.hint)] == [
        "photolala.W021"
    ]


def test_a_proxy_that_nobody_named_is_warned_of(settings: Any, tmp_path: Path) -> None:
    def warned() -> list[str]:
        return [str(one.hint) for one in run_checks(tags=["photolala_settings"]) if one.id == "photolala.W020"]

    asked("93.184.216.34", FOR=CLIENT)  # a stranger's lie is no advice
    asked(PROXY, FOR=CLIENT)
    asked("172.18.0.2")
    assert warned() == []
    asked("172.18.0.2", FOR=CLIENT)
    assert "PHOTOLALA_PROXIES=172.18.0.2" in warned()[0]
    settings.PROXIES = Peers.named(["172.18.0.0/16"])
    assert warned() == []
    settings.PROXIES = Peers()
    asked("", FOR=CLIENT)
    assert warned() == [
        "If your proxy runs there, set PHOTOLALA_PROXIES=172.18.0.2. Else somebody there sends forged headers."
    ]
    proxies._noted.clear()  # an hour goes by
    asked("", FOR=CLIENT)
    assert "PHOTOLALA_PROXIES=unix" in warned()[0]


@pytest.mark.parametrize("text", ["nginx", "10.0.0.1/8", "0.0.0.0/0", "::/0", "10.0.0.0/33", "127.0.0.1 10.0.0.1"])
def test_what_names_nobody_or_everybody_is_refused(text: str) -> None:
    with pytest.raises(BadSetting, match="PHOTOLALA_PROXIES"):
        Environment({"PHOTOLALA_PROXIES": text}).peers("PHOTOLALA_PROXIES")


def test_good_names() -> None:
    peers = Environment({"P": "127.0.0.1, ::1, fd00::/64, 172.16.0.0/12, unix, [2001:db8::1]"}).peers("P")
    for address in ("127.0.0.1", "::1", "fd00::9", "172.31.0.9", "", "::ffff:127.0.0.1", "2001:db8::1"):
        assert address in peers
    for address in ("127.0.0.2", "fd00:0:0:1::9", "172.32.0.9", "nonsense"):
        assert address not in peers
    assert not Peers.named([]) and "" not in Peers.named(["::1"])


def test_without_a_hop_the_proxy_is_the_client() -> None:
    assert origin_behind(PROXY, " , ", "", "").address == PROXY


# -- figures --------------------------------------------------------------------------------------------------------------


def test_figures_need_a_token_or_a_name(settings: Any, client: Client, django_user_model: Any, db: None) -> None:
    assert client.get(METRICS).status_code == 401, "also for this machine: a proxy may stand on it"
    assert client.get(METRICS, HTTP_AUTHORIZATION="Bearer ").status_code == 401
    settings.METRICS_TOKEN = "a-token-of-many-letters"
    assert client.get(METRICS, HTTP_AUTHORIZATION="Bearer a-token-of-many-letter").status_code == 401
    assert client.get(METRICS, HTTP_AUTHORIZATION="Bearer a-token-of-many-letters").status_code == 200
    settings.METRICS_FROM = Peers.named(["127.0.0.1", "198.51.100.0/24"])
    assert client.get(METRICS).status_code == 200
    assert client.get(METRICS, HTTP_X_FORWARDED_FOR=FORGED).status_code == 401, "a proxy that is not named"
    assert client.get(METRICS, REMOTE_ADDR=FORGED, HTTP_X_FORWARDED_FOR=CLIENT).status_code == 401
    assert client.get(METRICS, REMOTE_ADDR=PROXY, HTTP_X_FORWARDED_FOR=CLIENT).status_code == 200
    assert client.get(METRICS, REMOTE_ADDR=PROXY, HTTP_X_FORWARDED_FOR=f"{CLIENT}, {FORGED}").status_code == 401
    client.force_login(django_user_model.objects.create_user("mallory"))
    assert client.get(METRICS, REMOTE_ADDR=FORGED).status_code == 403


@pytest.mark.parametrize("text", ["short", "a token with blanks in it"])
def test_a_weak_token_is_refused(text: str) -> None:
    with pytest.raises(BadSetting):
        Environment({"T": text}).token("T")
