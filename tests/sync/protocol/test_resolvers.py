"""Conflicts: what each resolver keeps; that merges lose no text, and come to the same when they are made again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.protocol import resolvers
from sync.protocol.clock import Stamp
from sync.protocol.messages import FieldInfo, Status
from sync.protocol.resolvers import (
    Conflict,
    Decision,
    Edit,
    FieldState,
    Outcome,
    Seen,
    Side,
    deletion_applies,
    merge,
    register,
    resolver_named,
)
from sync.protocol.resolvers.keep_both import MARK, join_blocks
from sync.protocol.resolvers.merge import copy_id
from tests.sync.examples import quick

EARLY, LATE = Stamp(1, 0, "early"), Stamp(2, 0, "late")
texts = st.text(alphabet="ab \n", max_size=6)
stamps = st.none() | st.sampled_from([EARLY, LATE])
blocks = st.lists(
    st.fixed_dictionaries({"id": st.sampled_from("pqr"), "type": st.just("text"), "text": texts}),
    max_size=3,
    unique_by=lambda block: block["id"],
)


def decide(name, local, remote, local_stamp=EARLY, remote_stamp=EARLY, most_text=100):
    return resolver_named(name)(
        Conflict("note", "content", Side(local, local_stamp), Side(remote, remote_stamp), most_text)
    )


@pytest.mark.parametrize(
    ("local", "remote", "outcome"),
    [
        (LATE, EARLY, Outcome.KEEP_LOCAL),
        (EARLY, LATE, Outcome.KEEP_REMOTE),
        (EARLY, Stamp(1, 0, "other"), Outcome.KEEP_LOCAL),  # a tie
        (EARLY, None, Outcome.KEEP_LOCAL),  # only a file said so
        (None, LATE, Outcome.KEEP_REMOTE),
    ],
)
def test_the_last_writer_wins_and_a_tie_keeps_the_local_edit(local, remote, outcome):
    assert decide("last_writer", 1, 2, local, remote).outcome is outcome


@pytest.mark.parametrize(
    ("local", "remote", "decision"),
    [
        ("milk and bread", "milk", Decision(Outcome.KEEP_LOCAL)),
        ("milk", "milk and bread", Decision(Outcome.KEEP_REMOTE)),
        ("milk", "bread", Decision(Outcome.MERGE, f"bread\n\n{MARK}\n\nmilk")),
        ("m" * 60, "b" * 60, Decision(Outcome.COPY)),  # longer than a text may be
        (None, "b", Decision(Outcome.KEEP_REMOTE)),
        ("m", None, Decision(Outcome.KEEP_LOCAL)),
        ({"a": 1}, {"b": 1}, Decision(Outcome.COPY)),
    ],
)
def test_keep_both(local, remote, decision):
    assert decide("keep_both", local, remote) == decision


@pytest.mark.promise("S1-U10")
def test_a_field_becomes_what_its_resolver_says_and_the_last_writer_wins_by_default():
    """Keep local, keep remote, merge, and a person decides; by time the later one counts, and a tie is the device's."""
    other = {"content": FieldState(9, Stamp(5, 0, "other"), "other")}
    for resolver, ms, written, waits in (
        ("last_writer", 6, "mine", 0),
        ("last_writer", 5, "mine", 0),
        ("last_writer", 4, None, 0),
        ("keep_both", 4, f"theirs\n\n{MARK}\n\nmine", 0),
        ("manual", 6, None, 1),
    ):
        outcome = merged({"content": "mine"}, {"content": "theirs"}, other, resolver=resolver, stamp=Stamp(ms, 0, "me"))
        assert (outcome.write.get("content"), len(outcome.manual)) == (written, waits), (resolver, ms)
    assert FieldInfo("title").resolver == "last_writer"


def test_keep_copy_joins_nothing():
    assert decide("keep_copy", "milk", "bread").outcome is Outcome.COPY
    assert decide("keep_copy", "milk", "milk and bread").outcome is Outcome.KEEP_REMOTE


