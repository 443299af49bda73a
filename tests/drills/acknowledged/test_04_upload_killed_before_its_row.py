"""A file arrives whole, and the process is killed -9 before the row says so: it is imported all the same."""

import hashlib
import subprocess

from tests.drills.scanning import PROJECT, Installation
from tests.drills.stopping import stopping
from tests.photos import make_jpeg

BEGIN = """
import io
from catalog.importing import requests, uploads
from catalog.models import Library
library = Library.objects.get()
for path in {paths!r}:
    data = open(path, "rb").read()
    name = path.rpartition("/")[2]
    upload = uploads.begin(library.owner, requests.open_batch(library, library.owner), name, len(data))
    uploads.append(upload, 0, io.BytesIO(data).read, len(data), None)
"""
SCHEDULE = """
from catalog.tasks import import_what_waits
from operations.models import Operation
from operations.running import execute
import_what_waits()
for operation in Operation.objects.filter(kind="import", state="pending"):
    assert execute(operation.pk).state == "completed"
"""


def test_what_arrived_whole_is_imported(tmp_path):
    root = tmp_path / "library"
    make_jpeg(root / "old.jpg", seed=900, size=(64, 48))
    sent = make_jpeg(tmp_path / "sent.jpg", seed=1, size=(64, 48), taken="2024:05:17 12:00:00")
    drill = Installation(tmp_path / "data", root)
    drill.prepare()
    drill.finish()
    killed = subprocess.run(
        stopping("catalog.importing.uploads:take_in", "before", "kill", 1, "shell", "-v0", "-c", BEGIN.format(paths=[str(sent)])),
        env=drill.environment, cwd=PROJECT, capture_output=True, check=False,
    )  # fmt: skip
    assert killed.returncode == -9, killed.stderr
    assert drill.ask("SELECT count(*) FROM catalog_importitem") == (0,)
    subprocess.run(drill.manage("shell", "-v0", "-c", SCHEDULE), env=drill.environment, check=True)
    lies = root / "2024" / "05" / "sent.jpg"
    assert hashlib.md5(lies.read_bytes()).digest() == hashlib.md5(sent.read_bytes()).digest()
    assert drill.ask("SELECT count(*) FROM catalog_upload") == (0,)
    assert not [path for path in (tmp_path / "data" / "uploads").rglob("*") if path.is_file()]
