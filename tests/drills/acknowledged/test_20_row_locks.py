"""Also: all lock rows in one order, so that no deadlock ends a transaction; and what the database ends in passing goes on."""

import sqlite3
import threading
import time
from contextlib import contextmanager
from uuid import UUID

import pytest
from django.db import OperationalError, connection, transaction
from django.test import Client

from accounts.models import User
from catalog.edits import stars
from catalog.files import trash_rows
from catalog.files.trash import trash_photos
from catalog.files.trash_leases import Mover
from catalog.history import publish
from catalog.history.restore import start_restore
from catalog.libraries.members import set_member
from catalog.models import Favourite, FileWrite, Photo, Snapshot, TrashItem
from operations import database_conflicts
from operations.kinds import KINDS, Kind
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.scanning.test_rebuild import library  # noqa: F401
from tests.factories import make_library

transactional = pytest.mark.django_db(transaction=True)
PATIENCE_SECONDS = 30.0


class Beside:
    """Somebody else's transaction, in a thread; `begin` returns when it waits for a lock, or is done.

    Where only one transaction writes at a time, as in SQLite, it begins when the other one is over.
    """

    def __init__(self, work):
        self.work, self.error, self.process, self.thread = work, None, None, threading.Thread(target=self._run)
        self.is_at_work = threading.Event()

    def _run(self):
        try:
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_backend_pid()")
                    (self.process,) = cursor.fetchone()
            self.is_at_work.set()
            with transaction.atomic():
                self.work()
        except Exception as error:
            self.error = error
        finally:
            connection.close()

    def begin(self):
        if self.thread.ident is not None or not connection.features.has_select_for_update:
            return
        self.thread.start()
        assert self.is_at_work.wait(PATIENCE_SECONDS)
        until = time.monotonic() + PATIENCE_SECONDS
        while self.thread.is_alive() and not self._waits():
            assert time.monotonic() < until
            time.sleep(0.01)

    def _waits(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted", [self.process])
            return cursor.fetchone()[0] > 0

    def end(self):
        if self.thread.ident is None:
            self.thread.start()
        self.thread.join(PATIENCE_SECONDS)
        assert not self.thread.is_alive() and self.error is None, self.error


@contextmanager
def beside(monkeypatch, owner, name, work):
    """Let `work` begin in another transaction right after the first call of a method, and come to its end."""
    other, real, calls = Beside(work), getattr(owner, name), []

    def called(*arguments, **named):
        result = real(*arguments, **named)
        calls.append(name)
        other.begin()
        return result

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, called)
        yield
    assert calls
    other.end()


def photos_of(library):  # noqa: F811
    return list(Photo.objects.filter(library=library).order_by("pk"))


@transactional
@pytest.mark.parametrize("what", ["filed", "trashed", "restored"])
def test_whoever_writes_where_a_photo_lies_holds_it_before_its_trash_item(library, monkeypatch, what):  # noqa: F811
    photo = photos_of(library)[0]

    def begin_another():
        with Mover() as other:
            trash_rows.begin(library, library.owner, [photo.pk], other, {photo.pk: "elsewhere"})

    def follow():  # as a scan does where it finds the photo elsewhere
        list(Photo.objects.select_for_update().filter(pk=photo.pk))
        list(TrashItem.objects.select_for_update(of=("self",)).filter(photo=photo.pk))

    with Mover() as mover:
        if what == "filed":
            (item,), _ = trash_rows.begin(library, library.owner, [photo.pk], mover, {photo.pk: "there"})
            with beside(monkeypatch, Mover, "require", begin_another), transaction.atomic():
                trash_rows.write_filed(library, item, "there", photo.filename, mover)
        elif what == "trashed":
            (item,), _ = trash_rows.begin(library, library.owner, [photo.pk], mover)
            queries = type(TrashItem.objects.all())
            with beside(monkeypatch, queries, "update", begin_another), transaction.atomic():
                trash_rows.write_trashed(library, [item], mover)
        else:
            trash_photos(library.owner, [photo.pk])
            item = TrashItem.objects.get()
            assert trash_rows.begin_restoring(item, mover)
            queries = type(TrashItem.objects.all())
            with beside(monkeypatch, queries, "update", follow), transaction.atomic():
                trash_rows.write_restored(library, [(item, item.filename)], mover)


@transactional
def test_own_photos_and_those_of_others_get_their_stars_in_one_order(library, bob, tmp_path, monkeypatch):  # noqa: F811
    own = photos_of(library)[0]
    other = Photo.objects.get(pk=own.pk)
    other.pk, other.library = UUID(int=1), make_library(bob, tmp_path / "others")
    other.save(force_insert=True)
    set_member(other.library, library.owner, "viewer")
    keys = [own.pk, other.pk]

    def hold_both():
        list(Photo.objects.select_for_update().filter(pk__in=keys).order_by("pk"))

    with beside(monkeypatch, stars, "set_ratings", hold_both):
        done = stars.star_many(library.owner, keys, 3)
    assert (done["success_count"], done["errors"]) == (2, [])
    own.refresh_from_db()
    assert own.rating == 3 and Favourite.objects.get(photo=other).rating == 3


