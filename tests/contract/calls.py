"""Calls every operation of the API as somebody, with schemathesis: right and wrong requests, made from the schema alone.

By hand, longer and with another seed: `python -m tests.contract.calls --examples 200 --seed 7 [--people alice,charlie,anonymous]`
(with `python -m tests.servers run --` before it on PostgreSQL).
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.contract.site import Site, running_site
from tests.drills.scanning import PROJECT

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
PEOPLE = ("alice", "charlie", "anonymous")
PHASES = "examples,coverage,fuzzing,stateful"


def call_all(site: Site, person: str, *, examples: int, seed: int, folder: Path, phases: str = PHASES) -> str:
    """Call all operations as `person` (of the cast, or "anonymous"); return what schemathesis found, or nothing."""
    signed_in = ["-H", f"Authorization: Token {site.tokens[person]}"] if person in site.tokens else []
    configuration = folder / f"{person}.toml"
    configuration.write_text(CONFIGURATION.read_text().format(**site.ids))
    done = subprocess.run(
        [
            *[str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(configuration)],
            *["run", f"{site.address}/api/v1/schema/", "--seed", str(seed), "--max-examples", str(examples)],
            *["--phases", phases, "--generation-database", "none", "--no-color", *signed_in],
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def main() -> int:
    """Call everything as each of them; return 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", default=",".join(PEOPLE))
    parser.add_argument("--phases", default=PHASES)
    given = parser.parse_args()
    status = 0
    with tempfile.TemporaryDirectory() as name, running_site(Path(name)) as site:
        for person in given.people.split(","):
            found = call_all(
                site, person, examples=given.examples, seed=given.seed, folder=Path(name), phases=given.phases
            )
            print(f"== {person}: {found or 'all as the schema says'}", flush=True)
            status |= bool(found)
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
