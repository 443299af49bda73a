"""Eight devices push at once, and one pulls meanwhile: its copy misses no row, and every mutation was applied once."""

import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import OperationalError

from accounts.models import User
from catalog.albums import albums, items, notes
from catalog.models import Note
from changes import scopes
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


class Deadlock(Exception):
    """As the driver of PostgreSQL says it."""

    sqlstate = "40P01"


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


@pytest.fixture
def pair(transactional_db: None) -> list[Phone]:
    """Two of alice's, with the types of the apps. Name it before `for_threads`, which copies what there is."""
    alice = User.objects.create_user("alice")
    return [Phone(alice, f"phone {number}") for number in range(2)]


def test_pushes_that_touch_the_same_scopes_in_opposite_order_are_all_applied(
    pair: list[Phone],
    for_threads: None,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both lock the counter of alice's own things first, then the album's, whatever they changed first."""
    alice, devices = pair[0].user, [phone.device for phone in pair]
    repository, epoch = OrmRepository(alice), current_epoch()
    album, shown, hidden = (uuid.UUID(int=number) for number in (1, 2, 3))
    locked: dict[str, list[str]] = {}
    number = scopes._number

    def noted(scope: str, *rest: Any) -> Any:
        locked.setdefault(threading.current_thread().name, []).append(scope)
        return number(scope, *rest)

    def pushing(place: int, ids: Sequence[tuple[str, uuid.UUID, str]]) -> Callable[[], None]:
        def work() -> None:
            for turn in range(3):
                batch = [
                    Mutation(
                        *(2 * turn + number, kind, str(id), Op.PATCH, Base(1 << 60)),
                        *(Stamp(NOW_MS + turn, place, "p"), {field: f"{place} {turn}"}),
                    )
                    for number, (kind, id, field) in enumerate(ids, start=1)
                ]
                reply = push(repository, devices[place], PushRequest(str(devices[place].pk), epoch, tuple(batch)))
                assert all(result.version for result in reply.results), reply.results
            locked[f"push {place}"] = locked.pop(threading.current_thread().name)

        return work

    def first() -> None:
        albums.create(alice, album, {"title": "Rome"})
        for id in (shown, hidden):
            notes.create(alice, id, {"content": "x"})
        items.add(alice, album, [items.Target(items.NOTE, shown)])
        repository.number([f"album:{album}", f"user:{alice.pk}"])

    def check() -> None:
        assert PushedMutation.objects.count() == 12
        assert Note.objects.get(pk=shown).caption == "0 2" and Note.objects.get(pk=hidden).caption == "1 2"

    together(first)
    monkeypatch.setattr(scopes, "_number", noted)
    one = (("note", shown, "caption"), ("album", album, "description"))
    other = (("album", album, "description"), ("note", hidden, "caption"))
    together(pushing(0, one), pushing(1, other))
    for place in range(2):
        names = locked[f"push {place}"]
        assert set(names) == {f"user:{alice.pk}", f"album:{album}"}
        assert all(name.startswith("user:") for name in names[::2]), names
    together(check)


def test_a_push_that_a_deadlock_ended_is_done_again(pair: list[Phone], monkeypatch: pytest.MonkeyPatch) -> None:
    phone = pair[0]
    number, calls = OrmRepository.number, 0

    def ended_once(self: OrmRepository, names: Any) -> None:
        nonlocal calls
        calls += 1
        number(self, names)
        if calls == 1:
            raise OperationalError("deadlock detected") from Deadlock()

    monkeypatch.setattr(OrmRepository, "number", ended_once)
    monkeypatch.setattr("operations.database_conflicts.PAUSE_SECONDS", 0)
    id = uuid.uuid4()
    result = phone.result(phone.edit("create", id, type="note", content="once"))
    assert (calls, result["status"]) == (2, "applied")
    assert PushedMutation.objects.count() == Note.objects.count() == 1
