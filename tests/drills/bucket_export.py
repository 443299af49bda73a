"""A folder export to a bucket, killed and cut off from its server again and again.

By hand, as root: `python -m tests.drills.bucket_export [--photos 300] [--kills 20] [--stops 5]`. After each end the records
must be true (what is done is there, whole), and what was done once must be the same object to the end: nothing that was
acknowledged is sent again. At the end all photos are there once, each with its bytes. Ends with 1 if not.
"""

import argparse
import hashlib
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from exports.ledger.load import view_ledger
from exports.ledger.records import RecordStatus
from tests.drills.scanning import LIBRARY_ID, Installation
from tests.photos import make_library
from tests.servers.s3 import BUCKET, running_s3, s3_client

PREFIX = "drill"
WORDS = ("export_folder", "--library", LIBRARY_ID, "--destination", f"s3://{BUCKET}/{PREFIX}", "--json")


class Relay:
    """Passes connections on to the server, until it is told to cut them all and to take no more."""

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._listener: socket.socket | None = None
        self.port = 0
        self.start()

    def start(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self.port, self._listener = listener.getsockname()[1], listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def stop(self) -> None:
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for pair in list(self._pairs):
            self._cut(pair)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
                pair = (client, socket.create_connection(self._server))
            except OSError:
                return
            self._pairs.add(pair)
            threading.Thread(target=self._pass_on, args=(pair,), daemon=True).start()

    def _pass_on(self, pair: tuple[socket.socket, socket.socket]) -> None:
        try:
            while True:
                for ready in select.select(pair, [], [])[0]:
                    data = ready.recv(1 << 16)
                    if not data:
                        return
                    pair[ready is pair[0]].sendall(data)
        except (OSError, ValueError):
            return
        finally:
            self._cut(pair)

    def _cut(self, pair: tuple[socket.socket, socket.socket]) -> None:
        self._pairs.discard(pair)
        for one in pair:
            one.close()


class Drill:
    """One installation, one bucket, and what was acknowledged so far."""

    def __init__(self, folder: Path, environment: dict[str, str], photos: int) -> None:
        self.relay = Relay(urlsplit(environment["PHOTOLALA_S3_ENDPOINT"]).port or 80)
        named = {name: value for name, value in environment.items() if name.startswith("PHOTOLALA_S3_")}
        named["PHOTOLALA_S3_ENDPOINT"] = f"http://127.0.0.1:{self.relay.port}"
        self.installation = Installation(folder / "data", make_library(folder / "photos", photos), extra=named)
        self.installation.prepare()
        self.installation.finish()
        self.client = s3_client(environment)
        self.digests = {hashlib.md5(path.read_bytes()).hexdigest() for path in (folder / "photos").rglob("*.JPG")}
        self.acknowledged: dict[str, Any] = {}
        self.faults: list[str] = []

    def start(self) -> "subprocess.Popen[bytes]":
        words = self.installation.manage(*WORDS)
        return subprocess.Popen(
            words, env=self.installation.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def objects(self) -> dict[str, tuple[str, Any]]:
        """Return ETag and time of each copy by its key."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{PREFIX}/")
        found = [one for page in pages for one in page.get("Contents", ())]
        return {
            one["Key"]: (one["ETag"].strip('"'), one["LastModified"])
            for one in found
            if "/ExportRecords/" not in one["Key"]
        }

    def wait_for(self, count: int, process: "subprocess.Popen[bytes]") -> None:
        """Return when there are so many copies, or the export has ended."""
        while process.poll() is None and len(self.objects()) < count:
            time.sleep(0.05)

    def check(self, moment: str) -> int:
        """Note what is wrong now; return how many copies are acknowledged."""
        objects = self.objects()
        for folder in self.installation.data.glob("exports/*/records/*/ExportRecords"):
            for record in view_ledger(folder).state.sorted_records():
                if record.status is RecordStatus.DONE:
                    key = f"{PREFIX}/{record.rel_path}{record.filename}"
                    if objects.get(key, ("",))[0] != record.extra["photoMD5"]:
                        self.faults.append(f"{moment}: {key} is recorded, but not there, or not whole.")
                    elif self.acknowledged.setdefault(key, objects[key]) != objects[key]:
                        self.faults.append(f"{moment}: {key} was sent again.")
        self.faults += [f"{moment}: {key} was gone." for key in self.acknowledged if key not in objects]
        self.faults += [f"{moment}: {key} is half." for key, (etag, _) in objects.items() if etag not in self.digests]
        return len(self.acknowledged)


def main() -> int:
    """Run the drill; print each end and what was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, count in (("photos", 300), ("kills", 20), ("stops", 5)):
        parser.add_argument(f"--{name}", type=int, default=count)
    wanted = parser.parse_args()
    randomness = random.Random(7)
    with tempfile.TemporaryDirectory() as folder, running_s3() as environment:
        drill = Drill(Path(folder), environment, wanted.photos)
        ends = ["kill"] * wanted.kills + ["stop"] * wanted.stops
        randomness.shuffle(ends)
        for number, end in enumerate(ends, start=1):
            process = drill.start()
            drill.wait_for(number * wanted.photos // (len(ends) + 1), process)
            time.sleep(randomness.uniform(0, 0.3))
            if end == "kill":
                process.send_signal(signal.SIGKILL)
            else:
                drill.relay.stop()
            process.communicate(timeout=600)
            if end == "stop":
                drill.relay.start()
            print(
                f"{number}: {end}, {drill.check(f'{end} {number}')} acknowledged, {len(drill.faults)} faults",
                flush=True,
            )
        process = drill.start()
        out, err = process.communicate(timeout=1200)
        print(out.decode().strip() or err.decode()[-2000:])
        drill.check("the end")
        if {etag for etag, _ in drill.objects().values()} != drill.digests or len(drill.objects()) != wanted.photos:
            drill.faults.append(f"There are {len(drill.objects())} copies of {wanted.photos} photos.")
        uploads = drill.client.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{PREFIX}/").get("Uploads", [])
        drill.faults += [f"An upload of {one['Key']} was left." for one in uploads]
    print("\n".join(drill.faults) or "All is as it should be.")
    return 1 if drill.faults or process.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
