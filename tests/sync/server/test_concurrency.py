"""Eight devices push at once, and one pulls meanwhile: its copy misses no row, and every mutation was applied once."""

import threading
import uuid
from typing import Any

import pytest

from accounts.models import User
from changes.scopes import current_epoch
from sync.models import PushedMutation
from sync.protocol.clock import Stamp
from sync.protocol.messages import Mutation, Op, PushRequest
from sync.protocol.messages.mutations import Base
from sync.server.orm import OrmRepository
from sync.server.push import push
from tests.changes.test_concurrency import for_threads, together  # noqa: F401 - a fixture

from .conftest import NOW_MS, Phone
from .things import MODELS, Paper

DEVICES, PUSHES, SHARED = 8, 2, 4


@pytest.fixture
def alice(transactional_db: None, kinds: None) -> Any:
    """The owner of all of it."""
    yield User.objects.create_user("alice")
    for model in MODELS:
        model.objects.all()._raw_delete("default")


@pytest.fixture
def phones(alice: User) -> list[Phone]:
    """Eight of hers, and four papers that all of them change."""
    for number in range(SHARED):
        Paper.objects.create(id=uuid.UUID(int=number + 1), owner=alice.pk)
    return [Phone(alice, f"phone {number}") for number in range(DEVICES)]


def made(mid: int, id: uuid.UUID, stars: int) -> Mutation:
    return Mutation(mid, "paper", str(id), Op.CREATE, None, Stamp(NOW_MS, 0, "p"), {"title": "own", "stars": stars})


def changed(mid: int, id: uuid.UUID, stars: int) -> Mutation:
    return Mutation(mid, "paper", str(id), Op.PATCH, Base(1), Stamp(NOW_MS + mid, 0, "p"), {"stars": stars})


def test_a_reader_beside_eight_pushing_devices_misses_no_row(
    alice: User,
    phones: list[Phone],
    for_threads: None,  # noqa: F811
) -> None:
    epoch = current_epoch()
    shared = [uuid.UUID(int=number + 1) for number in range(SHARED)]
    done = threading.Semaphore(0)
    copy: dict[str, str] = {}

    def writer(number: int) -> None:
        device = phones[number].device
        try:
            for turn in range(PUSHES):
                mid = 3 * turn + 1
                own = uuid.uuid5(device.pk, str(turn))
                both = shared[(number + turn) % SHARED], shared[(number + turn + 2) % SHARED]
                batch = (made(mid, own, turn), *(changed(mid + n, id, number) for n, id in enumerate(both, start=1)))
                request = PushRequest(str(device.pk), epoch, batch)
                first = push(OrmRepository(alice), device, request)
                assert push(OrmRepository(alice), device, request).results == first.results
        finally:
            done.release()

    def reader() -> None:
        repository, cursor, left = OrmRepository(alice), "", DEVICES
        while True:
            while left and done.acquire(blocking=False):
                left -= 1
            page, _ = repository.changes(phones[0].scope, cursor, (), 7)
            cursor = page.cursor
            copy.update({row.id: str(row.version) for row in page.changes})
            if not page.has_more and not page.changes and not left:
                return

    def check() -> None:
        rows = Paper.objects.values_list("pk", "version")
        assert copy == {str(pk): str(version) for pk, version in rows}
        assert len(copy) == len(shared) + DEVICES * PUSHES
        assert PushedMutation.objects.count() == DEVICES * PUSHES * 3

    together(*(lambda number=number: writer(number) for number in range(DEVICES)), reader)
    together(check)
