"""The supervisor: what it does for processes that are not its own."""

import os
import subprocess
import sys

from photolala.lib.supervisor import Program, Supervisor

ORPHANAGE = """
import ctypes, subprocess, sys, time
from photolala.lib.supervisor import Supervisor
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: inherit orphans, as the first process of a container does
parent = subprocess.Popen([sys.executable, "-c", "import os; os.fork() and os._exit(0)"])
parent.wait()
supervisor, buried = Supervisor([]), 0
for _ in range(500):
    buried += supervisor.reap_orphans()
    if buried:
        break
    time.sleep(0.01)
print(buried)
"""


def test_orphans_are_buried():
    done = subprocess.run([sys.executable, "-c", ORPHANAGE], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "1", done.stderr


def test_the_exit_status_of_its_own_program_is_left_to_it():
    supervisor = Supervisor([Program("own", [sys.executable, "-c", "raise SystemExit(7)"])])
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])
    supervisor.programs[0].process = process
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    supervisor.reap_orphans()
    assert process.wait() == 7
