"""Reading what changed: rows, tombstones and shown things in the order of their numbers, from a cursor, page by page."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from changes import fields, retention, scopes, shown, tombstones
from changes.digest import Sum, digest, sum_of
from changes.models import EndedScope, FieldState, Scope, Tombstone
from changes.origin import acting, server_hlc
from changes.reading import BadCursor, StartOver, changes_since

from .readers import Copy, from_zero
from .things import Thing

pytestmark = pytest.mark.django_db


def make(owner, *texts):
    return [Thing.objects.create(owner=owner, text=text) for text in texts]


def texts(copy):
    return sorted(data["text"] for _, data in copy.rows.values())


def test_a_copy_follows_what_is_made_changed_and_deleted(owner, scope):
    one, two, _ = make(owner, "one", "two", "three")
    make(uuid.uuid4(), "a stranger's")
    copy = Copy(scope)
    assert len(copy.pull()) == 3
    assert copy.pull() == []

    Thing.objects.filter(pk=one.pk).update(text="one!")
    two.delete()
    make(owner, "four")
    assert sorted((change.deleted, (change.data or {}).get("text")) for change in copy.pull()) == [
        (False, "four"),
        (False, "one!"),
        (True, None),
    ]
    assert texts(copy) == ["four", "one!", "three"]
    assert copy.rows == from_zero(scope)


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
def test_pages_hold_every_change_once_in_the_order_of_numbers(owner, scope, limit):
    things = make(owner, *"abcdefg")
    copy = Copy(scope)
    copy.pull(limit)
    Thing.objects.filter(pk__in=[thing.pk for thing in things[:3]]).delete()
    Thing.objects.filter(pk__in=[thing.pk for thing in things[3:5]]).update(text="x")
    came = copy.pull(limit)
    assert len(came) == 5
    versions = [change.version for change in copy.seen]
    assert versions == sorted(set(versions))
    assert texts(copy) == ["f", "g", "x", "x"]


def test_what_nobody_sees_marks_nothing(owner, scope):
    (thing,) = make(owner, "one")
    copy = Copy(scope)
    copy.pull()
    Thing.objects.filter(pk=thing.pk).update(private="secret")
    thing.refresh_from_db()
    thing.private = "more"
    thing.save(update_fields=["private"])
    Thing.objects.bulk_update([thing], ["private"])
    thing.refresh_from_db()
    assert thing.version is not None
    assert copy.pull() == []


@pytest.mark.parametrize(
    "change",
    [
        lambda thing: Thing.objects.update(text="new"),
        lambda thing: Thing.objects.bulk_update([thing], ["text"]),
        lambda thing: thing.save(),
        lambda thing: thing.save(update_fields=["text"]),
        lambda thing: Thing.objects.update_or_create(pk=thing.pk, defaults={"text": "new"}),
        lambda thing: Thing.objects.bulk_create(
            [Thing(pk=thing.pk, owner=thing.owner, text="new")],
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=["text"],
        ),
        lambda thing: Thing.objects.filter(pk=thing.pk).mark(),
    ],
)
def test_every_way_to_write_a_row_marks_it(owner, scope, change):
    (thing,) = make(owner, "old")
    copy = Copy(scope)
    copy.pull()
    thing = Thing.objects.get()
    thing.text = "new"
    change(thing)
    assert [came.id for came in copy.pull()] == [thing.pk]


def test_made_again_after_a_deletion_it_is_there(owner, scope):
    (thing,) = make(owner, "first")
    copy = Copy(scope)
    copy.pull()
    thing.delete()
    Thing.objects.create(pk=thing.pk, owner=owner, text="second")
    assert [change.deleted for change in copy.pull()] == [True, False]
    assert texts(copy) == ["second"]
    Thing.objects.all().delete()
    copy.pull()
    assert copy.rows == {} == from_zero(scope)


def test_what_is_in_the_trash_is_told_as_deleted_until_it_is_back(owner, scope):
    make(owner, "one")
    copy = Copy(scope)
    copy.pull()
    before = digest(scope).types["thing"]
    Thing.objects.update(trashed_at=timezone.now())
    assert [change.deleted for change in copy.pull()] == [True]
    assert digest(scope).types["thing"].count == 0
    Thing.objects.update(trashed_at=None)
    copy.pull()
    assert texts(copy) == ["one"]
    after = digest(scope).types["thing"]
    assert after.count == 1 and after != before


def test_a_copy_has_the_digest_of_the_server(owner, scope):
    things = make(owner, "one", "two", "three")
    copy = Copy(scope)
    copy.pull()
    things[0].delete()
    Thing.objects.filter(pk=things[1].pk).update(text="changed")
    assert digest(scope).types["thing"] != sum_of(
        "thing", ((key, version) for (_, key), (version, _) in copy.rows.items())
    )
    copy.pull()
    said = digest(scope)
    assert said.is_settled
    assert said.types["thing"] == sum_of("thing", ((key, version) for (_, key), (version, _) in copy.rows.items()))


def test_a_digest_is_what_the_page_says():
    key = uuid.UUID(int=1)
    assert sum_of("thing", [(key, 5)]) == Sum(1, 0x2DF93334887BAD32)
    assert sum_of("thing", [(key, 5), (key, 6)]) == sum_of("thing", [(key, 6), (key, 5)]) == Sum(2, 0x7A5E3470C5C6C7F9)


def test_a_page_numbers_no_more_than_a_piece(owner, scope, monkeypatch):
    make(owner, *"abcde")
    first = scopes.number(scope, most=2)
    assert not first.is_complete
    assert first.version & (1 << 40) - 1 == 2
    assert Thing.objects.filter(version=None).count() == 3
    monkeypatch.setattr(scopes, "PIECE", 2)
    copy = Copy(scope)
    assert len(copy.pull()) == 5


def test_very_many_tombstones_come_before_rows(owner, scope):
    things = make(owner, *"abc")
    copy = Copy(scope)
    copy.pull()
    Thing.objects.all().delete()
    for thing in things:
        Thing.objects.create(pk=thing.pk, owner=owner, text="again")
    assert not scopes.number(scope, most=2).is_complete
    assert set(Thing.objects.values_list("version", flat=True)) == {None}
    copy.pull()
    assert texts(copy) == ["again"] * 3


def test_reading_what_did_not_change_is_one_query(owner, scope, django_assert_num_queries):
    make(owner, "one")
    copy = Copy(scope)
    copy.pull()
    with django_assert_num_queries(1):
        copy.pull()


def test_a_cursor_is_good_for_its_scope_and_types_only(owner, scope):
    make(owner, "one")
    cursor = changes_since(scope).cursor
    for other in (
        lambda: changes_since(f"user:{uuid.uuid4()}", cursor),
        lambda: changes_since(scope, cursor, ["thing"]),
    ):
        with pytest.raises(BadCursor):
            other()
    for nonsense in ("x", "AAAA", "ééé", "1.2.3.4", "LTEuMi4zLjQ"):
        with pytest.raises(BadCursor):
            changes_since(scope, nonsense)
    with pytest.raises(ValueError, match="no type nothing"):
        changes_since(scope, kinds=["nothing"])


def test_an_epoch_lets_everybody_start_over(owner, scope):
    make(owner, "one")
    copy = Copy(scope)
    copy.pull()
    before = Thing.objects.get().version
    epoch = scopes.raise_epoch()
    assert scopes.raise_epoch() > epoch > before >> 40
    with pytest.raises(StartOver):
        copy.pull()
    Thing.objects.update(text="later")
    anew = Copy(scope)
    anew.pull()
    assert Thing.objects.get().version > before
    assert texts(anew) == ["later"]


def test_a_cursor_ahead_of_the_counter_starts_over(owner, scope):
    """The database was set back, and nobody said so."""
    make(owner, "one")
    before = Scope.objects.get_or_create(name=scope)[0]
    make(owner, "two")
    copy = Copy(scope)
    copy.pull()
    Scope.objects.filter(name=scope).update(version=before.version)
    with pytest.raises(StartOver):
        copy.pull()


def test_who_was_away_for_longer_than_tombstones_are_kept_starts_over(owner, scope):
    one, _ = make(owner, "one", "two")
    away, present = Copy(scope), Copy(scope)
    away.pull()
    one.delete()
    present.pull()
    soon = timezone.now() + timedelta(seconds=1)
    assert retention.collect(soon - timedelta(days=1)) == 0
    assert retention.collect(soon) == 1
    with pytest.raises(StartOver):
        away.pull()
    assert present.pull() == []
    assert texts(present) == ["two"]
    assert present.rows == from_zero(scope)


def test_a_first_reading_under_way_outlives_the_collection_of_older_tombstones(owner, scope):
    things = make(owner, *"abc")
    things[0].delete()
    page = changes_since(scope, limit=1)
    retention.collect(timezone.now() + timedelta(seconds=1))
    assert changes_since(scope, page.cursor, limit=1).changes

    things[1].delete()
    things[2].delete()
    retention.collect(timezone.now() + timedelta(seconds=1))  # what the reader has not heard of
    with pytest.raises(StartOver):
        changes_since(scope, page.cursor, limit=1)


def test_tombstones_of_scopes_that_nobody_read_just_go(owner):
    (thing,) = make(owner, "one")
    thing.delete()
    assert retention.collect(timezone.now() + timedelta(seconds=1)) == 1
    assert not Scope.objects.exists()


def test_something_is_shown_in_a_further_scope_as_it_changes(owner, scope):
    one, two = make(owner, "one", "two")
    album = f"album:{uuid.uuid4()}"
    copy = Copy(album)
    assert copy.pull() == []
    shown.show(album, "thing", [one.pk, two.pk])
    shown.show(album, "thing", [one.pk])
    assert len(copy.pull()) == 2
    assert copy.pull() == []

    Thing.objects.filter(pk=one.pk).update(text="one!")
    assert [change.data for change in copy.pull()] == [{"text": "one!"}]
    Thing.objects.filter(pk=one.pk).update(text="one!!")
    from_zero(scope)  # numbered by a reader of its home
    assert [change.data for change in copy.pull()] == [{"text": "one!!"}]

    assert shown.hide(album, "thing", [one.pk]) == 1
    assert [(change.id, change.deleted) for change in copy.pull()] == [(one.pk, True)]
    assert Thing.objects.filter(pk=one.pk).exists()
    key = two.pk
    two.delete()
    assert [(change.id, change.deleted) for change in copy.pull()] == [(key, True)]
    assert copy.rows == {} == from_zero(album)
    assert digest(album).types["thing"].count == 0


def test_what_is_shown_nowhere_cannot_be(scope):
    with pytest.raises(ValueError, match="cannot be shown"):
        shown.show(scope, "thing", [uuid.uuid4()])


def test_fields_know_who_changed_them_last(owner, scope):
    (thing,) = make(owner, "one")
    device = uuid.uuid4()
    copy = Copy(scope)
    copy.pull()
    seen = Thing.objects.get().version
    with acting(user=owner, device=device, hlc="0001"):
        Thing.objects.update(text="two")
        fields.touched("thing", [thing.pk, uuid.uuid4()], ["text"])
    (state,) = FieldState.objects.all()
    assert (state.actor, state.device, state.hlc, state.version) == (owner, device, "0001", None)
    (change,) = copy.pull()
    assert seen < change.field_versions["text"] <= change.version

    Thing.objects.update(text="three")  # a file said so: nobody
    (change,) = copy.pull()
    assert change.field_versions["text"] <= change.version
    fields.touched("thing", [thing.pk], ["text"], user=owner)
    (state,) = fields.states_of("thing", [thing.pk])[thing.pk].values()
    assert (state.device, state.version) == (None, None)
    assert "0001" < state.hlc < server_hlc() < server_hlc()
    with pytest.raises(ValueError, match="no field title"):
        fields.touched("thing", [thing.pk], ["title"])


def test_a_scope_that_ends_leaves_nothing_but_that(owner, scope, alice):
    (thing,) = make(owner, "one")
    fields.touched("thing", [thing.pk], ["text"])
    from_zero(scope)
    tombstones.bury("thing", scope, [uuid.uuid4()])
    scopes.end(scope, [alice])
    scopes.end(scope, [alice.pk])
    assert list(EndedScope.objects.values_list("user", "scope")) == [(alice.pk, scope)]
    assert not Scope.objects.exists() and not Tombstone.objects.exists() and not FieldState.objects.exists()
    scopes.begin_for(scope, [alice])
    assert not EndedScope.objects.exists()
