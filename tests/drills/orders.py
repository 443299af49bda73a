"""Decode the files of a folder in many random orders: what is told and drawn of each must not depend on the order.

`python -m tests.drills.orders FOLDER [--orders 20] [--seed 1]`: half of the orders with one decoder, half with three. Prints
what differs; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from catalog.media.pool import DecoderPool
from catalog.media.results import DigestResult, to_wire
from catalog.media.task import Job
from catalog.sources.kinds import is_media_name

_OF_THE_PROCESS = ("short_of_memory",)
"""Says that a better decoder may do better; not a part of a row."""


def main() -> None:
    """Run the drill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--orders", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    paths = sorted(path for path in options.folder.rglob("*") if path.is_file() and is_media_name(path.name))
    first: dict[str, str] = {}
    wrong = 0
    for number in range(options.orders):
        order = paths[:]
        random.Random(options.seed * 1000 + number).shuffle(order)
        processes = 1 if number % 2 == 0 else 3
        told = dict(_told(order, processes))
        first = first or told
        differing = [path for path in first if told.get(path) != first[path]]
        wrong += len(differing)
        print(f"order {number + 1}, {processes} decoders: {len(told)} files, {len(differing)} differ", flush=True)
        for path in differing:
            print(f"  {path}\n    {first[path]}\n    {told.get(path)}", flush=True)
    sys.exit(1 if wrong else 0)


def _told(paths: list[Path], processes: int) -> Iterator[tuple[str, str]]:
    with DecoderPool(processes) as pool:
        for job, result in pool.digest(_jobs(paths)):
            yield str(job.key), _as_text(result)


def _jobs(paths: list[Path]) -> Iterator[Job]:
    for path in paths:
        params = {"zone": "Europe/Berlin", "mtime_ns": 1_600_000_000_000_000_000, "size_bytes": path.stat().st_size}
        yield Job(str(path), path.name, partial(os.open, path, os.O_RDONLY), params)


def _as_text(result: DigestResult) -> str:
    wire = {name: value for name, value in to_wire(result).items() if name not in _OF_THE_PROCESS}
    thumbnail = hashlib.md5(result.thumbnail or b"", usedforsecurity=False).hexdigest()
    return f"{thumbnail} {sorted(wire.items())}"


if __name__ == "__main__":
    main()
