"""Nothing that comes from outside grows unseen: packed bodies are refused, a large snapshot leaves room on the disk."""

import gzip
import json
import os
from types import SimpleNamespace

import pytest

from catalog.importing import requests, uploads
from catalog.libraries.adding import add_library
from catalog.snapshots import choose
from catalog.snapshots.location import FolderLocation, Nowhere
from catalog.snapshots.schema import snapshot_name

MIB = 1024 * 1024


@pytest.mark.django_db
@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity", "x"])
def test_a_packed_body_is_refused_with_a_sentence(client, encoding):
    body = gzip.compress(json.dumps({"username": "alice"}).encode())
    answer = client.post(
        "/api/v1/auth/devices/", body, content_type="application/json", headers={"Content-Encoding": encoding}
    )
    assert (answer.status_code, answer["Content-Type"]) == (415, "application/problem+json")
    assert answer["Accept-Encoding"] == "identity" and "Send it as it is" in answer.json()["detail"]
    assert client.post("/sign-in/", body, "text/plain", headers={"Content-Encoding": encoding}).status_code == 415


@pytest.mark.django_db
def test_a_packed_piece_is_not_stored_as_it_is(client, alice, tmp_path, settings):
    (tmp_path / "library").mkdir()
    settings.PHOTO_ROOTS = [str(tmp_path)]
    library = add_library(alice, str(tmp_path / "library"))
    upload = uploads.begin(alice, requests.open_batch(library, alice), "a.jpg", 100)
    client.force_login(alice)
    headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0"}
    send = {"data": bytes(50), "content_type": "application/offset+octet-stream"}
    address = f"/api/v1/uploads/{upload.pk}/"
    assert client.patch(address, **send, headers={**headers, "Content-Encoding": "gzip"}).status_code == 415
    assert client.head(address, headers=headers)["Upload-Offset"] == "0"
    assert client.patch(address, **send, headers={**headers, "Content-Encoding": "identity"}).status_code == 204


def test_a_large_snapshot_leaves_room_on_the_disk(tmp_path, monkeypatch):
    md5 = "0" * 32
    (tmp_path / "root").mkdir()
    (tmp_path / "working").mkdir()
    with (tmp_path / "root" / snapshot_name(md5)).open("wb") as snapshot:
        snapshot.truncate(70 * MIB)
    (tmp_path / "root" / ".photolala.md5").write_text(f"{md5}\n")
    full = SimpleNamespace(f_blocks=10**9, f_bavail=choose.ROOM_BYTES // 4096 - 1, f_frsize=4096)
    monkeypatch.setattr(os, "fstatvfs", lambda descriptor: full)
    with pytest.raises(OSError, match="no room"):
        choose.choose_snapshot(FolderLocation(tmp_path / "root", "the root"), Nowhere(), tmp_path / "working")
    monkeypatch.undo()
    choice = choose.choose_snapshot(FolderLocation(tmp_path / "root", "the root"), Nowhere(), tmp_path / "working")
    assert choice.snapshot is None
