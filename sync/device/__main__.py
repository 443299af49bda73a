"""Albums and stars of a server on the command line: `python -m sync.device sync`. Other clients are written after this one.

Everything but `sync` and `watch` works without a network: it reads and writes the store; the next `sync` sends what waits.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sync.protocol.ids import album_item_id, favourite_id
from sync.protocol.positions import position_after

from .client import Client
from .http import HttpTransport
from .status import SyncResult

KINDS = frozenset({"album", "albumItem", "favourite"})
"""What this program pulls. Photos are not among them, so items are listed by the ids of their photos."""


def sync(client: Client, words: list[str]) -> None:
    """Push and pull once."""
    _report(client.sync())


def watch(client: Client, words: list[str]) -> None:
    """Push and pull every 30 s; after failures at the pace of the retry ladder."""
    while True:
        result = client.sync(now=False)
        _report(result)
        if not client.status().is_enabled:
            return  # the token is not valid any more: a person has to sign in
        next_try_ms = client.status().next_try_ms or 0
        time.sleep(
            max(30, next_try_ms / 1000 - time.time()) if result.success else max(1, next_try_ms / 1000 - time.time())
        )


def albums(client: Client, words: list[str]) -> None:
    """List albums: id, number of items, title."""
    counts: dict[str, int] = {}
    for _, item in client.items("albumItem"):
        counts[str(item.get("albumId"))] = counts.get(str(item.get("albumId")), 0) + 1
    for id, album in client.items("album"):
        print(f"{id}  {counts.get(id, 0):6}  {album.get('title')}")


def new_album(client: Client, words: list[str]) -> None:
    """TITLE: make an album."""
    print(client.create("album", {"title": words[0]}))


def rename(client: Client, words: list[str]) -> None:
    """ALBUM TITLE: give an album another title."""
    client.patch("album", words[0], {"title": words[1]})


def add(client: Client, words: list[str]) -> None:
    """ALBUM PHOTO: put a photo at the end of an album."""
    album, photo = words
    places = [str(item.get("position")) for _, item in client.items("albumItem") if item.get("albumId") == album]
    fields = {
        "albumId": album,
        "targetType": "photo",
        "targetId": photo,
        "position": position_after(max(places, default="")),
    }
    client.create("albumItem", fields, album_item_id(album, "photo", photo))


def remove(client: Client, words: list[str]) -> None:
    """ALBUM PHOTO: take a photo out of an album."""
    client.delete("albumItem", album_item_id(words[0], "photo", words[1]))


def stars(client: Client, words: list[str]) -> None:
    """List stars: number, id of the photo."""
    for _, star in client.items("favourite"):
        print(f"{star.get('rating')}  {star.get('photoId')}")


def star(client: Client, words: list[str]) -> None:
    """PHOTO NUMBER: give a photo 1 to 5 stars, or 0 to take them away."""
    photo, rating = words[0], int(words[1])
    user = client.store.recall("user")
    if user is None:
        raise ValueError("Run `sync` first: the store does not know yet whose it is.")
    id = favourite_id(user, photo)
    if rating:
        client.create("favourite", {"photoId": photo, "rating": rating}, id)
    else:
        client.delete("favourite", id)


def status(client: Client, words: list[str]) -> None:
    """Show what waits, what was refused, and the last error, as JSON."""
    print(json.dumps({**client.status().to_wire(), "refusedEdits": client.refused()}, indent=2))


def confirm(client: Client, words: list[str]) -> None:
    """Let deletions take effect that wait because they are many."""
    client.confirm_deletions()


COMMANDS: dict[str, tuple[Callable[[Client, list[str]], None], int]] = {
    "sync": (sync, 0), "watch": (watch, 0), "albums": (albums, 0), "new-album": (new_album, 1), "rename": (rename, 2),
    "add": (add, 2), "remove": (remove, 2), "stars": (stars, 0), "star": (star, 2), "status": (status, 0),
    "confirm": (confirm, 0),
}  # fmt: skip


def _report(result: SyncResult) -> None:
    print(json.dumps(result.to_wire()), flush=True)


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code: 0, 1 if the server or the store failed, 2 for what cannot be meant."""
    lines = [f"  {name:10} {command.__doc__}" for name, (command, _) in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        "sync.device", description="\n".join(lines), formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--store", type=Path, default=Path("photolala.sqlite"), help="the file that holds everything")
    parser.add_argument("--url", default=os.environ.get("PHOTOLALA_URL", "http://127.0.0.1:8000"))
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("words", nargs="*")
    options = parser.parse_args(arguments)
    command, count = COMMANDS[options.command]
    if len(options.words) != count:
        parser.error(f"{options.command} takes {count} words. {command.__doc__}")
    try:
        transport = HttpTransport(options.url, os.environ.get("PHOTOLALA_TOKEN", "-"))
        client = Client(options.store, transport, kinds=KINDS)
        command(client, options.words)
    except (ValueError, KeyError) as error:
        print(error.args[0], file=sys.stderr)
        return 2
    return 1 if options.command in {"sync", "watch"} and client.status().has_errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
