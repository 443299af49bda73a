"""A writer stands still past its lease, another one takes over, then the first goes on: it changes nothing any more."""

from pathlib import Path

import pytest
from django.utils import timezone

from catalog.entries import pending_writes
from catalog.files import recovery, writer
from catalog.files.claims import Claims
from catalog.files.landing import Landing
from catalog.files.write import Writing
from catalog.models import FileWrite, Library, Photo
from catalog.roots.reach import held_source
from catalog.sources import renaming
from catalog.sources.new_files import NewFile
from catalog.sources.replacing import Replacement
from operations.models import Operation
from operations.running import LeaseLost, claim, execute
from tests.catalog.edits.test_ratings import (
    library,  # noqa: F401
    tags_of,  # noqa: F401
)
from tests.catalog.scanning.test_scan import scan
from tests.drills.acknowledged.writers import (
    EVENING,
    NOON,
    date,
    date_in,
    frozen_at,
    hidden_in,
    photo,
    rate,
    stars_in,
    succeed,
    write_all,
)

pytestmark = pytest.mark.django_db
STEPS = {
    "before it claims": (Claims, "take", "before"),
    "claimed": (Claims, "take", "after"),
    "before it announces": (Landing, "_announced", "before"),
    "before the exchange": (Replacement, "swap", "before"),
    "within the exchange": (renaming, "exchange", "before"),
    "exchanged, not looked at": (renaming, "exchange", "after"),
    "after the exchange": (Replacement, "swap", "after"),
    "before it tells": (Landing, "_tell", "before"),
    "told": (Landing, "_tell", "after"),
    "before it gives back": (Claims, "give_back", "before"),
}


@pytest.fixture
def file(library) -> Path:  # noqa: F811
    return Path(library.root) / "0.jpg"


def facts_of(path: Path) -> tuple[int, int, bytes]:
    facts = path.stat()
    return facts.st_ino, facts.st_mtime_ns, path.read_bytes()


def write_late(library: Library, file: Path, step: tuple, meanwhile) -> None:  # noqa: F811
    """Freeze a writer at the step; `meanwhile` and a whole successor happen; it goes on and changes nothing."""
    operation = pending_writes.start_writing(library, library.owner)
    seen: list[object] = []

    def happen() -> None:
        meanwhile()
        succeed(operation)
        seen.extend([facts_of(file), rows()])

    def rows() -> list[dict]:
        return list(FileWrite.objects.order_by("pk").values())

    with frozen_at(*step, happen):
        execute(operation.pk)
    assert seen, "the step was not reached"
    assert [facts_of(file), rows()] == seen
    assert hidden_in(library) == []
    assert Operation.objects.get(pk=operation.pk).state == "completed"


def agrees(library: Library, file: Path, stars: int) -> None:  # noqa: F811
    row = photo(library)
    assert (stars_in(file), row.rating or 0, row.rating_held) == (stars, stars, False)
    assert scan(library).result["changed"] == 0


@pytest.mark.parametrize("name", STEPS)
def test_the_last_stars_stand_whatever_a_late_writer_does(library, file, name):  # noqa: F811
    before = file.read_bytes()
    rate(library, 5)
    write_late(library, file, STEPS[name], lambda: rate(library, 3))
    agrees(library, file, 3)
    rate(library, 0)
    write_all(library)
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", ["before the exchange", "exchanged, not looked at", "before it tells"])
def test_where_names_cannot_be_exchanged(library, file, name, monkeypatch):  # noqa: F811
    step = (renaming, "exchange", "before") if "looked" in name else STEPS[name]
    monkeypatch.setattr(renaming, "exchange", lambda folder, first, second: False)
    rate(library, 5)
    write_late(library, file, step, lambda: rate(library, 3))
    agrees(library, file, 3)


@pytest.mark.parametrize("name", ["before the exchange", "before it tells"])
def test_dates_stand_too(library, file, name):  # noqa: F811
    date(library, NOON)
    write_late(library, file, STEPS[name], lambda: date(library, EVENING))
    assert date_in(file) == f"{EVENING:%Y:%m:%d %H:%M:%S}"
    assert (photo(library).taken_text, photo(library).taken_held) == (EVENING.isoformat(), False)
    assert scan(library).result["changed"] == 0


@pytest.mark.parametrize("name", ["before the exchange", "after the exchange", "before it tells"])
def test_a_date_that_its_successor_writes_first_stands_beside_the_stars(library, file, name):  # noqa: F811
    rate(library, 5)
    write_late(library, file, STEPS[name], lambda: date(library, NOON))
    agrees(library, file, 5)
    assert date_in(file) == f"{NOON:%Y:%m:%d %H:%M:%S}"


@pytest.mark.parametrize("step", [(NewFile, "swap", "before"), (NewFile, "swap", "after"), STEPS["before it tells"]])
def test_a_new_sidecar(library, file, step):  # noqa: F811
    Library.objects.update(ratings="sidecar")
    library.refresh_from_db()
    before = file.read_bytes()
    rate(library, 5)
    write_late(library, file, step, lambda: rate(library, 3))
    assert file.read_bytes() == before
    assert stars_in(file.with_name("0.jpg.xmp")) == photo(library).rating == 3
    assert scan(library).result["changed"] == 0


