"""What an app does first, through the client that was generated from the schema: run with the client on the path.

Arguments: the site's address, a JPEG that the library does not have.
"""

import base64
import hashlib
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from photolala_client import AuthenticatedClient, Client
from photolala_client.api.auth import devices_sign_in
from photolala_client.api.events import events_poll
from photolala_client.api.exports import exports_create, exports_download, exports_retrieve
from photolala_client.api.imports import imports_items
from photolala_client.api.libraries import libraries_list, libraries_missing, libraries_scan
from photolala_client.api.operations import operations_retrieve
from photolala_client.api.photos import (
    photos_favourite,
    photos_list,
    photos_metadata,
    photos_retrieve,
    photos_thumbnail,
    photos_update,
)
from photolala_client.api.uploads import uploads_append, uploads_create, uploads_offset
from photolala_client.models import (
    ContentsBodyRequest,
    FormatEnum,
    NewExportRequest,
    PatchedPhotoChangeRequest,
    ProblemBody,
    RatingRequest,
    ScanBodyRequest,
    ScanOperation,
    SignInRequest,
)
from photolala_client.types import File

PATIENCE_SECONDS = 120
VERSION = "1.0.0"


def done(answer: Any, status: int) -> Any:
    """Return the parsed body of an answer that must have this status."""
    assert answer.status_code == status, (answer.status_code, answer.content)
    return answer.parsed


def wait_for(what: Callable[[], Any], is_over: Callable[[Any], bool]) -> Any:
    """Ask until it is over."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        found = what()
        if is_over(found):
            return found
        time.sleep(0.2)
    raise AssertionError(f"This took too long: {found}")


def main(address: str, picture: Path) -> None:
    """Do it."""
    form = SignInRequest(username="alice", password="alice-password-1", name="python")
    refused = devices_sign_in.sync_detailed(
        client=Client(address),
        body=SignInRequest(username="alice", password="wrong", name="python"),
    )
    assert isinstance(refused.parsed, ProblemBody)
    assert refused.parsed.type_.value == "urn:photolala:problem:wrong_password"
    token = done(devices_sign_in.sync_detailed(client=Client(address), body=form), 201).token
    client = AuthenticatedClient(address, token, prefix="Token")

    libraries = done(libraries_list.sync_detailed(client=client), 200).results
    library = next(one for one in libraries if one.name == "Holidays")

    begun = done(events_poll.sync_detailed(client=client), 200)

    photos, cursor = [], ""
    while True:
        page = done(photos_list.sync_detailed(client=client, library=[library.id], limit=2, cursor=cursor), 200)
        photos += page.results
        if not page.next_cursor:
            break
        cursor = page.next_cursor
    assert len({photo.id for photo in photos}) == library.photo_count == len(photos) > 3

    photo = photos[0]
    thumbnail = photos_thumbnail.sync_detailed(photo.id, client=client)
    assert done(thumbnail, 200).payload.read().startswith(b"\xff\xd8")
    known = photos_thumbnail.sync_detailed(photo.id, client=client, if_none_match=thumbnail.headers["ETag"])
    assert known.status_code == 304
    metadata = done(photos_metadata.sync_detailed(photo.id, client=client), 200)
    assert metadata.camera_make == "Canon" and metadata.width == 64

    assert done(photos_favourite.sync_detailed(photo.id, client=client, body=RatingRequest(rating=3)), 200).is_favourite
    changed = photos_update.sync_detailed(photo.id, client=client, body=PatchedPhotoChangeRequest(rating=2))
    assert done(changed, 200).rating == 2

    data = picture.read_bytes()
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    wanted = libraries_missing.sync_detailed(library.id, client=client, body=ContentsBodyRequest(md5s=[md5]))
    assert done(wanted, 200).missing == [md5]
    said = {"filename": "new/IMG.JPG", "library": str(library.id), "md5": md5}
    upload = done(
        uploads_create.sync_detailed(
            client=client,
            tus_resumable=VERSION,
            upload_length=len(data),
            upload_metadata=",".join(
                f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in said.items()
            ),
        ),
        201,
    )
    for start in range(0, len(data), 700):
        piece = File(io.BytesIO(data[start : start + 700]), mime_type="application/offset+octet-stream")
        done(
            uploads_append.sync_detailed(
                upload.id, client=client, body=piece, tus_resumable=VERSION, upload_offset=start
            ),
            204,
        )
    arrived = uploads_offset.sync_detailed(upload.id, client=client, tus_resumable=VERSION)
    assert arrived.headers["Upload-Offset"] == str(len(data))
    items = wait_for(
        lambda: done(imports_items.sync_detailed(upload.import_, client=client), 200).results,
        lambda items: items and items[0].state.value not in ("waiting", "placing"),
    )
    assert items[0].state.value == "imported", items[0]
    here = done(photos_retrieve.sync_detailed(items[0].photo, client=client), 200)
    assert here.photo_md5 == md5 and here.size_bytes == len(data)

    asked = libraries_scan.sync_detailed(library.id, client=client, body=ScanBodyRequest(verify_heads=True))
    if asked.status_code == 409:  # the import has asked for one itself
        operation_id = asked.parsed.operation
    else:
        operation_id = done(asked, 202).id
    scanned = wait_for(
        lambda: done(operations_retrieve.sync_detailed(operation_id, client=client), 200),
        lambda operation: operation.state.value not in ("pending", "running"),
    )
    assert isinstance(scanned, ScanOperation) and scanned.state.value == "completed", scanned
    assert scanned.result.found == len(photos) + 1 and not scanned.result.additional_properties

    export = done(
        exports_create.sync_detailed(client=client, body=NewExportRequest(format_=FormatEnum.JSON, library=library.id)),
        202,
    )
    finished = wait_for(
        lambda: done(exports_retrieve.sync_detailed(export.id, client=client), 200),
        lambda export: export.status.value not in ("queued", "running"),
    )
    assert finished.status.value == "completed" and finished.photo_count > len(photos)
    assert done(exports_download.sync_detailed(export.id, client=client), 200).payload.read(2) == b"PK"

    changes = done(events_poll.sync_detailed(client=client, after=begun.cursor), 200)
    assert changes.favourites_changed and [one.id for one in changes.libraries] == [library.id]
    print("done")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
