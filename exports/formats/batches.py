"""The loop of a batched export: fetch by key, write, tell the progress, until a batch comes back short."""

from collections.abc import Callable, Iterator, Sized
from typing import TypeVar

BATCH_SIZE = 1000
Key = TypeVar("Key")
Rows = TypeVar("Rows", bound=Sized)


def iterate_batches(fetch: Callable[[Key | None, int], Rows], key_of: Callable[[Rows], Key]) -> Iterator[Rows]:
    """Yield batches of up to 1,000 rows; `fetch(after, limit)` returns the rows after a key (None: from the first).

    `key_of` tells the key of a batch's last row. The next batch is fetched only when the caller is done with the last one,
    and nothing keeps that. Ends after a batch that is shorter than 1,000. Errors of `fetch` pass through.
    """
    after: Key | None = None
    while True:
        batch = fetch(after, BATCH_SIZE)
        count = len(batch)
        if count:
            after = key_of(batch)
            yield batch
        del batch
        if count < BATCH_SIZE:
            return
