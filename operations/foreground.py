"""Run an operation in the foreground of a command: progress on a terminal, plain lines or JSON otherwise, exit codes."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from operations.running import execute

from .models import Operation, State

EXIT_FAILURES = 1
EXIT_INTERRUPTED = 130
BAR_WIDTH = 24
LINE_EVERY_SECONDS = 10.0


def add_foreground_arguments(parser: CommandParser) -> None:
    """Add the option `--json` to a command that runs an operation."""
    parser.add_argument("--json", action="store_true", help="Print one JSON object last, and nothing else.")


def run_in_foreground(
    command: BaseCommand, operation: Operation, *, as_json: bool, describe: Callable[[dict[str, Any]], str]
) -> None:
    """Run `operation` here and now, print its result, and leave by the exit codes that scripts rely on.

    0 done · 1 done with failures listed, or failed · 130 interrupted (resumable).
    """
    show = None if as_json else _Progress(command)
    try:
        finished = execute(operation.pk, foreground=True, on_progress=show)
    except KeyboardInterrupt:
        command.stderr.write(f"Interrupted. Nothing is lost: run it again, or resume operation {operation.pk}.")
        sys.exit(EXIT_INTERRUPTED)
    if show:
        show.close()
    if finished is None:
        operation.refresh_from_db()
        if operation.state == State.FAILED:  # given up at the claim: it had killed its worker again and again
            raise CommandError(operation.error, returncode=EXIT_FAILURES)
        raise CommandError(f"Operation {operation.pk} is being run by another worker.")
    if finished.state == State.COMPLETED:
        command.stdout.write(json.dumps(finished.result, ensure_ascii=False) if as_json else describe(finished.result))
        if finished.result.get("failed") or finished.result.get("problem_count"):
            sys.exit(EXIT_FAILURES)
        return
    if as_json:
        failure = {"operation": str(finished.pk), "state": finished.state, "error": finished.error}
        command.stdout.write(json.dumps({**failure, **finished.result}, ensure_ascii=False))
    command.stderr.write(finished.error or f"The operation is {finished.state}.")
    sys.exit(EXIT_INTERRUPTED if finished.state == State.INTERRUPTED else EXIT_FAILURES)


def left_behind(operation: Operation, at_work: str) -> Operation:
    """Return the same work of a process that died, to be run now. CommandError, `at_work`, if somebody is at it."""
    if operation.state == State.RUNNING and not operation.lease_is_dead():
        raise CommandError(f"{at_work} already (operation {operation.pk}).")
    # A person asks for it again, so that earlier deaths do not count against it.
    Operation.objects.filter(pk=operation.pk, token=operation.token).update(attempts=0)
    return operation


class _Progress:
    """A bar on a terminal; otherwise a plain line every ten seconds."""

    def __init__(self, command: BaseCommand) -> None:
        self.command = command
        self.on_terminal = sys.stderr.isatty()
        self.written = 0.0
        self.open = False

    def __call__(self, operation: Operation) -> None:
        now = time.monotonic()
        if now - self.written < (0.1 if self.on_terminal else LINE_EVERY_SECONDS):
            return
        self.written = now
        count = f"{operation.done:,}" + (f" of {operation.total:,}" if operation.total else "")
        rate = f", {operation.rate:,.0f}/s" if operation.rate else ""
        left = f", {operation.eta_seconds:,.0f} s left" if operation.eta_seconds else ""
        line = f"{operation.phase}: {count} {operation.unit}{rate}{left}"
        if not self.on_terminal:
            self.command.stderr.write(line)
            return
        filled = round(BAR_WIDTH * (operation.fraction or 0))
        sys.stderr.write(f"\r\x1b[2K[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {line}")
        sys.stderr.flush()
        self.open = True

    def close(self) -> None:
        """End the progress bar's line, so that what follows starts on a new one."""
        if self.open:
            sys.stderr.write("\n")
