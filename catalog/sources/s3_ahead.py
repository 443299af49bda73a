"""Opens files of a far source a little ahead of their use, several at once: each costs a wait, but hardly any work."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class OpenAhead(Generic[T]):
    """Use as a context manager: its end closes what was opened for nothing. `open_one` runs in `threads` threads.

    At most `ahead` items are opened beyond those handed out, so that many descriptors (and, of a bucket, copies) exist.
    """

    def __init__(self, open_one: Callable[[T], int], *, threads: int = 8, ahead: int = 16) -> None:
        self._open_one = open_one
        self._ahead = ahead
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="open-ahead")
        self._unused: set[_Opening[T]] = set()
        self._lock = Lock()

    def __enter__(self) -> "OpenAhead[T]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def over(self, items: Iterable[T]) -> Iterator[tuple[T, Callable[[], int]]]:
        """Yield each item in order with its opener, which waits and returns a descriptor for the caller to close.

        The opener raises what `open_one` raises. Called once more, it opens anew. `items` is read by the caller's thread.
        """
        waiting: deque[_Opening[T]] = deque()
        for item in items:
            waiting.append(self._begin(item))
            if len(waiting) > self._ahead:
                yield self._hand_out(waiting.popleft())
        while waiting:
            yield self._hand_out(waiting.popleft())

    def close(self) -> None:
        """Drop what has not begun, wait for what has, and close the descriptors that nobody took."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        while self._unused:
            future = self._unused.pop().future
            if not future.cancelled() and future.exception() is None:
                os.close(future.result())

    def _begin(self, item: T) -> "_Opening[T]":
        opening = _Opening(item, self._threads.submit(self._open_one, item))
        with self._lock:
            self._unused.add(opening)
        return opening

    def _hand_out(self, opening: "_Opening[T]") -> tuple[T, Callable[[], int]]:
        def take() -> int:
            with self._lock:
                is_first = opening in self._unused
                self._unused.discard(opening)
            return opening.future.result() if is_first else self._open_one(opening.item)

        return opening.item, take


class _Opening(Generic[T]):
    def __init__(self, item: T, future: "Future[int]") -> None:
        self.item = item
        self.future = future