@quick
@given(texts, texts)
def test_both_texts_are_in_what_a_merge_leaves_and_a_second_one_changes_nothing(local, remote):
    decision = decide("keep_both", local, remote)
    value = {Outcome.KEEP_LOCAL: local, Outcome.KEEP_REMOTE: remote, Outcome.MERGE: decision.value}[decision.outcome]
    assert local in value
    assert remote in value
    assert decide("keep_both", local, value).outcome is Outcome.KEEP_REMOTE


@quick
@given(blocks, blocks)
def test_every_block_of_both_drafts_is_kept_and_a_second_merge_changes_nothing(local, remote):
    joined = join_blocks(local, remote)
    assert [block for block in joined if block in remote] == remote
    for block in local:
        assert any(block["text"] in other["text"] for other in joined)
    assert len({block["id"] for block in joined}) == len(joined)
    assert join_blocks(local, joined) == joined


def test_a_new_block_comes_after_the_one_it_follows():
    one, two, three, mine = ({"id": name, "type": "text", "text": name} for name in ("1", "2", "3", "mine"))
    assert join_blocks([one, mine, two], [one, two, three]) == [one, mine, two, three]


def merged(fields, current, states, *, version=5, own_version=0, resolver="last_writer", stamp=LATE):
    edit = Edit("note", fields, Seen(version, "me", own_version), stamp)
    return merge(edit, current, states, lambda name: resolver_named(resolver), most_text=100)


def test_fields_that_only_one_side_changed_are_that_sides():
    outcome = merged({"title": "new"}, {"title": "old", "rating": 3}, {"rating": FieldState(9, EARLY, "other")})
    assert (outcome.status, outcome.write, outcome.own) == (Status.APPLIED, {"title": "new"}, {"title"})


def test_a_field_without_state_was_changed_by_no_person():
    assert merged({"rating": 5}, {"rating": 3}, {}).write == {"rating": 5}


def test_the_same_value_is_no_conflict():
    outcome = merged({"rating": 5}, {"rating": 5}, {"rating": FieldState(9, LATE, "other")})
    assert (outcome.status, outcome.write) == (Status.NOOP, {})


def test_a_later_edit_of_another_overrules():
    outcome = merged({"title": "mine"}, {"title": "theirs"}, {"title": FieldState(9, LATE, "other")}, stamp=EARLY)
    assert (outcome.status, outcome.write) == (Status.MERGED, {})
    assert [conflict.local.value for conflict in outcome.overruled] == ["mine"]


def test_what_a_merge_made_counts_as_seen_by_nobody():
    outcome = merged(
        {"content": "a"}, {"content": "b"}, {"content": FieldState(9, LATE, "other")}, resolver="keep_both"
    )
    assert (outcome.status, outcome.own) == (Status.MERGED, frozenset())
    assert outcome.write == {"content": f"b\n\n{MARK}\n\na"}


def test_a_fork_leaves_the_thing_and_gives_the_copy_the_local_value():
    outcome = merged(
        {"content": "a", "caption": "c"},
        {"content": "b", "caption": ""},
        {"content": FieldState(9)},
        resolver="keep_copy",
    )
    assert (outcome.status, outcome.write, outcome.copy) == (Status.FORKED, {"caption": "c"}, {"content": "a"})


def test_manual_leaves_the_remote_value_to_a_person():
    outcome = merged({"content": "a"}, {"content": "b"}, {"content": FieldState(9)}, resolver="manual")
    assert (outcome.status, outcome.write) == (Status.MERGED, {})
    assert [(conflict.field, conflict.local.value, conflict.remote.value) for conflict in outcome.manual] == [
        ("content", "a", "b")
    ]


@pytest.mark.parametrize(
    ("state", "covered"),
    [
        (FieldState(5, EARLY, "other"), True),
        (FieldState(6, EARLY, "other"), False),  # while the device's first edit was on its way
        (FieldState(8, EARLY, "me"), True),
        (FieldState(8, EARLY, ""), False),  # a merge of the device's edit with another's
        (FieldState(9, EARLY, "me"), False),  # the device before it was set back to an old backup
    ],
)
def test_a_base_covers_what_was_seen(state, covered):
    assert Seen(5, "me", own_version=8).covers(state) is covered
    assert deletion_applies(Seen(5, "me", own_version=8), [state]) is covered


