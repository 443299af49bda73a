"""A throwaway PostgreSQL from the system's packages."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.servers.processes import ServerMissing, free_port, running, server_folder, wait_until_ready

# Nothing here must outlive a crash, so nothing is forced to the disk.
FAST = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200"]


@contextmanager
def running_postgres() -> Iterator[dict[str, str]]:
    """Start PostgreSQL with an empty database `photolala`; yield the environment that names it."""
    binaries = _binaries()
    user = _unprivileged_user()
    port = free_port()
    with server_folder("postgres") as folder:
        if user:
            shutil.chown(folder, user)
        data = folder / "data"
        _make_cluster(binaries, data, user)
        settings = ["listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={folder}", *FAST]
        command = [str(binaries / "postgres"), "-D", str(data)]
        for setting in settings:
            command += ["-c", setting]
        log = folder / "postgres.log"
        server = f"postgresql://postgres@127.0.0.1:{port}"
        with running(command, log, user=user, stop_signal=signal.SIGQUIT) as process:
            wait_until_ready(lambda: psycopg.connect(f"{server}/postgres").close(), process, log)
            with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
                connection.execute("CREATE DATABASE photolala")
            yield {"PHOTOLALA_DATABASE": f"{server}/photolala"}


def _binaries() -> Path:
    """Return the folder of the newest installed PostgreSQL's programs."""
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if versions:
        return max(versions, key=lambda path: float(path.parent.name))
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    raise ServerMissing("PostgreSQL is not installed: run `apt-get install postgresql` as root, then try again.")


def _unprivileged_user() -> str | None:
    """Return the user to run as: PostgreSQL refuses root. None means: as we are."""
    if os.getuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise ServerMissing(
            "PostgreSQL refuses to run as root, and there is no user `postgres` to run it as."
        ) from None


def _make_cluster(binaries: Path, data: Path, user: str | None) -> None:
    groups = {"user": user, "group": user, "extra_groups": []} if user else {}
    options = ["-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
    done = subprocess.run(
        [str(binaries / "initdb"), "-D", str(data), *options],
        cwd=data.parent, capture_output=True, text=True, check=False, **groups,
    )  # fmt: skip
    if done.returncode:
        raise ServerMissing(f"initdb could not make a database cluster:\n{done.stderr.strip()}")
