"""Writers that die or stand still at one very step, in this process: what the drills about writing into files share."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from catalog.edits import dates
from catalog.edits.ratings import set_rating
from catalog.entries import pending_writes
from catalog.files.landing import Landing
from catalog.files.prepared import Prepared
from catalog.files.write import Writing
from catalog.models import FileWrite, Library, Photo
from catalog.sources import hidden
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.edits.test_ratings import tags_of

NOON = datetime(2015, 6, 1, 12)
EVENING = datetime(2016, 7, 2, 18)


class Killed(BaseException):
    """As if the process had ended there."""


def photo(library: Library, name: str = "0.jpg") -> Photo:
    return Photo.objects.select_related("library").get(library=library, filename=name)


def rate(library: Library, stars: int, name: str = "0.jpg") -> None:
    set_rating(library.owner, photo(library, name).pk, stars)


def date(library: Library, when: datetime, name: str = "0.jpg") -> None:
    dates.set_dates(library.owner, dates.plan([photo(library, name)], dates.Setting(when)))


def stars_in(path: Path) -> int:
    return int(tags_of(path).get("XMP-xmp:Rating", 0))


def date_in(path: Path) -> str:
    return str(tags_of(path).get("ExifIFD:DateTimeOriginal", ""))


def hidden_in(library: Library) -> list[str]:
    return [name for name in os.listdir(library.root) if name.startswith(hidden.PREFIX)]


def die_at(patch: pytest.MonkeyPatch, owner: Any, step: str, when: str, number: int = 1) -> None:
    """Let the n-th call of `owner.step` end the writer as kill -9 does: nothing is cleaned up behind it."""
    original, calls = getattr(owner, step), []

    def dying(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == number and when == "before":
            raise Killed
        result = original(*arguments, **named)
        if len(calls) == number:
            raise Killed
        return result

    patch.setattr(owner, step, dying)
    patch.setattr(Prepared, "close", lambda self: None)
    patch.setattr(Writing, "_release", lambda self: None)
    patch.setattr(Landing, "_is_untold", lambda self, swapped: False)


def write_and_die(library: Library, owner: Any, step: str, when: str, number: int = 1) -> None:
    """Let a writer work on the library until it dies at that step."""
    with pytest.MonkeyPatch.context() as patch:
        die_at(patch, owner, step, when, number)
        operation = pending_writes.start_writing(library, library.owner)
        assert operation is not None
        with pytest.raises(Killed):
            execute(operation.pk)
    Operation.objects.filter(pk=operation.pk).update(state=State.FAILED)


def write_all(library: Library) -> dict[str, Any]:
    """Write all that waits; nothing may be left open."""
    FileWrite.objects.update(try_at=timezone.now())
    operation = pending_writes.start_writing(library, library.owner)
    assert operation is not None
    ended = execute(operation.pk)
    assert ended is not None and ended.state == State.COMPLETED, ended and (ended.error, ended.error_detail)
    left = list(FileWrite.objects.filter(state__in=FileWrite.OPEN).values_list("state", "code", "reason"))
    assert left == []
    assert hidden_in(library) == []
    return ended.result


@contextmanager
def frozen_at(owner: Any, step: str, when: str, meanwhile: Callable[[], None]) -> Iterator[list[int]]:
    """Let the first call of `owner.step` stand still while `meanwhile` happens, as a process that is stopped does."""
    original, calls = getattr(owner, step), []

    def standing_still(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        is_first = len(calls) == 1
        if is_first and when == "before":
            meanwhile()
        result = original(*arguments, **named)
        if is_first and when == "after":
            meanwhile()
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, step, standing_still)
        yield calls


def succeed(operation: Operation) -> None:
    """Let another worker take the operation over, whose lease has run out, and finish it."""
    Operation.objects.filter(pk=operation.pk).update(lease_until=timezone.now(), worker="")
    ended = execute(operation.pk)
    assert ended is not None and ended.state == State.COMPLETED, ended and (ended.error, ended.error_detail)