def test_a_base_without_a_device_covers_no_merge():
    assert not Seen(5, "", own_version=8).covers(FieldState(8, EARLY, ""))


@pytest.mark.parametrize(("version", "applies"), [(5, True), (8, True), (9, False)])
def test_a_matching_base_is_needed_where_it_is_asked_for(version, applies):
    assert deletion_applies(Seen(5, "me", own_version=8), [], strict_version=version) is applies
    assert deletion_applies(Seen(5, "me", own_version=8), [])


values = st.sampled_from(["x", "y", "xy", "z"])


@quick
@given(
    st.dictionaries(st.sampled_from("abc"), values, max_size=3),
    st.fixed_dictionaries(dict.fromkeys("abc", values)),
    st.dictionaries(
        st.sampled_from("abc"), st.builds(FieldState, st.integers(1, 9), stamps, st.sampled_from(["", "me", "other"]))
    ),
    st.sampled_from(["last_writer", "keep_both", "keep_copy", "matching_base", "manual"]),
)
def test_nothing_that_was_not_seen_is_overwritten_silently(fields, current, states, resolver):
    outcome = merged(fields, current, states, resolver=resolver)
    assert set(outcome.write) <= set(fields)
    for name in fields:
        if name in outcome.own:
            assert outcome.write[name] == fields[name]
        hidden = name in states and not Seen(5, "me").covers(states[name]) and current[name] != fields[name]
        if hidden and name in outcome.write and resolver in {"keep_both", "keep_copy"}:
            assert current[name] in outcome.write[name]
        if hidden and resolver in {"matching_base", "manual"}:
            assert name not in outcome.write
    taken = set(outcome.write) | set(outcome.copy) | {c.field for c in (*outcome.manual, *outcome.overruled)}
    assert taken == {name for name in fields if fields[name] != current[name]}


@quick
@given(
    st.dictionaries(st.sampled_from("abc"), values, min_size=1, max_size=3),
    st.fixed_dictionaries(dict.fromkeys("abc", values)),
    st.dictionaries(st.sampled_from("abc"), st.builds(FieldState, st.integers(1, 9), stamps, st.just("other"))),
    st.sampled_from(["last_writer", "keep_both", "matching_base"]),
)
def test_an_edit_that_is_applied_again_changes_nothing(fields, current, states, resolver):
    first = merged(fields, current, states, resolver=resolver)
    after = {**current, **first.write}
    states = {
        **states,
        **{
            name: FieldState(10, LATE if name in first.own else None, "me" if name in first.own else "")
            for name in first.write
        },
    }
    again = merged(fields, after, states, own_version=10, resolver=resolver)
    assert again.write == {} or (resolver == "last_writer" and set(again.write) <= set(first.overruled))


def test_copies_have_ids_of_their_own_that_a_retry_finds_again():
    id = "0d5c3c5e-3f61-4c1e-9d8b-1d3a3f1b9a10"
    assert copy_id(id, "me", 4) == copy_id(id, "me", 4)
    assert len({id, copy_id(id, "me", 4), copy_id(id, "me", 5), copy_id(id, "you", 4)}) == 4


def test_resolvers_can_be_registered_once(monkeypatch):
    monkeypatch.setattr(resolvers, "_RESOLVERS", dict(resolvers._RESOLVERS))
    register("longest", lambda conflict: Decision(Outcome.KEEP_LOCAL))
    assert decide("longest", 1, 2).outcome is Outcome.KEEP_LOCAL
    with pytest.raises(ValueError, match="already"):
        register("longest", resolver_named("manual"))
    with pytest.raises(ValueError, match="Choose from keep_both, keep_copy, last_writer, longest"):
        resolver_named("shortest")
