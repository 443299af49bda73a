"""Files for notes over tus 1.0: in pieces, resumed, within bounds, into one's own media store and nobody else's."""

import base64
import hashlib
import os
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings

from accounts.models import User
from catalog.albums import media, media_uploads, notes
from catalog.models import Media

from .conftest import API

TUS = {"HTTP_TUS_RESUMABLE": "1.0.0"}
SOUND = b"a song, or what stands for one here " * 100
MD5 = hashlib.md5(SOUND).hexdigest()


def create(client: Any, content: bytes = SOUND, length: str = "", **said: str) -> Any:
    words = {"md5": hashlib.md5(content).hexdigest(), "media_type": "audio/mpeg", **said}
    metadata = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in words.items())
    return client.generic(
        "POST",
        f"{API}media/uploads/",
        b"",
        HTTP_UPLOAD_LENGTH=length or str(len(content)),
        HTTP_UPLOAD_METADATA=metadata,
        **TUS,
    )


def patch(client: Any, address: str, offset: int, data: bytes, **more: str) -> Any:
    kind = "application/offset+octet-stream"
    return client.generic("PATCH", address, data, content_type=kind, HTTP_UPLOAD_OFFSET=str(offset), **TUS, **more)


def staged() -> list[Path]:
    return [path for path in Path(settings.UPLOADS_DIR).glob("*/*") if path.is_file()]


def code_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rsplit(":", 1)[-1]


def test_a_file_comes_in_pieces_goes_on_after_a_break_and_can_be_attached(cast: Any, alice: Any) -> None:
    begun = create(alice)
    assert begun.status_code == 201 and begun["Upload-Offset"] == "0"
    address = begun["Location"]
    assert patch(alice, address, 0, SOUND[:1000])["Upload-Offset"] == "1000"
    assert create(alice)["Upload-Offset"] == "1000"  # a device that forgot all but the file
    asked = alice.head(address, **TUS)
    assert (asked["Upload-Offset"], asked["Upload-Length"]) == ("1000", str(len(SOUND)))
    assert code_of(patch(alice, address, 0, SOUND)) == (409, "offset")
    assert not Media.objects.exists()
    last = patch(alice, address, 1000, SOUND[1000:])
    assert (last.status_code, last["Upload-Offset"]) == (204, str(len(SOUND)))
    assert staged() == []
    owner = User.objects.get(username="alice")
    notes.create(owner, uuid4(), {"content": "listen", "attachments": [{"media_md5": MD5, "name": "a.mp3"}]})
    got = alice.get(f"{API}media/{MD5}/")
    assert b"".join(got.streaming_content) == SOUND
    # an answer that was lost: asked, begun and sent once more
    assert alice.head(address, **TUS)["Upload-Offset"] == str(len(SOUND)) == create(alice)["Upload-Offset"]
    assert patch(alice, address, len(SOUND), b"").status_code == 204
    assert code_of(patch(alice, address, 0, SOUND)) == (409, "complete")
    assert alice.delete(address, **TUS).status_code == 409


