"""Hurt every operation at random moments while people go on, on SQLite and on PostgreSQL with Redis; print what survived.

    python -m tests.drills.everything [--points 60] [--seed 1] [--databases sqlite,postgres] [--operations scan,rating]
                                      [--faults child,freeze] [--policies file] [--deterministic] [--clients 300]

As root, with strace, all faults are tried; else those that need neither. A point is one hit. A round has a few of them;
if it loses anything, none of them counts as survived, and it can be run again alone: `--operations X --only SEED`.
Ends with 1 if anything was lost.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import FrameType

from tests.drills.everything import deterministic
from tests.drills.everything.hits import HITS
from tests.drills.everything.rounds import POLICIES, Outcome, run_clients, run_round
from tests.drills.everything.scenarios import SCENARIOS
from tests.drills.everything.world import World

DATABASES = ("sqlite", "postgres")
OWN_MOUNTS = "DRILL_HAS_ITS_OWN_MOUNTS"


def main() -> int:
    """Run what the options ask for; return the exit code."""
    options = parser().parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    if options.database:
        return run_one(options)
    tables: list[tuple[str, str, Counter[str]]] = []
    code = 0
    if options.deterministic:
        code |= deterministic.run()
    for database in options.databases.split(","):
        with tempfile.NamedTemporaryFile(mode="r", suffix=".json") as result:
            words = [sys.executable, "-m", __package__, *sys.argv[1:], "--database", database, "--result", result.name]
            environment = dict(os.environ)
            if os.getuid() == 0 and shutil.which("unshare"):
                words = ["unshare", "--mount", "--propagation", "private", *words]
                environment[OWN_MOUNTS] = "1"
            code |= run(words, environment)
            found = json.loads(result.read() or "{}")
        tables += [(name, database, Counter(counts)) for name, counts in found.items()]
    print_table(tables)
    return 1 if code else 0


def run(words: list[str], environment: dict[str, str]) -> int:
    """Run the drill of one database, which ends with this process; return its exit code."""
    with subprocess.Popen(words, env=environment) as process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            raise


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)  # through all `finally`, so that no server and no worker stays behind


def parser() -> argparse.ArgumentParser:
    """Return what the command line may say."""
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--points", type=int, default=60, help="Hits for each operation on each database.")
    found.add_argument("--hits", type=int, default=6, help="Of a round.")
    found.add_argument("--seed", default="1")
    found.add_argument("--only", default="", help="Run one round: the seed that a loss was printed with.")
    found.add_argument("--databases", default=",".join(DATABASES))
    found.add_argument("--operations", default=",".join(scenario.name for scenario in SCENARIOS))
    found.add_argument("--faults", default=",".join(HITS))
    found.add_argument("--policies", default=",".join(POLICIES))
    found.add_argument("--clients", type=float, default=0.0, help="Four people for so many seconds, on each database.")
    found.add_argument("--deterministic", action="store_true", help="First the drills of one very step each.")
    found.add_argument(
        "--seconds", type=float, default=1e9, help="Begin no further round after so long, on each database."
    )
    found.add_argument("--keep", action="store_true", help="Keep the folder of the last round.")
    found.add_argument("--database", default="", help=argparse.SUPPRESS)
    found.add_argument("--result", default="", help=argparse.SUPPRESS)
    return found


def run_one(options: argparse.Namespace) -> int:
    """Run all rounds on one database, write the counts into the result file; return 1 if anything was lost."""
    can_mount = OWN_MOUNTS in os.environ
    faults = [name for name in options.faults.split(",") if name != "unplug" or can_mount]
    faults = [name for name in faults if name != "errors" or shutil.which("strace")]
    chosen = [scenario for scenario in SCENARIOS if scenario.name in options.operations.split(",")]
    counts: dict[str, Counter[str]] = {scenario.name: Counter() for scenario in chosen}
    until = time.monotonic() + options.seconds
    folder = Path(tempfile.mkdtemp(prefix="drill-"))
    try:
        with World(folder, options.database, can_mount) as world:
            if options.clients:
                outcome = run_clients(
                    world, options.only or options.seed, options.clients, options.policies.split(",")[0]
                )
                counts["clients"] = Counter()
                note(options.database, outcome, counts["clients"])
            number = 0
            waiting = list(chosen)
            while waiting and time.monotonic() < until:
                for scenario in list(waiting):
                    count = counts[scenario.name]
                    hits = options.hits if options.only else min(options.hits, options.points - count["tried"])
                    seed = options.only or f"{options.seed}.{number}"
                    outcome = run_round(world, scenario, seed, hits, faults, options.policies.split(","))
                    note(options.database, outcome, count)
                    is_done = count["tried"] >= options.points or count["rounds"] > options.points
                    if is_done or options.only or time.monotonic() > until:
                        waiting.remove(scenario)
                number += 1
    finally:
        if options.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    Path(options.result).write_text(json.dumps(counts))
    return 1 if any(count["lost"] for count in counts.values()) else 0


def note(database: str, outcome: Outcome, count: Counter[str]) -> None:
    """Print what a round did and count it."""
    print(f"[{database}] {outcome}", flush=True)
    count["rounds"] += 1
    count["tried"] += len(outcome.hits)
    count["survived"] += 0 if outcome.lost else len(outcome.hits)
    count["lost"] += bool(outcome.lost)


def print_table(tables: list[tuple[str, str, Counter[str]]]) -> None:
    """Print operation by database: tried and survived."""
    print(f"\n{'operation':12} {'database':10} {'rounds':>7} {'tried':>7} {'survived':>9}")
    for name, database, counts in tables:
        print(f"{name:12} {database:10} {counts['rounds']:7} {counts['tried']:7} {counts['survived']:9}")
    tried, survived = (sum(counts[name] for _, _, counts in tables) for name in ("tried", "survived"))
    print(f"{tried} points tried, {survived} survived", flush=True)


if __name__ == "__main__":
    sys.exit(main())
