"""Start all test servers, run a command with the environment that names them, stop them, return its exit code.

Use: python -m tests.servers run -- COMMAND [ARGUMENT…]
"""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from types import FrameType

from tests.servers.postgres import running_postgres
from tests.servers.processes import ServerMissing
from tests.servers.redis import running_redis
from tests.servers.s3 import running_s3


def main(arguments: list[str]) -> int:
    """Run `arguments` (`run -- COMMAND…`); return its exit code, 2 for wrong use, 3 for a missing server."""
    if arguments[:2] != ["run", "--"] or len(arguments) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    with ExitStack() as servers:
        environment = dict(os.environ)
        try:
            for start in (running_postgres, running_redis, running_s3):
                environment |= servers.enter_context(start())
        except ServerMissing as error:
            print(f"The test servers were not started. {error}", file=sys.stderr)
            return 3
        return _run(arguments[2:], environment)


def _run(command: list[str], environment: dict[str, str]) -> int:
    with subprocess.Popen(command, env=environment) as process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            raise


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)  # through all `finally`, so that no server stays behind


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
