"""Opening ahead: in order, several at once, no more than told, and nothing stays open."""

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Event, Lock

import pytest

from catalog.sources.s3_ahead import OpenAhead


def open_count(folder: Path) -> int:
    """Return how many files of `folder` are open; other tests' descriptors come and go as they like."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            count += os.readlink(link).startswith(f"{folder}/")
        except FileNotFoundError:
            continue
    return count


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(40):
        (tmp_path / str(number)).write_text(str(number))
    return tmp_path


def read(descriptor: int) -> int:
    with open(descriptor) as file:
        return int(file.read())


def test_each_item_comes_in_order_with_its_own_file(folder: Path) -> None:
    with OpenAhead(lambda number: os.open(folder / str(number), os.O_RDONLY)) as ahead:
        assert [(number, read(take())) for number, take in ahead.over(range(40))] == [(n, n) for n in range(40)]
    assert open_count(folder) == 0


def test_openers_may_be_called_after_all_were_handed_out(folder: Path) -> None:
    with OpenAhead(lambda number: os.open(folder / str(number), os.O_RDONLY), ahead=3) as ahead:
        pairs = list(ahead.over(range(10)))
        assert [read(take()) for _, take in pairs] == list(range(10))


def test_several_are_opened_at_once(folder: Path) -> None:
    together = Barrier(4, timeout=20)  # is passed only when four wait at it

    def open_one(number: int) -> int:
        together.wait()
        return os.open(folder / str(number), os.O_RDONLY)

    with OpenAhead(open_one, threads=4) as ahead:
        assert [read(take()) for _, take in ahead.over(range(8))] == list(range(8))


def test_no_more_than_told_are_opened_ahead(folder: Path) -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        for number in range(40):
            asked.append(number)
            yield number

    with OpenAhead(lambda number: os.open(folder / str(number), os.O_RDONLY), ahead=5) as ahead:
        walk = ahead.over(items())
        for used in range(1, 10):
            _, take = next(walk)
            read(take())
            assert len(asked) == used + 5


def test_an_error_is_its_own_files_and_comes_when_it_is_opened(folder: Path) -> None:
    (folder / "3").unlink()
    with OpenAhead(lambda number: os.open(folder / str(number), os.O_RDONLY)) as ahead:
        found = []
        for number, take in ahead.over(range(6)):
            try:
                found.append(read(take()))
            except FileNotFoundError:
                found.append(-number)
    assert found == [0, 1, 2, -3, 4, 5]


def test_a_second_call_opens_anew(folder: Path) -> None:
    with OpenAhead(lambda number: os.open(folder / str(number), os.O_RDONLY)) as ahead:
        ((_, take),) = ahead.over([7])
        first, second = take(), take()
        assert first != second
        assert read(first) == read(second) == 7
    assert open_count(folder) == 0


def test_what_nobody_took_is_closed_and_what_has_not_begun_is_dropped(folder: Path) -> None:
    lock, begun, may_go_on = Lock(), [], Event()

    def open_one(number: int) -> int:
        with lock:
            begun.append(number)
        if number:
            may_go_on.wait(20)
        return os.open(folder / str(number), os.O_RDONLY)

    with pytest.raises(KeyError), OpenAhead(open_one, threads=2) as ahead:
        for _, take in ahead.over(range(40)):
            read(take())
            may_go_on.set()
            raise KeyError
    assert open_count(folder) == 0
    assert 0 in begun
