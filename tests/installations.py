"""Databases for installations in processes of their own: migrated once in a test process, then copied for each.

A migration takes seconds of a core, a copy a few milliseconds.
"""

import atexit
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import uuid
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

import psycopg

from tests.selection import may_use_the_servers

PROJECT = Path(__file__).resolve().parents[1]
LIBRARY_ID = "5f0c2f8e-3d1b-4c55-9a41-0e6d3a1f7c10"
DATABASE = "PHOTOLALA_DATABASE"
PEOPLE = f"""
from accounts.models import User
from catalog.models import Library
alice = User.objects.create_user("alice")
Library.objects.create(id="{LIBRARY_ID}", owner=alice, name="Drill", root="/nowhere")
"""


def server_of_the_run() -> str:
    """Return the URL of the PostgreSQL database that this run of the tests uses, for other processes; empty on SQLite."""
    may_use_the_servers()
    url = os.environ.get(DATABASE, "")
    return url if url.startswith("postgres") else ""


def put_database(data: Path, server: str = "", *, is_empty: bool = False) -> dict[str, str]:
    """Give the data folder `data` a migrated database; return the variables that name it, beside PHOTOLALA_DATA.

    It holds the user alice and the library `LIBRARY_ID`, whose root has to be set, or nothing if `is_empty`. With the URL
    of a PostgreSQL database in `server` it is a new one of that server, which `drop_database` removes.
    """
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not server:
        shutil.copy(_file(is_empty), data / "photolala.sqlite3")
        return {}
    name = f"installation_{uuid.uuid4().hex}"
    _execute(server, f"CREATE DATABASE {name} TEMPLATE {_template(server, is_empty)}")
    return {DATABASE: _beside(server, name)}


def drop_database(url: str) -> None:
    """Remove the PostgreSQL database that `put_database` made, also while processes use it."""
    _execute(_beside(url, "postgres"), f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")


def own_environment(data: Path, **extra: str) -> dict[str, str]:
    """Return the environment for processes of an installation, without what a shell or the run has set for another."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PHOTOLALA_")}
    return {**kept, "PHOTOLALA_DATA": str(data), **extra}


@cache
def _file(is_empty: bool) -> Path:
    """Return a SQLite database to be copied; it has no journal beside it, because the last process closed it."""
    folder = Path(tempfile.mkdtemp(prefix="photolala-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "photolala.sqlite3"
    if is_empty:
        _manage(own_environment(folder), "migrate", "-v0")
    else:
        shutil.copy(_file(is_empty=True), path)
        _manage(own_environment(folder), "shell", "-v0", "-c", PEOPLE)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    return path


@cache
def _template(server: str, is_empty: bool) -> str:
    """Return the name of a PostgreSQL database to be copied."""
    name = f"template_{uuid.uuid4().hex}"
    source = "template1" if is_empty else _template(server, is_empty=True)
    _execute(server, f"CREATE DATABASE {name} TEMPLATE {source}")
    atexit.register(_drop_if_there, _beside(server, name))
    with tempfile.TemporaryDirectory() as folder:
        environment = own_environment(Path(folder), **{DATABASE: _beside(server, name)})
        _manage(environment, *(("migrate", "-v0") if is_empty else ("shell", "-v0", "-c", PEOPLE)))
    return name


def _drop_if_there(url: str) -> None:
    with suppress(psycopg.OperationalError):  # the server has been stopped
        drop_database(url)


def _manage(environment: dict[str, str], *words: str) -> None:
    subprocess.run(
        [sys.executable, str(PROJECT / "manage.py"), *words], env=environment, check=True, capture_output=True
    )


def _beside(server: str, name: str) -> str:
    return f"{server.rpartition('/')[0]}/{name}"


def _execute(server: str, statement: str) -> None:
    with psycopg.connect(_beside(server, "postgres"), autocommit=True) as connection:
        connection.execute(statement)
