"""Fill an installation with people and one of everything that the API's addresses name; prints tokens and ids as JSON."""

import base64
import json
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import django

django.setup()  # before anything that imports models

from django.core.management import call_command
from rest_framework.test import APIClient

import photolala.celery  # noqa: F401
from accounts.models import User
from operations.running import execute

API = "/api/v1/"


class Person:
    """Somebody with a device."""

    def __init__(self, name: str, **rights: bool) -> None:
        user = User.objects.create_user(name, password=f"{name}-password-1", **rights)
        self.client = APIClient(headers={"host": "localhost"})
        told = {"username": user.username, "password": f"{name}-password-1", "name": "phone"}
        signed_in = self.post("auth/devices/", told)
        self.token, self.device = signed_in["token"], signed_in["id"]
        self.client.credentials(HTTP_AUTHORIZATION=f"Token {self.token}")

    def post(self, path: str, body: Any) -> dict[str, Any]:
        answer = self.client.post(API + path, body, format="json")
        assert answer.status_code < 300, (path, answer.status_code, answer.content)
        return answer.json()

    def get(self, path: str) -> Any:
        answer = self.client.get(API + path)
        assert answer.status_code == 200, (path, answer.status_code, answer.content)
        return answer.json()


def begin_upload(alice: Person, library: str, name: str) -> str:
    """Return the id of an upload that was begun."""
    said = ",".join(
        f"{key} {base64.b64encode(value.encode()).decode()}"
        for key, value in {"filename": name, "library": library}.items()
    )
    answer = alice.client.post(
        f"{API}uploads/",
        headers={"tus-resumable": "1.0.0", "upload-length": "10", "upload-metadata": said},
    )
    assert answer.status_code == 201, answer.content
    return answer["Location"].strip("/").rpartition("/")[2]


def main(root: Path) -> dict[str, Any]:
    """Make it all."""
    alice, bob, charlie = Person("alice"), Person("bob"), Person("charlie")
    library = alice.post("libraries/", {"folder": str(root / "2024"), "name": "Holidays", "ratings": "file"})["id"]
    call_command("scan", library, "--json", stdout=StringIO())
    spare = alice.post("libraries/", {"folder": str(root / "other"), "name": "Other"})["id"]
    alice.post(f"libraries/{library}/members/", {"username": "bob", "role": "viewer"})
    photos = [row["id"] for row in alice.get(f"photos/?library={library}")["results"]]
    alice.post(f"photos/{photos[0]}/favorite/", {"rating": 4})
    trashed = alice.post("photos/trash/", {"photo_ids": photos[-1:], "confirm": 1})["items"][0]["id"]
    write = alice.get("writes/")["results"][0]["id"]
    device_library = alice.post("device-library/", {})["id"]
    asset = {"asset_id": "A/1", "filename": "IMG_1.HEIC", "media_type": "image/heic", "taken_at": "2024-05-17T12:00:00"}
    alice.post(f"libraries/{device_library}/assets/", {"assets": [asset]})
    album = alice.post("albums/", {"title": "Rome"})["id"]
    spare_album = alice.post("albums/", {"title": "Spare"})["id"]
    added = {"items": [{"target_type": "photo", "target_id": key} for key in photos[:2]]}
    items = [one["id"] for one in alice.post(f"albums/{album}/items/", added)["items"]]
    note = alice.post("notes/", {"content": "Hello"})["id"]
    draft = alice.post("drafts/", {"blocks": [{"id": "1", "type": "text", "text": "Hello"}]})["id"]
    batch = alice.post("imports/", {"library": library})["id"]
    exports = []
    for key in (library, spare):
        exports.append(alice.post("exports/", {"format": "json", "library": key}))
        execute(exports[-1]["operation"])
    backups, restores = [], []
    for _ in range(2):
        backups.append(alice.post("backups/", {}))
        execute(backups[-1]["operation"])
        restores.append(alice.post(f"restores/?backup={backups[0]['id']}", {}))
        execute(restores[-1]["operation"])
    destination = alice.post("export-destinations/", {"folder": "family", "name": "Family"})["id"]
    spare_destination = alice.post("export-destinations/", {"folder": "spare", "name": "Spare"})["id"]
    operation = alice.get("operations/")["results"][0]["id"]
    spare_device = alice.post(
        "auth/devices/", {"username": "alice", "password": "alice-password-1", "name": "old phone"}
    )["id"]
    return {
        "tokens": {"alice": alice.token, "bob": bob.token, "charlie": charlie.token},
        "ids": {
            "library": library,
            "device_library": device_library,
            "spare_library": spare,
            "photo": photos[0],
            "trash_item": trashed,
            "write": write,
            "album": album,
            "spare_album": spare_album,
            "item": items[0],
            "note": note,
            "draft": draft,
            "import": batch,
            "upload": begin_upload(alice, library, "a.jpg"),
            "spare_upload": begin_upload(alice, library, "b.jpg"),
            "export": exports[0]["id"],
            "backup": backups[0]["id"],
            "spare_backup": backups[1]["id"],
            "restore": restores[0]["id"],
            "spare_restore": restores[1]["id"],
            "spare_export": exports[1]["id"],
            "destination": destination,
            "spare_destination": spare_destination,
            "operation": operation,
            "snapshot": alice.get(f"libraries/{library}/snapshots/")["results"][0]["md5"],
            "spare_device": spare_device,
            "bob": str(User.objects.get(username="bob").pk),
        },
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
