"""Histories of several devices with the real server and database: the same machine as for the reference server.

By hand, with many more examples: `SYNC_EXAMPLES=100 pytest tests/sync/server/test_machine.py`, with
`python -m tests.servers run --` before it on PostgreSQL.
"""

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.sync.examples import FACTOR
from tests.sync.machine import SyncMachine

from .world import RealWorld


class RealMachine(SyncMachine):
    """The machine, with another world."""

    make_world = RealWorld  # type: ignore[assignment]


def test_nothing_acknowledged_is_lost_and_all_converge(db: None) -> None:
    run_state_machine_as_test(
        RealMachine,
        settings=settings(
            max_examples=3 * FACTOR,
            stateful_step_count=int(os.environ.get("SYNC_STEPS", "30")),
            deadline=None,
            derandomize=FACTOR == 1,  # the suite tries the same histories each time; others are tried by hand
            phases=tuple(Phase) if "SYNC_SHRINK" in os.environ else [Phase.generate],
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
