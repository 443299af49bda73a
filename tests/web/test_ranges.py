"""Sending files, below the views: names in headers, and what happens when a file shrinks while it is sent."""

import gc
import io
import os
from pathlib import Path

import pytest
from django.http import HttpResponseBase
from django.test import RequestFactory

from photolala.web.ranges import BLOCK_BYTES, MOST_STREAMS, Download, content_disposition, serve
from photolala.web.refusals import Unavailable


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


def test_stalled_clients_are_bounded_and_others_go_on(tmp_path: Path) -> None:
    path = tmp_path / "film"
    path.write_bytes(b"x" * (BLOCK_BYTES + 1))

    def answer(header: str = "") -> HttpResponseBase:
        return serve(
            RequestFactory().get("/", HTTP_RANGE=header), Download(BLOCK_BYTES + 1, "video/mp4"), path.open("rb")
        )

    def end(response: HttpResponseBase) -> None:
        for close in response._resource_closers:  # what the server calls when the client goes away
            close()

    stalled = [answer() for _ in range(MOST_STREAMS)]
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Unavailable, match="Many files"):
        answer()
    assert len(os.listdir("/proc/self/fd")) == before
    assert len(b"".join(answer("bytes=0-9"))) == 10  # what fits into the buffers on the way holds nobody up
    end(stalled.pop())
    following = answer()
    assert len(b"".join(following)) == BLOCK_BYTES + 1  # sent to its end: that gives the place back too
    stalled.append(answer())
    del following
    for response in stalled:
        end(response)
        end(response)
    answers = [answer() for _ in range(MOST_STREAMS)]
    del answers, stalled, response
    gc.collect()
    assert answer().status_code == 200  # those that nobody closed were collected


def test_zeros_before_a_number_mean_nothing() -> None:
    for header, expected in (
        ("bytes=" + "0" * 30 + "5-" + "0" * 30 + "6", "bytes 5-6/10"),
        ("bytes=0-" + "9" * 400, "bytes 0-9/10"),
        ("bytes=-" + "9" * 400, "bytes 0-9/10"),
        ("bytes=" + "9" * 400 + "-", "bytes */10"),
    ):
        request = RequestFactory().get("/", HTTP_RANGE=header)
        assert serve(request, Download(10, "image/jpeg"), io.BytesIO(b"x" * 10))["Content-Range"] == expected
