"""Run many histories of the state machine with the real server, and say how many: the figures of docs/sync.md.

    python -m tests.sync.histories [--kills | --reference] [--histories 500] [--minutes 60] [--steps 30]

On SQLite, or on PostgreSQL with `python -m tests.servers run --` before it; the database is a new one, and nothing of it is
forced to the disk, since machines are not killed here. `--reference`: with the reference server, without a database.
Prints one JSON object. After a failure it prints the history, and the seed with which `--seed` tells it again.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.installations import drop_database, own_environment, put_database, server_of_the_run

AT_ONCE = 50
"""Histories with one seed, of which the first is the simplest that there is; between them the time is looked at."""


def run(options: argparse.Namespace, machine: Any) -> dict[str, Any]:
    """Run histories until there are enough, or the time is over. Raises what a promise that was broken raises."""
    import hypothesis
    from hypothesis import HealthCheck, Phase, settings
    from hypothesis.stateful import run_state_machine_as_test

    begun, cpu, done = time.monotonic(), time.process_time(), 0
    chance = random.Random(options.seed)
    while done < options.histories and time.monotonic() - begun < 60 * options.minutes:
        count = min(AT_ONCE, options.histories - done)
        seed = options.seed if options.seed is not None and not done else chance.randrange(2**32)
        chosen = settings(
            max_examples=count,
            stateful_step_count=options.steps,
            deadline=None,
            phases=[Phase.generate],
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        try:
            run_state_machine_as_test(hypothesis.seed(seed)(machine), settings=chosen)
        except BaseException:
            print(f"{done} histories before this one were good. Seed: {seed}", file=sys.stderr, flush=True)
            raise
        done += count
        print(
            f"{done} histories, the last seed {seed}, after {time.monotonic() - begun:.0f} s",
            file=sys.stderr,
            flush=True,
        )
    return {"histories": done, "cpu_seconds": round(time.process_time() - cpu), "kills": getattr(machine, "kills", 0)}


@contextmanager
def own_database() -> Iterator[str]:
    """Give this process, which has not set Django up, a new database and data folder while the block runs; yield its kind."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        named = put_database(data, server_of_the_run(), is_empty=True)
        environment = own_environment(data, **named)
        os.environ.clear()
        os.environ.update(environment, DJANGO_SETTINGS_MODULE="photolala.settings")
        import django

        django.setup()
        from django.db import connection, connections

        if connection.vendor == "sqlite":
            options = connection.settings_dict["OPTIONS"]
            options["init_command"] = options["init_command"].replace("synchronous=FULL", "synchronous=OFF")
        try:
            yield connection.vendor
        finally:
            connections.close_all()
            for url in named.values():
                drop_database(url)


def main() -> None:
    """Give the process a database of its own, if it needs one, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    servers = parser.add_mutually_exclusive_group()
    servers.add_argument("--kills", action="store_true", help="kill processes, too")
    servers.add_argument("--reference", action="store_true", help="with the reference server")
    parser.add_argument("--histories", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    if options.reference:
        from tests.sync.machine import SyncMachine

        print(json.dumps({"server": "reference", **run(options, SyncMachine)}), flush=True)
        return
    with own_database() as vendor:
        from tests.sync.server.killed import KilledMachine
        from tests.sync.server.test_machine import RealMachine

        said = run(options, KilledMachine if options.kills else RealMachine)
        print(json.dumps({"database": vendor, **said}), flush=True)


if __name__ == "__main__":
    main()
