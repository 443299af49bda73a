"""Messages: what is written is read again; what is wrong is refused with a sentence that names it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.protocol.clock import Stamp
from sync.protocol.digest import KindDigest
from sync.protocol.limits import MOST_BYTES
from sync.protocol.messages import (
    Base,
    ChangesReply,
    DigestReply,
    EndedScope,
    FieldInfo,
    Info,
    KindInfo,
    Limits,
    Mutation,
    MutationResult,
    Op,
    PushReply,
    PushRequest,
    Row,
    ScopeInfo,
    Status,
    Unreadable,
)
from sync.protocol.problems import PROBLEMS, Malformed, TooLarge
from sync.protocol.values import time_ms, time_text
from tests.sync.examples import quick

ID = "0d5c3c5e-3f61-4c1e-9d8b-1d3a3f1b9a10"
DEVICE = "7a4a9c53-6a2b-4b67-8d38-1f0e4b9c2f11"
STAMP = Stamp(1000, 0, "d")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
ids = st.uuids().map(str)
versions = st.integers(0, 2**63 - 1)
names = st.sampled_from(["album", "note", "albumItem"])
bases = st.builds(Base, versions, st.none() | st.just(1)) | st.builds(Base, st.none(), st.just(1))
datas = st.dictionaries(st.text(max_size=5), json_values, max_size=3)
rows = st.builds(
    Row,
    st.just("album:x"),
    names,
    ids,
    versions,
    st.none() | datas,
    st.dictionaries(st.text(max_size=5), versions, max_size=2),
)

results = st.builds(
    MutationResult,
    st.integers(1, 9),
    st.sampled_from(Status),
    st.none() | versions,
    st.none() | ids,
    st.none() | st.sampled_from(["gone", "no"]),
    st.none() | st.text(min_size=1, max_size=9),
    st.lists(names, max_size=2).map(tuple),
)


@st.composite
def pushes(draw):
    first = draw(st.integers(2, 1000))
    mutations = tuple(
        Mutation(
            first + place,
            draw(names),
            draw(ids),
            op,
            draw(bases),
            draw(st.just(STAMP)),
            draw(datas) if op != "delete" else {},
        )
        for place, op in enumerate(draw(st.lists(st.sampled_from(Op), max_size=3)))
    )
    return PushRequest(DEVICE, draw(st.integers(0, 9)), mutations, draw(st.dictionaries(names, st.integers(0, 9))))


@quick
@given(pushes(), rows, st.lists(results, max_size=3))
def test_what_is_written_is_read_again(push, row, outcomes):
    assert PushRequest.from_json(push.to_json()) == push
    reply = PushReply(3, 123, tuple(outcomes), (row,), (ID,))
    assert PushReply.from_json(reply.to_json()) == reply
    page = ChangesReply("album:x", (row,), "c", True, "")
    assert ChangesReply.from_json(page.to_json(), "album:x") == page


def test_info_and_digest_are_read_again():
    kind = KindInfo("note", "user", ("album",), (FieldInfo("content", "keep_both"), FieldInfo("owner", writable=False)))
    info = Info(
        "s",
        "u",
        DEVICE,
        5,
        3,
        7,
        (ScopeInfo("user:u", 9, "owner"),),
        (EndedScope("album:x", 4),),
        (kind,),
        Limits(5, 6, 7),
    )
    assert Info.from_json(info.to_json()) == info
    digest = DigestReply("user:u", 2**60, {"note": KindDigest(2, 2**64 - 1)})
    assert DigestReply.from_json(digest.to_json()) == digest
    assert json.loads(digest.to_json())["types"] == {"note": {"count": 2, "sum": "18446744073709551615"}}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"deviceId": "my phone"}, "`deviceId` must be a UUID"),
        ({"kinds": [KindInfo("a", "user", ("b",)).to_wire(), KindInfo("b", "user", ("a",)).to_wire()]}, "a -> b -> a"),
        ({"epoch": -1}, "`epoch` must be a whole number"),
        ({"scopes": [{"scope": "user:u", "version": "x"}]}, "A scope: `version` must be a version"),
    ],
)
def test_an_info_that_would_break_a_device_is_not_read(changes, sentence):
    info = Info("s", "u", DEVICE, 5, 3, 7, ()).to_wire()
    with pytest.raises(Malformed) as caught:
        Info.from_json(json.dumps({**info, **changes}))
    assert sentence in caught.value.sentence


def wire(**changes):
    mutation = {
        "mid": 4,
        "type": "album",
        "id": ID,
        "op": "patch",
        "base": {"version": "118"},
        "hlc": str(STAMP),
        "fields": {},
    }
    return {"deviceId": DEVICE, "epoch": 3, "mutations": [{**mutation, **changes}]}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"type": "Album!"},
            "mutation 1: `type` must be a name of letters and digits that begins with a small letter.",
        ),
        ({"id": ID.upper()}, "mutation 1: `id` must be a UUID in small letters, with hyphens."),
        ({"op": "upsert"}, "mutation 1: `op` must be create, patch or delete."),
        ({"base": None}, "mutation 1: `base` is missing. Only a thing that the device makes has none."),
        ({"base": {}}, "mutation 1: `base` must name a version, a mid, or both."),
        (
            {"base": {"version": 118}},
            "mutation 1: `base`: `version` must be a version: decimal digits in quotes, as the server gave them.",
        ),
        ({"base": {"mid": 4}}, "mutation 1: `base` names mid 4, which does not come before 4."),
        ({"base": {"version": "1", "guess": 2}}, "mutation 1: `base` has members that are not known: 'guess'."),
        (
            {"hlc": "now"},
            "mutation 1: `hlc` must be a time stamp: 12 hex digits, 4 hex digits and the device, with hyphens.",
        ),
        ({"fields": []}, "mutation 1: `fields` must be an object."),
        ({"feilds": {}}, "mutation 1 has members that are not known: 'feilds'."),
        ({"op": "delete"}, "mutation 1 has members that are not known: 'fields'."),
    ],
)
def test_a_mutation_that_cannot_be_read_is_refused_alone(changes, sentence):
    push = wire(**changes)
    push["mutations"].append({**wire()["mutations"][0], "mid": 5})
    bad, good = PushRequest.from_json(json.dumps(push)).mutations
    assert isinstance(bad, Unreadable)
    assert (bad.mid, bad.sentence) == (4, sentence)
    assert isinstance(good, Mutation)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("[]", "The push is not an object."),
        ("{", "The push is not JSON"),
        ("[" * 200_000, "The push is not JSON"),
        (json.dumps({**wire(), "epoch": NotImplemented}, default=lambda _: float("nan")), "NaN is not a number"),
        (json.dumps({**wire(), "epoch": True}), "`epoch` must be a whole number"),
        (json.dumps({**wire(), "deviceId": "d1"}), "`deviceId` must be a UUID"),
        (json.dumps({**wire(), "more": 1}), "members that are not known: 'more'"),
        (json.dumps({**wire(), "mutations": None}), "`mutations` must be a list"),
        (json.dumps({**wire(), "mutations": [1]}), "mutation 1 is not an object"),
        (json.dumps(wire(mid=0)), "mutation 1: `mid` must be a whole number from 1"),
        (
            json.dumps({**wire(), "mutations": [wire()["mutations"][0]] * 2}),
            "Mutation 4 follows 4: number them one by one",
        ),
        (json.dumps({**wire(), "pending": {"note": -1}}), "`pending` must give a count"),
    ],
)
def test_a_push_that_cannot_be_read_is_refused_as_a_whole(body, sentence):
    with pytest.raises(Malformed) as caught:
        PushRequest.from_json(body)
    assert sentence in caught.value.sentence


@pytest.mark.parametrize("count", [500, 501])
def test_a_push_has_500_mutations_at_most(count):
    mutations = [{**wire()["mutations"][0], "mid": mid} for mid in range(1, count + 1)]
    body = json.dumps({**wire(), "mutations": mutations})
    if count > 500:
        with pytest.raises(TooLarge, match="501 mutations; the limit is 500"):
            PushRequest.from_json(body)
    else:
        assert len(PushRequest.from_json(body).mutations) == 500


@pytest.mark.parametrize("more", [0, 1])
def test_a_push_has_one_megabyte_at_most(more):
    body = json.dumps(wire()).encode()
    body += b" " * (MOST_BYTES - len(body) + more)
    if more:
        with pytest.raises(TooLarge, match="1,048,577 bytes; the limit is 1,048,576"):
            PushRequest.from_json(body)
    else:
        PushRequest.from_json(body)


def test_a_device_understands_a_newer_server():
    body = {
        "ackedThrough": 1,
        "serverTime": "2026-11-28T09:30:00Z",
        "results": [{"mid": 1, "status": "postponed"}],
        "rows": [],
        "new": 1,
    }
    reply = PushReply.from_json(json.dumps(body))
    assert reply.results[0].status is Status.REJECTED
    assert reply.results[0].reason == "postponed"


def test_a_page_of_another_scope_is_refused():
    page = ChangesReply("album:x", (), "c", False).to_json()
    with pytest.raises(Malformed, match="not about album:y"):
        ChangesReply.from_json(page, "album:y")


def test_the_digest_of_a_mutation_changes_with_its_content():
    one = Mutation(1, "note", ID, Op.PATCH, Base(5), STAMP, {"a": 1, "b": 2})
    assert one.digest == Mutation(1, "note", ID, Op.PATCH, Base(5), STAMP, {"b": 2, "a": 1}).digest
    others = [Mutation(1, "note", ID, Op.PATCH, base, STAMP, {"a": 1, "b": 2}) for base in (Base(6), Base(5, 1))]
    others.append(Mutation(1, "note", ID, Op.PATCH, Base(5), STAMP, {"a": 1, "b": 3}))
    assert len({one.digest, *(other.digest for other in others)}) == 4


@quick
@given(st.integers(0, 2**42))
def test_times_are_utc_with_milliseconds(ms):
    assert time_ms(time_text(ms)) == ms


@pytest.mark.parametrize(
    "text", ["2026-11-28", "2026-11-28T09:30:00", "2026-11-28T09:30:00+01:00", "2026-02-30T00:00:00Z"]
)
def test_other_texts_are_no_times(text):
    with pytest.raises(ValueError, match=r"."):
        time_ms(text)


def test_problems_are_known_by_code():
    assert {code: kind.status for code, kind in PROBLEMS.items()} == {
        "malformed": 400,
        "out_of_sequence": 409,
        "start_over": 410,
        "too_large": 413,
    }
