"""Two devices that are seven days apart: thousands of edits on each of the same notes, then they meet on the real server.

    python -m tests.sync.apart [--notes 1000] [--edits 5000]

On SQLite, or on PostgreSQL with `python -m tests.servers run --` before it; the database is a new one. Prints one JSON object.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sync.device.client import Client

DAYS = 7
DELETED_EVERY = 50
"""Of so many notes one is deleted on each side in the end, though the other side has written in it."""


@dataclass
class Side:
    """A device, and what its person wrote that must be found: words, and the last caption of each note."""

    name: str
    client: Client
    deletes: int
    words: dict[str, set[str]]
    captions: dict[str, str]

    def edit(self, turn: int, id: str) -> None:
        """Write a word into a note: at its end, at its beginning, or as its caption."""
        word = f"<{self.name}{turn}>"
        content = str((self.client.get("note", id) or {})["content"])
        match turn % 5:
            case 0:
                self.client.patch("note", id, {"caption": word})
                self.captions[id] = word
                return
            case 1 | 2:
                self.client.patch("note", id, {"content": f"{content} {word}"})
            case _:
                self.client.patch("note", id, {"content": f"{word} {content}"})
        self.words[id].add(word)

    def delete(self, id: str) -> None:
        """Delete a note, and all that was written into it here."""
        self.client.delete("note", id)
        del self.words[id]
        self.captions.pop(id, None)


def edits_of(ids: list[str], count: int) -> Iterator[tuple[int, str]]:
    """Give (number, note): `count` edits, a note after the other, each kind of edit for each note in turn."""
    for number in range(count):
        yield number + number // len(ids), ids[number % len(ids)]


def apart(world: Any, folder: Path, notes: int, edits: int) -> dict[str, Any]:
    """Let two devices of a person write apart, meet on the server of `world`, and a third one see it.

    Return how long meeting took, and how many texts were looked for. AssertionError if one is lost, or devices differ.
    """
    world.page_rows, world.most_mutations = 1000, 500
    clients = [
        Client(
            folder / f"{number}.sqlite",
            world.connect(number)[1],
            wall_ms=world.now,
            chance=lambda: 0.5,
            is_durable=False,
        )
        for number in range(3)
    ]
    with closing(clients[0]), closing(clients[1]), closing(clients[2]):
        assert clients[0].sync().success
        ids = [clients[0].create("note", {"content": "At first.", "caption": "c"}) for _ in range(notes)]
        phone, tablet = (
            Side(name, client, place, {id: set() for id in ids}, {})
            for name, client, place in zip("pt", clients, (7, 9), strict=False)
        )
        assert phone.client.sync().success and tablet.client.sync().success
        started = time.process_time()
        for turn, id in edits_of(ids, edits):
            phone.edit(turn, id)
            tablet.edit(turn, id)
            world.pass_time(DAYS * 86_400_000 // edits)
        for side in (phone, tablet):
            for id in ids[side.deletes :: DELETED_EVERY]:
                side.delete(id)
        written = time.process_time()
        results = [side.client.sync() for side in (phone, tablet, phone, tablet)]
        results.append(clients[2].sync())
        met = time.process_time()
        assert all(result.success for result in results), results
        looked_for = check(world, clients, (phone, tablet), set(ids))
    return {
        "notes": notes,
        "edits_of_each": edits,
        "texts_found": looked_for,
        "conflicts_resolved": sum(result.conflicts_resolved for result in results),
        "writing_cpu_seconds": round(written - started, 1),
        "meeting_cpu_seconds": round(met - written, 1),
    }


def check(world: Any, clients: list[Client], sides: tuple[Side, Side], ids: set[str]) -> int:
    """Compare the devices and the server, and look for all texts; return for how many."""
    live = {id: fields for (type, id), fields in world.live().items() if type == "note"}
    for client in clients:
        assert dict(client.items("note")) == live
        assert client.status().pending_uploads == {} and client.refused() == [] and client.verify() == []
    assert ids <= set(live), "an edit beats a deletion that has not seen it"
    kept = " ".join([*world.live_texts(), *(str(fields["caption"]) for fields in live.values())])
    words = [word for side in sides for id in side.words for word in side.words[id]]
    wanted = [*words, *(word for side in sides for word in side.captions.values())]
    lost = [word for word in wanted if word not in kept]
    assert not lost, f"lost: {lost[:20]}"
    return len(wanted)


def main() -> None:
    """Give the process a database of its own, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--notes", type=int, default=1000)
    parser.add_argument("--edits", type=int, default=5000, help="on each of the two devices")
    options = parser.parse_args()
    from tests.sync.histories import own_database

    with own_database() as vendor, tempfile.TemporaryDirectory() as folder:
        from tests.sync.server.world import RealWorld

        said = apart(RealWorld(), Path(folder), options.notes, options.edits)
        print(json.dumps({"database": vendor, **said}), flush=True)


if __name__ == "__main__":
    main()
