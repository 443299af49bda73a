"""The same key from many threads of several processes, and from a client whose server was killed: the work starts once."""

import subprocess
from pathlib import Path

import pytest

from tests.drills.scanning import Installation

from ..stopping import stopping
from .parallel import at_once, installation_in

ASK = """
from rest_framework.test import APIClient
from accounts.models import User
from operations.models import Operation, StoredAnswer
def one(number):
    client = APIClient(HTTP_HOST="localhost")
    client.force_authenticate(User.objects.get(username="alice"))
    answer = client.post("/api/v1/libraries/{library}/scan/", {{}}, format="json", headers={{"Idempotency-Key": "{key}"}})
    return [answer.status_code, answer.json().get("id") or answer.json()["type"]]
"""
COUNT = """
from operations.models import Operation
def one(number):
    count = Operation.objects.exclude(state="completed").count()
    Operation.objects.filter({over}).update(state="completed")
    return count
"""
STEPS = [
    ("operations.api.idempotency:_keep", "before", 0),
    ("operations.api.idempotency:_done", "after", 0),
    ("operations.wake_up:enqueue", "before", 1),
]
"""Where it is killed, and whether the work is there afterwards."""


def ask(made: Installation, key: str) -> str:
    return ASK.format(library=made.library, key=key)


def count(made: Installation, *, end: bool = False) -> int:
    (found,) = at_once(made, COUNT.format(over="" if end else "pk=None"), 1)
    return found


@pytest.mark.slow
@pytest.mark.repeated
def test_a_key_starts_the_work_once(tmp_path: Path) -> None:
    with installation_in(tmp_path) as made:
        answers = at_once(made, ask(made, "many"), threads=6, processes=2)
        (again,) = at_once(made, ask(made, "many"), 1)
        assert count(made, end=True) == 1 and again[0] == 202
        waits = [409, "urn:photolala:problem:in_progress"]
        assert all(answer in (again, waits) for answer in answers) and again in answers, answers
        for key, (step, when, there) in enumerate(STEPS):
            words = stopping(step, when, "kill", 1, "shell", "-v0", "-c", ask(made, f"{key}") + "\none(0)")
            killed = subprocess.run(words, env=made.environment, capture_output=True, timeout=120)
            assert killed.returncode == -9, killed.stderr.decode()[-2000:]
            assert count(made) == there, step
            first, second = (at_once(made, ask(made, f"{key}"), 1)[0] for _ in range(2))
            assert first[0] == 202 and first == second, step
            assert count(made, end=True) == 1, step
