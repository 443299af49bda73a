"""The transport over HTTP against a small server of the standard library, and the command line over it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from sync.device.__main__ import main
from sync.device.http import HttpTransport
from sync.device.media import MediaRefused
from sync.device.transport import NotAllowed, NotThere, ServerFault, Unavailable, Unreachable
from sync.protocol.messages import ChangesRequest, PushRequest
from sync.protocol.problems import OutOfSequence, ProtocolProblem, StartOver, TooLarge

DEVICE = "00000000-0000-0000-0000-00000000d001"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body):
        web = self.server
        web.seen.append((self.command, self.path, self.headers.get("Authorization")))
        status, headers, text = web.canned or (200, {}, self.reply(web.reference, body))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def reply(self, reference, body):
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        match parts.path.removeprefix("/api/v1/sync/").removesuffix("/"):
            case "info":
                return reference.info(DEVICE).to_json()
            case "push":
                return reference.push(DEVICE, PushRequest.from_json(body)).to_json()
            case "changes":
                types = tuple(query.get("types", "").split(",")) if query.get("types") else ()
                request = ChangesRequest(query["scope"], query.get("cursor", ""), types, int(query["limit"]))
                return reference.changes(DEVICE, request).to_json()
            case _:
                return reference.digest(DEVICE, query["scope"]).to_json()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def web(server):
    with HTTPServer(("127.0.0.1", 0), Handler) as web:
        web.reference, web.canned, web.seen = server, None, []
        web.url = f"http://127.0.0.1:{web.server_port}"
        thread = threading.Thread(target=web.serve_forever, args=(0.01,))
        thread.start()
        yield web
        web.shutdown()
        thread.join()


@pytest.fixture
def transport(web):
    return HttpTransport(web.url, "t0ken", timeout_seconds=30)


def problem(status, code="", headers=None, **members):
    return (
        status,
        headers or {},
        json.dumps({"type": f"urn:photolala:problem:{code}", "detail": "A sentence.", **members}),
    )


@pytest.mark.parametrize(
    ("canned", "error"),
    [
        (problem(401, "authentication_failed"), NotAllowed),
        (problem(403, "permission_denied"), NotAllowed),
        (problem(404, "not_found"), NotThere),
        (problem(409, "out_of_sequence", ackedThrough=7), OutOfSequence),
        (problem(409, "out_of_sequence"), ServerFault),
        (problem(410, "start_over"), StartOver),
        (problem(413, "too_large"), TooLarge),
        ((413, {}, "<html>nginx</html>"), TooLarge),
        ((400, {}, "<html>a proxy</html>"), ServerFault),
        (problem(429, "too_many_requests", {"Retry-After": "7"}), Unavailable),
        (problem(503, "busy", {"Retry-After": "Sat, 28 Nov 2026 12:00:00 GMT"}), Unavailable),
        (problem(500), ServerFault),
        ((302, {"Location": "http://elsewhere.example/"}, ""), ServerFault),
        ((200, {}, "<html>a hotel's page</html>"), ServerFault),
        ((200, {}, "{}"), ServerFault),
        ((200, {}, "[" * 100_000), ServerFault),
    ],
)
def test_what_a_server_refuses_is_told_apart(web, transport, canned, error):
    web.canned = canned
    with pytest.raises(error) as caught:
        transport.info()
    if isinstance(caught.value, ProtocolProblem) and "A sentence." in canned[2]:
        assert caught.value.sentence == "A sentence."
    if error is OutOfSequence:
        assert caught.value.acked_through == 7
    if error is Unavailable:
        assert caught.value.retry_after_ms == (7000 if canned[1]["Retry-After"] == "7" else None)


@pytest.mark.parametrize(
    ("canned", "error"),
    [
        (problem(413, "quota"), MediaRefused),
        (problem(422, "invalid"), MediaRefused),
        ((413, {}, "<html>nginx</html>"), MediaRefused),
        (problem(422, "too_many"), ServerFault),
        (problem(410, "gone"), ServerFault),
        (problem(423, "locked"), ServerFault),
        (problem(507, "no_space"), ServerFault),
        ((400, {}, "<html>a proxy</html>"), ServerFault),
        (problem(401, "authentication_failed"), NotAllowed),
    ],
)
def test_only_what_is_the_same_the_next_time_refuses_a_file(web, transport, canned, error):
    web.canned = canned
    with pytest.raises(error) as caught:
        transport.begin_media("0" * 32, "audio/mpeg", 5)
    assert type(caught.value) is error


def test_the_token_goes_to_the_server_only(web, transport):
    transport.info()
    assert web.seen == [("GET", "/api/v1/sync/info/", "Token t0ken")]


def test_nobody_at_home():
    with pytest.raises(Unreachable):
        HttpTransport("http://127.0.0.1:9", "t", timeout_seconds=5).info()


@pytest.mark.parametrize("url", ["photos.example.org", "ftp://a", "file:///etc/passwd", "http://", "http://a/?b"])
def test_other_texts_are_no_addresses(url):
    with pytest.raises(ValueError, match="not the address of a server"):
        HttpTransport(url, "t")


@pytest.mark.parametrize("token", ["", "a b", "a\r\nHost: b", "é"])
def test_other_texts_are_no_tokens(token):
    with pytest.raises(ValueError, match="token has characters"):
        HttpTransport("http://a", token)


@pytest.fixture
def run(web, tmp_path, monkeypatch, capsys):
    """Run the command line with a store; return (exit code, output)."""
    monkeypatch.setenv("PHOTOLALA_TOKEN", "t0ken")

    def run(*words, store="a.sqlite"):
        code = main(["--store", str(tmp_path / store), "--url", web.url, *words])
        return code, capsys.readouterr().out.strip()

    return run


def test_albums_from_the_command_line(run, server, web):
    assert run("sync")[0] == 0
    code, album = run("new-album", "Rome")
    assert code == 0
    assert run("albums")[1].split() == [album, "0", "Rome"]
    assert server.live() == {}
    code, said = run("sync")
    assert (code, json.loads(said)["uploadedItems"]) == (0, 1)
    assert server.live()["album", album]["title"] == "Rome"
    run("sync", store="b.sqlite")
    assert run("rename", album, "Roma", store="b.sqlite")[0] == 0
    assert run("sync", store="b.sqlite")[0] == 0
    run("sync")
    assert run("albums")[1].split() == [album, "0", "Roma"]
    assert json.loads(run("status")[1])["pendingUploads"] == {}


def test_the_command_line_says_what_cannot_be_done(run, web, capsys):
    assert run("rename", "x", "y")[0] == 2
    with pytest.raises(SystemExit):
        run("rename", "x")
    assert "rename takes 2 words. ALBUM TITLE: give an album another title." in capsys.readouterr().err
    web.canned = problem(401, "authentication_failed")
    code, said = run("sync")
    assert (code, json.loads(said)["errors"][0]["type"]) == (1, "AUTHENTICATION_ERROR")
    assert run("watch")[0] == 1  # and does not ask for ever


def test_stars_and_items_from_the_command_line(run, server, web):
    photo = "7a4a9c53-6a2b-4b67-8d38-1f0e4b9c2f11"
    assert run("star", photo, "5", store="new.sqlite")[0] == 2  # the store does not know whose it is
    run("sync")
    run("new-album", "Rome")
    album = run("albums")[1].split()[0]
    assert run("add", album, photo)[0] == 0
    assert run("albums")[1].split() == [album, "1", "Rome"]
    assert run("remove", album, photo)[0] == 0
    assert run("albums")[1].split() == [album, "0", "Rome"]
    assert run("star", photo, "5")[0] == 2  # this server has no favourites
