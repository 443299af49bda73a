"""How long work without an operation tells how far it is: a wrapper around what it goes through, given as an argument."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from django.core.management.base import BaseCommand

T = TypeVar("T")
LINE_EVERY_SECONDS = 10.0
TERMINAL_EVERY_SECONDS = 0.2


class Progress(Protocol):
    """Called with what is gone through and a word for it; yields the same items, and says meanwhile how many it were."""

    def __call__(self, items: Iterable[T], doing: str) -> Iterable[T]:
        """Return the same items."""


def quietly(items: Iterable[T], doing: str) -> Iterable[T]:
    """Report no progress: the default where no command listens."""
    return items


class CommandProgress:
    """Counts on the standard error of a command: in place on a terminal, else a line every ten seconds."""

    def __init__(self, command: BaseCommand) -> None:
        self._command = command
        self._on_terminal = sys.stderr.isatty()

    def __call__(self, items: Iterable[T], doing: str) -> Iterator[T]:
        every = TERMINAL_EVERY_SECONDS if self._on_terminal else LINE_EVERY_SECONDS
        said = time.monotonic()
        was_said = False
        for count, item in enumerate(items, 1):
            yield item
            if time.monotonic() - said >= every:
                said = time.monotonic()
                was_said = True
                self._say(f"{doing}: {count:,}")
        if was_said and self._on_terminal:
            self._say("", end="")

    def _say(self, line: str, end: str = "") -> None:
        if self._on_terminal:
            sys.stderr.write(f"\r\x1b[2K{line}{end}")
            sys.stderr.flush()
        else:
            self._command.stderr.write(line)
