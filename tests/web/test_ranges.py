"""Sending files, below the views: names in headers, and what happens when a file shrinks while it is sent."""

import io
from pathlib import Path

import pytest
from django.test import RequestFactory

from photolala.web.ranges import Download, content_disposition, serve


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain.jpg", 'inline; filename="plain.jpg"'),
        ('a"b.jpg', "inline; filename=\"a_b.jpg\"; filename*=UTF-8''a%22b.jpg"),
        ("é.jpg", "inline; filename=\"_.jpg\"; filename*=UTF-8''%C3%A9.jpg"),
        (
            "a\r\nSet-Cookie: x.jpg",
            "inline; filename=\"a__Set-Cookie: x.jpg\"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x.jpg",
        ),
    ],
)
def test_names(name: str, expected: str) -> None:
    assert content_disposition(name, attachment=False) == expected


def test_a_file_that_shrinks_breaks_the_connection_instead_of_looking_complete(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)
    response = serve(RequestFactory().get("/"), Download(20, "image/jpeg"), path.open("rb"))
    with pytest.raises(OSError, match="10 bytes too early"):
        list(response)


def test_an_empty_file(tmp_path: Path) -> None:
    for header, status in (("", 200), ("bytes=0-", 416), ("bytes=-1", 416)):
        response = serve(RequestFactory().get("/", HTTP_RANGE=header), Download(0, "image/jpeg"), io.BytesIO())
        assert response.status_code == status
        assert b"".join(response) == b""