@pytest.mark.parametrize("policy", ["sidecar", "file"])
@pytest.mark.parametrize("name", ["before the exchange", "exchanged, not looked at", "before it tells"])
def test_a_sidecar_that_is_there(library, file, policy, name):  # noqa: F811
    Library.objects.update(ratings="sidecar")
    library.refresh_from_db()
    rate(library, 1)
    write_all(library)
    Library.objects.update(ratings=policy)
    library.refresh_from_db()
    rate(library, 5)
    write_late(library, file, STEPS[name], lambda: rate(library, 3))
    assert stars_in(file.with_name("0.jpg.xmp")) == photo(library).rating == 3
    assert stars_in(file) == (3 if policy == "file" else 0)
    assert scan(library).result["changed"] == 0


def test_what_a_late_writer_could_not_write_is_none_of_its_successors_rows(library, file, monkeypatch):  # noqa: F811
    """It was refused, and stands still before it notes that: its successor has written the file by then."""
    refused = []
    original = writer.FileWriter.prepare

    def refuse_once(self, task):
        if not refused:
            refused.append(1)
            raise writer.NotWritten("It cannot be written.", "unsupported", is_lasting=True)
        return original(self, task)

    monkeypatch.setattr(writer.FileWriter, "prepare", refuse_once)
    rate(library, 5)
    write_late(library, file, (Claims, "settle", "before"), lambda: rate(library, 3))
    agrees(library, file, 3)


@pytest.mark.parametrize("step", ["take", "give back", "settle", "announce", "tell"])
@pytest.mark.parametrize("has_claimed", [True, False])
def test_no_row_is_changed_once_the_operation_is_somebody_elses(library, file, step, has_claimed):  # noqa: F811
    """Also where the successor has not come to that file yet."""
    rate(library, 5)
    operation = pending_writes.start_writing(library, library.owner)
    with held_source(library) as source, Writing(claim(operation.pk), library, source) as late:
        (write,) = late.claims.take()
        prepared = late._work(late._task(write, photo(library)), write)
        Operation.objects.filter(pk=operation.pk).update(lease_until=timezone.now(), worker="")
        successor = Claims(claim(operation.pk), library)
        if has_claimed:
            assert [one.pk for one in successor.take()] == [write.pk]
        before = list(FileWrite.objects.values()) + list(Photo.objects.order_by("pk").values())
        steps = {
            "take": late.claims.take,
            "settle": lambda: late.claims.settle(write, writer.NotWritten("No.", "no", is_lasting=True)),
            "announce": lambda: list(late.landing._announced([(write, prepared)])),
            "tell": lambda: late.landing._tell([(write, prepared)]),
        }
        if step == "give back":
            late.claims.give_back()
        else:
            with pytest.raises(LeaseLost):
                steps[step]()
        assert list(FileWrite.objects.values()) + list(Photo.objects.order_by("pk").values()) == before
        prepared.close()


@pytest.mark.parametrize("policy", ["file", "sidecar"])
def test_the_late_exchange_comes_while_its_successor_looks_at_the_file(library, file, policy, monkeypatch):  # noqa: F811
    """The successor has renamed the late writer's version by then: there is nothing to exchange any more."""
    Library.objects.update(ratings=policy)
    library.refresh_from_db()
    place = file if policy == "file" else file.with_name("0.jpg.xmp")
    if policy == "sidecar":
        rate(library, 1)
        write_all(library)
    swap, settle = Replacement.swap, recovery._Recovery._settle_sidecar
    late: list[Replacement] = []
    failed: list[OSError] = []

    def look(self, hidden):
        try:
            swap(late[0])
        except OSError as error:
            failed.append(error)
        return settle(self, hidden)

    def stand_still(self):
        if not late:
            late.append(self)
            rate(library, 3)
            with monkeypatch.context() as patch:
                patch.setattr(recovery._Recovery, "_settle_sidecar", look)
                succeed(operation)
        return swap(self)

    rate(library, 5)
    operation = pending_writes.start_writing(library, library.owner)
    with monkeypatch.context() as patch:
        patch.setattr(Replacement, "swap", stand_still)
        execute(operation.pk)
    assert [type(error) for error in failed] == [FileNotFoundError]
    assert stars_in(place) == photo(library).rating == 3
    assert hidden_in(library) == []
    assert not FileWrite.objects.filter(state__in=FileWrite.OPEN).exists()


def test_another_program_saves_in_the_instant_of_the_exchange_of_a_late_writer(library, file):  # noqa: F811
    """What the exchange displaced is another program's: the successor puts it back and writes into that."""
    from tests.factories import make_jpeg

    other = make_jpeg(seed=78)

    def save() -> None:
        aside = file.with_name("aside")
        aside.write_bytes(other)
        aside.rename(file)

    exchange, calls = renaming.exchange, []
    operation_of: list[Operation] = []

    def interfere(folder: int, first: bytes, second: bytes) -> bool:
        calls.append(1)
        if len(calls) > 1:
            return exchange(folder, first, second)
        save()
        result = exchange(folder, first, second)
        succeed(operation_of[0])  # it finds the other program's version under the hidden name
        assert file.read_bytes() == other
        return result

    rate(library, 5)
    operation_of.append(pending_writes.start_writing(library, library.owner))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(renaming, "exchange", interfere)
        execute(operation_of[0].pk)
    assert file.read_bytes() == other
    assert hidden_in(library) == []
    assert FileWrite.objects.get().code == "changed"
    scan(library)
    write_all(library)
    agrees(library, file, 5)