def test_what_a_process_that_died_left_whole_is_taken_in(
    cast: Any, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = create(alice)["Location"]
    with monkeypatch.context() as patched:
        patched.setattr(media_uploads, "_take_in", lambda *_: None)
        patch(alice, address, 0, SOUND)
    assert not Media.objects.exists() and staged()
    assert alice.head(address, **TUS)["Upload-Offset"] == str(len(SOUND))
    assert Media.objects.get().md5 == MD5 and staged() == []


def test_other_content_than_was_said_is_refused_whole(cast: Any, alice: Any) -> None:
    address = create(alice, length=str(len(SOUND)))["Location"]
    assert patch(alice, address, 0, SOUND[:-1] + b"!").status_code == 422
    assert not Media.objects.exists() and staged() == []
    assert alice.head(address, **TUS).status_code == 404


def test_pieces_with_checksums_count_whole_or_not_at_all(cast: Any, alice: Any) -> None:
    address = create(alice)["Location"]
    said = "md5 " + base64.b64encode(hashlib.md5(SOUND[:10]).digest()).decode()
    assert patch(alice, address, 0, b"other word", HTTP_UPLOAD_CHECKSUM=said).status_code == 460
    assert alice.head(address, **TUS)["Upload-Offset"] == "0"
    assert patch(alice, address, 0, SOUND[:10], HTTP_UPLOAD_CHECKSUM=said)["Upload-Offset"] == "10"
    assert patch(alice, address, 10, SOUND).status_code == 413
    assert alice.head(address, **TUS)["Upload-Offset"] == "10"


def test_bounds(cast: Any, alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert create(alice, length=str(media.LARGEST_BYTES + 1)).status_code == 413
    assert create(alice, length="0").status_code == 413
    assert create(alice, media_type="text/html").status_code == 422
    assert create(alice, md5="no").status_code == 400
    User.objects.filter(username="alice").update(quota_bytes=len(SOUND) + 10)
    assert create(alice).status_code == 201
    assert code_of(create(alice, b"another file of hers")) == (413, "quota")  # what was begun counts
    User.objects.update(quota_bytes=None)
    monkeypatch.setattr(media_uploads, "MOST_AT_ONCE", 1)
    assert code_of(create(alice, b"another file of hers")) == (422, "too_many")
    assert alice.delete(create(alice)["Location"], **TUS).status_code == 204
    assert staged() == []


def test_another_person_with_the_same_md5_gets_and_learns_nothing(cast: Any, alice: Any, charlie: Any) -> None:
    address = create(alice)["Location"]
    patch(alice, address, 0, SOUND[:1000])
    assert charlie.head(address, **TUS).status_code == 404
    assert patch(charlie, address, 1000, SOUND[1000:]).status_code == 404
    assert create(charlie)["Upload-Offset"] == "0"
    patch(alice, address, 1000, SOUND[1000:])
    assert charlie.delete(address, **TUS).status_code == 204
    assert charlie.head(address, **TUS).status_code == 404  # also of what alice has by now
    assert create(charlie)["Upload-Offset"] == "0"
    assert charlie.get(f"{API}media/{MD5}/").status_code == 404


def test_what_nobody_goes_on_with_is_removed_after_a_week(cast: Any, alice: Any) -> None:
    create(alice)
    old = create(alice, b"something else that she began")["Location"]
    (path,) = [path for path in staged() if old.rstrip("/").rsplit("/", 1)[-1] in path.name]
    eight_days_ago = time.time() - 8 * 86_400
    os.utime(path, (eight_days_ago, eight_days_ago))
    assert media_uploads.forget_old() == 1
    assert [one.name[:32] for one in staged()] == [MD5]


def test_what_a_process_that_died_left_whole_is_taken_in_when_it_is_begun_again(
    cast: Any, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = create(alice)["Location"]
    with monkeypatch.context() as patched:
        patched.setattr(media_uploads, "_take_in", lambda *_: None)
        patch(alice, address, 0, SOUND)
    begun = create(alice)  # a device asks for nothing but this offset, and then names the file
    assert begun["Upload-Offset"] == str(len(SOUND))
    assert Media.objects.get().md5 == MD5 and staged() == []


def test_what_was_left_whole_and_is_something_else_begins_anew(
    cast: Any, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = create(alice)["Location"]
    with monkeypatch.context() as patched:
        patched.setattr(media_uploads, "_take_in", lambda *_: None)
        patch(alice, address, 0, SOUND[:-1] + b"\0")
    assert create(alice)["Upload-Offset"] == "0"
    assert patch(alice, address, 0, SOUND)["Upload-Offset"] == str(len(SOUND))
    assert Media.objects.get().md5 == MD5


def test_a_file_given_up_while_it_comes_is_gone_and_no_fault(
    cast: Any, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = create(alice)["Location"]
    real = media_uploads._write

    def write(*arguments: Any) -> None:
        real(*arguments)
        media_uploads.drop(media_uploads.find(User.objects.get(username="alice"), MD5))  # type: ignore[arg-type]

    monkeypatch.setattr(media_uploads, "_write", write)
    assert code_of(patch(alice, address, 0, SOUND)) == (410, "gone")


def test_a_file_that_the_store_lost_is_sent_again(cast: Any, alice: Any) -> None:
    address = create(alice)["Location"]
    patch(alice, address, 0, SOUND)
    name = media.name_of(Media.objects.get().owner_id, MD5)
    media.storage().delete(name)
    assert create(alice)["Upload-Offset"] == "0"
    assert patch(alice, address, 0, SOUND)["Upload-Offset"] == str(len(SOUND))
    assert media.storage().exists(name)
