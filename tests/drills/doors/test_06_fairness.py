"""Two people and real workers: long work of one, however much, lets the other's small import in, and goes on by itself."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.drills.acknowledged.workers import WORKER, at_work, shell, wait_until
from tests.drills.scanning import Installation
from tests.installations import DATABASE, drop_database, put_database
from tests.photos import make_jpeg
from tests.servers.redis import running_redis

PEOPLE = """
from accounts.models import User
from catalog.libraries.adding import add_library
alice, bob = User.objects.create_user('alice'), User.objects.create_user('bob')
add_library(bob, {library!r})
"""
LONG_WORK = """
from accounts.models import User
from operations.running import start
for _ in range({count}):
    start('for_hours', User.objects.get(username='alice'))
"""
SMALL_IMPORT = """
from accounts.models import User
from catalog.importing.requests import start_folder_import
from catalog.models import Library
start_folder_import(Library.objects.get(), User.objects.get(username='bob'), {card!r}, 'keep')
"""
HERS = """
from operations.models import Operation
for one in Operation.objects.filter(kind='for_hours'):
    print(one.state, one.attempts, one.done, repr(one.error), one.metrics.get('turns', {}).get('given', 0))
"""
WORKING_FOR_HOURS = """
import sys, time, uuid
from pathlib import Path
folder = Path(sys.argv.pop(1))
from photolala.celery import app
import django
django.setup()
from operations.kinds import operation_kind

@operation_kind('for_hours', label='Work for hours', queue='scan')
def work_for_hours(run):
    counted = run.operation.checkpoint.get('counted', 0)
    (folder / f'began-{uuid.uuid4()}').touch()
    run.phase('Counting')
    run.advance(counted)
    while not (folder / 'enough').exists():
        counted += 1
        run.advance()
        run.checkpoint(stop=False, counted=counted)
        run.raise_if_stopped()
        time.sleep(0.02)

app.start(sys.argv[1:])
"""


def began(folder: Path) -> int:
    return len(list(folder.glob("began-*")))


def hers(installation: Installation) -> list[str]:
    command = installation.manage("shell", "-v0", "-c", HERS)
    said = subprocess.run(command, env=installation.environment, check=True, capture_output=True, text=True)
    return said.stdout.split("\n")[:-1]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("servers", ["files", pytest.param("postgres and redis", marks=pytest.mark.servers)])
def test_a_small_import_comes_in_beside_as_much_long_work_as_there_are_workers(
    servers: str, workers: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    library, card = tmp_path / "library", tmp_path / "card"
    library.mkdir()
    for number in range(2):
        make_jpeg(card / f"{number}.jpg", seed=number)
    with ExitStack() as stack:
        extra = {"PHOTOLALA_WORKERS": str(workers), "PHOTOLALA_ROOTS": str(tmp_path)}
        server = ""
        if servers != "files":
            server = request.getfixturevalue("postgres_url")
            extra |= stack.enter_context(running_redis())  # of its own: other tests' messages are not for these workers
        extra |= put_database(tmp_path / "data", server, is_empty=True)
        if server:
            stack.callback(drop_database, extra[DATABASE])
        installation = Installation(tmp_path / "data", library, extra=extra)
        shell(installation, PEOPLE.format(library=str(library)))
        command = [sys.executable, "-c", WORKING_FOR_HOURS, str(tmp_path), *WORKER, "-c", str(workers)]
        stack.enter_context(at_work(command, installation, tmp_path / "worker.log"))
        shell(installation, LONG_WORK.format(count=workers))
        wait_until(lambda: began(tmp_path) == workers, "all workers are at her work")
        shell(installation, SMALL_IMPORT.format(card=str(card)))
        wait_until(lambda: len(list(library.glob("*.jpg"))) == 2, "his photos are in his library")
        wait_until(lambda: began(tmp_path) > workers, "her work goes on by itself")
        (tmp_path / "enough").touch()
        wait_until(lambda: all(line.startswith("completed 0 ") for line in hers(installation)), "her work is done")
        lines = hers(installation)
        assert len(lines) == workers and all(" '' " in line for line in lines)
        assert sum(int(line.split()[-1]) for line in lines) >= 1
