"""A throwaway Redis from the system's packages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis

from tests.servers.processes import ServerMissing, free_port, running, server_folder, wait_until_ready


@contextmanager
def running_redis() -> Iterator[dict[str, str]]:
    """Start Redis, empty and without a disk; yield the environment that names it as the broker."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        raise ServerMissing("Redis is not installed: run `apt-get install redis-server` as root, then try again.")
    port = free_port()
    with server_folder("redis") as folder:
        log = folder / "redis.log"
        command = [program, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
        with running([*command, "--save", "", "--appendonly", "no"], log) as process:
            with Redis(port=port) as client:
                wait_until_ready(client.ping, process, log)
            yield {"PHOTOLALA_BROKER": f"redis://127.0.0.1:{port}/0"}
