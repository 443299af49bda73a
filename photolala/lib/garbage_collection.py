"""Lets work that makes very many objects, none of them in cycles, run without Python looking for cycles among them."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_cycles_expected() -> Iterator[None]:
    """Stop the search for cycles, for the whole process, until the end of the block; then it continues if it did before.

    What is freed by its count is freed as ever. The block must keep its own memory in bounds.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
