"""Text is compressed as the client likes it best; what is no text, is secret or is a part of a file stays as it is."""

import gzip
import json
from pathlib import Path
from typing import Any

import brotli
import pytest
from django.http import FileResponse, HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import override_settings
from whitenoise.middleware import WhiteNoiseMiddleware

from photolala.web.compression import CompressionMiddleware, best_coding
from photolala.web.static_compression import OnceCompressor
from tests.factories import make_user

TEXT = "Photolala never loses anything. " * 50


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("", ""),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("x-gzip", "gzip"),
        ("br;q=0.5, gzip", "gzip"),
        ("br;q=0, gzip;q=0.2", "gzip"),
        ("br; q=0.001 , gzip;q=0", "br"),
        ("BR;Q=1", "br"),
        ("gzip;q=0.5, identity", ""),
        ("gzip;q=0.5, identity;q=0.5", "gzip"),
        ("br;q=nonsense", ""),
        ("br;q=7", ""),
        ("*", ""),
        ("*;q=0, br", "br"),
        ("deflate, zstd", ""),
        (",,;q=1,", ""),
    ],
)
def test_the_coding_that_the_client_wants_most(accepted: str, coding: str) -> None:
    assert best_coding(accepted) == coding


def answer(response: HttpResponse, path: str = "/api/v1/photos/", **headers: str) -> HttpResponse:
    request = RequestFactory().get(path, headers=headers)
    return CompressionMiddleware(lambda request: response)(request)  # type: ignore[return-value]


def unpacked(response: HttpResponse) -> bytes:
    coding = response.get("Content-Encoding")
    return {"br": brotli.decompress, "gzip": gzip.decompress, None: bytes}[coding](response.content)


@pytest.mark.parametrize("accepted", ["br", "gzip"])
@pytest.mark.parametrize(
    "kind", ["application/json", "text/html; charset=utf-8", "text/css", "text/javascript", "application/problem+json"]
)
def test_text_is_compressed(accepted: str, kind: str) -> None:
    packed = answer(HttpResponse(TEXT, content_type=kind, headers={"ETag": '"abc"'}), accept_encoding=accepted)
    assert packed["Content-Encoding"] == accepted and unpacked(packed).decode() == TEXT
    assert int(packed["Content-Length"]) == len(packed.content) < len(TEXT) / 5
    assert packed["ETag"] == 'W/"abc"' and packed["Vary"] == "Accept-Encoding"


def test_the_same_address_says_that_it_varies_when_it_is_not_compressed() -> None:
    plain = answer(HttpResponse(TEXT, content_type="text/html", headers={"ETag": '"abc"', "Vary": "Cookie"}))
    assert (plain["ETag"], plain["Vary"], plain.content.decode()) == ('"abc"', "Cookie, Accept-Encoding", TEXT)


@pytest.mark.parametrize(
    ("headers", "status", "path"),
    [
        ({"Content-Type": "image/jpeg"}, 200, "/"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 200, "/"),
        ({"Content-Type": "text/html", "Cache-Control": "private, no-transform"}, 200, "/"),
        ({"Content-Type": "text/plain", "Content-Range": "bytes 0-9/100"}, 206, "/"),
        ({"Content-Type": "application/json"}, 201, "/api/v1/auth/devices/"),  # holds a token
    ],
)
def test_what_stays_as_it_is(headers: dict[str, str], status: int, path: str) -> None:
    kept = answer(HttpResponse(TEXT, status=status, headers=headers), path, accept_encoding="br, gzip")
    assert kept.content.decode() == TEXT and kept.get("Content-Encoding") == headers.get("Content-Encoding")


def test_files_that_are_streamed_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    kept = answer(FileResponse((tmp_path / "a.txt").open("rb")), accept_encoding="br")  # type: ignore[arg-type]
    assert not kept.has_header("Content-Encoding") and b"".join(kept).decode() == TEXT  # type: ignore[arg-type]


def test_lengths_of_compressed_answers_differ_at_random() -> None:
    lengths = {
        len(answer(HttpResponse(TEXT, content_type="text/html"), accept_encoding="br")["X-Padding"]) for _ in range(50)
    }
    assert len(lengths) > 5


@pytest.mark.django_db
def test_the_token_of_a_form_is_another_one_in_each_compressed_page() -> None:
    client = Client()
    pages = [client.get("/sign-in/", headers={"Accept-Encoding": "br"}) for _ in range(2)]
    tokens = [page.context["csrf_token"] for page in pages]
    assert pages[0]["Content-Encoding"] == "br" and str(tokens[0]) != str(tokens[1])
    assert str(tokens[0]).encode() in unpacked(pages[0])


@pytest.mark.django_db
def test_pages_and_json_of_the_site() -> None:
    client = Client()
    client.force_login(make_user("alice"))
    schema = client.get("/api/v1/schema/", headers={"Accept-Encoding": "gzip;q=0.5, br"})
    assert schema["Content-Encoding"] == "br" and json.loads(unpacked(schema))["openapi"]
    signed_in = client.post(
        "/api/v1/auth/devices/",
        {"username": "alice", "password": "correct horse battery", "name": "x" * 90},
        content_type="application/json",
        headers={"Accept-Encoding": "br"},
    )
    assert signed_in.status_code == 201 and not signed_in.has_header("Content-Encoding")


def test_static_files_are_compressed_once_and_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "a.0123456789ab.js"
    page.write_text(TEXT)
    names = OnceCompressor(quiet=True).compress(str(page))
    assert [Path(name).suffix for name in names] == [".br", ".gz"]
    assert brotli.decompress(Path(names[0]).read_bytes()).decode() == TEXT
    monkeypatch.setattr(OnceCompressor, "compress_brotli", None)
    assert OnceCompressor(quiet=True).compress(str(page)) == names
    for name in names:
        Path(name).unlink()
    monkeypatch.undo()
    monkeypatch.setattr("photolala.web.static_compression.os.utime", lambda *_: 1 / 0)  # killed before it is whole
    with pytest.raises(ZeroDivisionError):
        OnceCompressor(quiet=True).compress(str(page))
    assert not Path(names[0]).exists()


@pytest.fixture
def static(tmp_path: Path) -> Any:
    (tmp_path / "a.css").write_text(TEXT)
    (tmp_path / "a.css.br").write_bytes(brotli.compress(TEXT.encode()))
    (tmp_path / "a.css.gz").write_bytes(gzip.compress(TEXT.encode()))
    with override_settings(
        STATIC_ROOT=str(tmp_path), STATIC_URL="/static/", WHITENOISE_USE_FINDERS=False, WHITENOISE_AUTOREFRESH=False
    ):
        yield CompressionMiddleware(WhiteNoiseMiddleware(lambda request: HttpResponse(status=404)))


def get_static(static: Any, **headers: str) -> HttpResponse:
    request: HttpRequest = RequestFactory().get("/static/a.css", headers=headers)
    return static(request)


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [("", None), ("gzip, br", "br"), ("br;q=0, gzip", "gzip"), ("br;q=0", None), ("gzip, br;q=0.1", "gzip")],
)
def test_static_files_come_as_they_were_compressed_before(static: Any, accepted: str, coding: str | None) -> None:
    sent = get_static(static, accept_encoding=accepted)
    assert sent.get("Content-Encoding") == coding and "Accept-Encoding" in sent["Vary"]
    assert sent["ETag"].startswith("W/") == (coding is not None)
    again = get_static(static, accept_encoding=accepted, if_none_match=sent["ETag"])
    assert again.status_code == 304
