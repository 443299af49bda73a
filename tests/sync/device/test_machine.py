"""Histories of several devices and one server, with faults: nothing acknowledged is lost, all converge, digests are equal.

By hand, with many more examples: `SYNC_EXAMPLES=100 pytest tests/sync/device/test_machine.py`.
`python -m tests.sync.mutants` plants faults into the client and counts those that this machine finds.
"""

import os

from hypothesis import HealthCheck, Phase, settings

from tests.sync.examples import FACTOR
from tests.sync.machine import SyncMachine

TestHistories = SyncMachine.TestCase
TestHistories.settings = settings(
    max_examples=12 * FACTOR,
    stateful_step_count=int(os.environ.get("SYNC_STEPS", "30")),
    deadline=None,
    phases=tuple(Phase) if "SYNC_SHRINK" in os.environ else [Phase.generate],  # making a failure short takes minutes
    database=None,
    suppress_health_check=list(HealthCheck),
)