def trouble(name):
    """Return a transient error as the database raises it."""
    error = OperationalError(name)
    if name == "database is locked":
        error.__cause__ = sqlite3.OperationalError(name)
        error.__cause__.sqlite_errorcode = sqlite3.SQLITE_BUSY
    else:
        error.__cause__ = type("Ended", (Exception,), {"sqlstate": {"deadlock detected": "40P01"}[name]})()
    return error


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch):
    monkeypatch.setattr(database_conflicts, "PAUSE_SECONDS", 0.0)


@pytest.fixture
def troubled(library, monkeypatch):  # noqa: F811
    """Return an operation that meets troubles, one after the other, before it is done."""

    def make(*troubles):
        left = list(troubles)

        def run(run):
            run.advance()
            if left:
                raise trouble(left.pop(0))
            return {"tries": len(troubles) + 1}

        monkeypatch.setitem(KINDS, "troubled", Kind("troubled", "troubled", "files", run))
        return Operation.objects.create(owner=library.owner, kind="troubled")

    return make


@pytest.mark.django_db
@pytest.mark.parametrize("is_command", [False, True])
def test_an_operation_that_meets_a_deadlock_or_a_locked_database_goes_on(troubled, is_command):
    operation = troubled("deadlock detected", "database is locked", "deadlock detected")
    done = execute(operation.pk, foreground=is_command)
    assert (done.state, done.result, done.error) == (State.COMPLETED, {"tries": 4}, "")


@pytest.mark.django_db
@pytest.mark.parametrize(("is_command", "state"), [(False, State.PENDING), (True, State.INTERRUPTED)])
def test_one_that_meets_it_again_and_again_waits_and_is_never_failed(troubled, is_command, state):
    operation = troubled(*["deadlock detected"] * database_conflicts.MOST_TRIES)
    left = execute(operation.pk, foreground=is_command)
    assert (left.state, left.error_code, left.enqueued_at) == (state, "", None) and "busy" in left.error
    Operation.objects.update(state=State.PENDING)
    assert execute(operation.pk).state == State.COMPLETED


@pytest.mark.django_db
def test_a_person_who_cancels_meanwhile_is_heard(troubled, monkeypatch):
    operation = troubled("deadlock detected")
    run = KINDS["troubled"].run

    def cancelled(claimed):
        Operation.objects.filter(pk=operation.pk).update(cancel_requested=True)
        claimed.raise_if_stopped() if claimed.token > 1 else None
        return run(claimed)

    monkeypatch.setitem(KINDS, "troubled", Kind("troubled", "troubled", "files", cancelled))
    assert execute(operation.pk).state == State.CANCELLED


@transactional
def test_a_wish_that_meets_a_deadlock_is_fulfilled_all_the_same(library, monkeypatch):  # noqa: F811
    keys = [photo.pk for photo in photos_of(library)]
    left = [trouble("deadlock detected"), trouble("deadlock detected")]
    real = FileWrite.objects.select_for_update

    def ended(*arguments, **named):
        if left:
            raise left.pop()
        return real(*arguments, **named)

    monkeypatch.setattr(FileWrite.objects, "select_for_update", ended)
    stars.star_many(library.owner, keys, 3)
    assert set(Photo.objects.filter(library=library).values_list("rating", flat=True)) == {3} and not left


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["deadlock detected", "database is locked"])
def test_a_person_is_told_to_try_again_in_a_moment_and_gets_no_error_of_the_server(library, monkeypatch, name):  # noqa: F811
    def ended(*arguments, **named):
        raise trouble(name)

    monkeypatch.setattr("catalog.api.favourites.star_many", ended)
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.get(pk=library.owner_id))
    keys = [str(photo.pk) for photo in photos_of(library)]
    answer = client.post(
        "/api/v1/photos/bulk-favorite/", {"photo_ids": keys, "rating": 3}, content_type="application/json"
    )
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "busy" in answer.json()["type"] and "Nothing was changed" in answer.json()["detail"]


@pytest.mark.django_db
def test_a_restore_does_not_begin_without_its_copy_because_the_database_was_busy(library, monkeypatch):  # noqa: F811
    library.refresh_from_db()
    first = library.snapshot_md5
    photo = Photo.objects.filter(library=library).order_by("pk")[0]
    stars.star(library.owner, photo.pk, 4)
    before = Snapshot.objects.filter(library=library).count()
    troubles, real = [trouble("deadlock detected")], publish.publish_if_due

    def busy(*arguments):
        if troubles:
            raise troubles.pop()
        return real(*arguments)

    monkeypatch.setattr(publish, "publish_if_due", busy)
    done = execute(start_restore(library, library.owner, first, enqueue=False).pk)
    assert done.state == State.COMPLETED and not troubles, done.error
    assert Snapshot.objects.filter(library=library).count() > before  # what the rows said can be had back
