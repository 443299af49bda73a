"""Push: what becomes of a mutation, and that each is applied at most once."""

import json
import time
import uuid
from typing import Any

import pytest
from django.db import transaction

from accounts.models import User
from changes.models import FieldState
from changes.scopes import raise_epoch
from sync.models import Conflict, DeviceState, PushedMutation
from sync.protocol import resolvers
from sync.protocol.limits import MOST_BYTES, MOST_MUTATIONS

from .conftest import NOW_MS, SYNC, Phone
from .things import Paper, Slip

LATER, EARLIER = NOW_MS + 1000, NOW_MS - 1000


def test_a_thing_is_made_changed_and_deleted(phone: Phone) -> None:
    id = str(uuid.uuid4())
    made = phone.push(phone.edit("create", id, title="Rome", stars=3))
    assert made["ackedThrough"] == 1 and made["gone"] == []
    (row,) = made["rows"]
    assert row["data"] == {"title": "Rome", "body": "", "mood": "", "stars": 3, "views": 0}
    assert (row["scope"], row["type"], row["deleted"]) == (phone.scope, "paper", False)
    assert made["results"] == [{"mid": 1, "status": "applied", "version": row["version"]}]
    assert row["fieldVersions"].keys() == {"title", "stars"}
    changed = phone.push(phone.edit("patch", id, row["version"], title="Roma"))
    assert [result["status"] for result in changed["results"]] == ["applied"]
    assert int(changed["rows"][0]["version"]) > int(row["version"])
    gone = phone.push(phone.edit("delete", id, changed["rows"][0]["version"]))
    assert gone["results"][0]["status"] == "applied"
    assert gone["rows"][0]["deleted"] and gone["rows"][0]["data"] is None
    assert Paper.objects.get().trashed_at is not None


def test_sent_again_it_gets_the_same_result_and_the_thing_as_it_is_now(phone: Phone, tablet: Phone) -> None:
    id = str(uuid.uuid4())
    create, patch = phone.edit("create", id, title="Rome"), phone.edit("patch", id, 1, stars=2)
    first = phone.push(create, patch)
    tablet.push(tablet.edit("patch", id, first["rows"][0]["version"], title="Paris"))
    again = phone.push(create, patch)
    assert (again["results"], again["ackedThrough"]) == (first["results"], 2)
    assert again["rows"][0]["data"]["title"] == "Paris"
    assert PushedMutation.objects.filter(device=phone.device).count() == 2
    assert Paper.objects.get().stars == 2


def test_part_of_it_was_applied_before(phone: Phone) -> None:
    id = str(uuid.uuid4())
    create = phone.edit("create", id, title="Rome")
    phone.push(create)
    Paper.objects.update(title="changed here")
    both = phone.push(create, phone.edit("patch", id, 1, stars=4))
    assert [result["status"] for result in both["results"]] == ["applied", "applied"]
    assert both["rows"][0]["data"]["title"] == "changed here"


def test_a_number_that_was_used_for_something_else_is_refused_whole(phone: Phone) -> None:
    id, version = phone.make(title="Rome")
    phone.mid = 0
    other = phone.edit("patch", id, version, title="Paris")
    answer = phone.send(other, phone.edit("patch", id, version, stars=5))
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:photolala:problem:out_of_sequence")
    assert answer.json()["ackedThrough"] == 1
    assert Paper.objects.get().title == "Rome" and Paper.objects.get().stars == 0


def test_a_gap_is_refused_whole(phone: Phone) -> None:
    id, version = phone.make(title="Rome")
    phone.mid += 1
    answer = phone.send(phone.edit("patch", id, version, title="Paris"))
    assert (answer.status_code, answer.json()["ackedThrough"]) == (409, 1)
    assert "2 to 2" in answer.json()["detail"]
    assert Paper.objects.get().title == "Rome"


def test_a_device_that_was_never_seen_begins_with_any_number(phone: Phone) -> None:
    phone.mid = 56
    phone.make(title="Rome")
    assert DeviceState.objects.get(device=phone.device).acked_through == 57


@pytest.mark.parametrize("of_mine", [True, False])
def test_fields_that_only_one_side_changed_are_that_sides(phone: Phone, tablet: Phone, of_mine: bool) -> None:
    id, version = phone.make(title="Rome", stars=1)
    tablet.push(tablet.edit("patch", id, version, title="Paris"))
    result = phone.result(phone.edit("patch", id, version, stars=5))
    assert result["status"] == "applied"
    assert phone.row(id)["data"] == {"title": "Paris", "body": "", "mood": "", "stars": 5, "views": 0}


@pytest.mark.parametrize(
    ("ms", "title", "status", "decision"),
    [(LATER, "mine", "applied", "mine"), (EARLIER, "theirs", "merged", "theirs"), (NOW_MS, "mine", "applied", "mine")],
)
def test_the_last_writer_counts_and_the_other_text_is_kept(
    phone: Phone, tablet: Phone, ms: int, title: str, status: str, decision: str
) -> None:
    id, version = phone.make(title="Rome")
    tablet.push(tablet.edit("patch", id, version, title="theirs"))
    assert phone.result(phone.edit("patch", id, version, ms=ms, title="mine"))["status"] == status
    assert phone.row(id)["data"]["title"] == title
    conflict = Conflict.objects.get()
    assert (conflict.mine, conflict.theirs, conflict.decision, conflict.state) == (
        "mine",
        "theirs",
        decision,
        "decided",
    )


def test_a_clock_that_runs_ahead_wins_for_five_minutes_at_most(phone: Phone, tablet: Phone) -> None:
    id, version = phone.make(title="Rome", ms=NOW_MS)
    ahead = 4_000_000_000_000
    tablet.push(tablet.edit("patch", id, version, title="from the future", ms=ahead))
    assert Paper.objects.get().title == "from the future"
    slack_ms = int(FieldState.objects.get(field="title").hlc[:12], 16) - time.time() * 1000
    assert 200_000 < slack_ms <= 300_000


def test_both_texts_are_kept_in_a_body(phone: Phone, tablet: Phone) -> None:
    id, version = phone.make(body="We left.")
    tablet.push(tablet.edit("patch", id, version, body="We left at nine."))
    assert phone.result(phone.edit("patch", id, version, body="It rained."))["status"] == "merged"
    body = phone.row(id)["data"]["body"]
    assert "We left at nine." in body and "It rained." in body and "Merged conflict" in body


def test_a_merged_text_counts_as_seen_by_nobody(phone: Phone, tablet: Phone) -> None:
    """Who goes on from the own text before the merge was seen must not take the other's text away."""
    id, version = phone.make(body="We left.")
    tablet.push(tablet.edit("patch", id, version, body="We left at nine."))
    first = phone.edit("patch", id, version, body="It rained.")
    second = phone.edit("patch", id, first["mid"], body="It rained all day.")
    assert [one["status"] for one in phone.push(first, second)["results"]] == ["merged", "merged"]
    body = phone.row(id)["data"]["body"]
    assert "We left at nine." in body and "It rained all day." in body


def test_a_body_that_would_be_too_long_becomes_a_copy(phone: Phone, tablet: Phone) -> None:
    id, version = phone.make(title="Rome", body="short")
    theirs, mine = "t" * 60_000, "m" * 60_000
    tablet.push(tablet.edit("patch", id, version, body=theirs))
    fork = phone.edit("patch", id, version, body=mine)
    after = phone.edit("patch", id, fork["mid"], title="Roma")
    told = phone.push(fork, after)
    first, second = told["results"]
    assert (first["status"], second["status"]) == ("forked", "applied")
    copy = phone.row(first["target"])["data"]
    assert (copy["body"], copy["title"]) == (mine, "Roma")
    assert (phone.row(id)["data"]["body"], phone.row(id)["data"]["title"]) == (theirs, "Rome")
    assert {row["id"] for row in told["rows"]} == {id, first["target"]}
    assert phone.push(fork, after)["results"] == told["results"]
    assert Paper.objects.count() == 2 and Conflict.objects.get().decision == "both"


def test_what_needs_a_person_waits_and_the_rest_is_applied(phone: Phone, tablet: Phone) -> None:
    id, version = phone.make(mood="calm", stars=1)
    tablet.push(tablet.edit("patch", id, version, mood="glad"))
    result = phone.result(phone.edit("patch", id, version, mood="sad", stars=2))
    assert (result["status"], result["conflicts"]) == ("merged", ["mood"])
    assert phone.row(id)["data"]["mood"] == "glad" and phone.row(id)["data"]["stars"] == 2
    conflict = Conflict.objects.get()
    assert (conflict.state, conflict.mine, conflict.theirs) == ("open", "sad", "glad")
    assert (conflict.device, conflict.other_device_id) == (phone.device, tablet.device.pk)


def test_what_is_so_already_is_a_noop(phone: Phone, tablet: Phone) -> None:
    id, version = phone.make(title="Rome")
    tablet.push(tablet.edit("patch", id, version, title="Roma"))
    before = phone.row(id)["version"]
    assert phone.result(phone.edit("patch", id, version, title="Roma"))["status"] == "noop"
    assert phone.result(phone.edit("delete", uuid.uuid4(), version))["status"] == "noop"
    assert phone.row(id)["version"] == before and not Conflict.objects.exists()


def test_an_edit_beats_a_deletion_that_has_not_seen_it(phone: Phone, tablet: Phone) -> None:
    id, version = phone.make(title="Rome")
    tablet.push(tablet.edit("patch", id, version, title="Roma"))
    told = phone.push(phone.edit("delete", id, version))
    assert told["results"][0]["status"] == "edit_wins"
    assert told["rows"][0]["data"]["title"] == "Roma"


def test_an_edit_that_has_not_seen_the_deletion_brings_the_thing_back_whole(phone: Phone, tablet: Phone) -> None:
    id, version = phone.make(title="Rome", body="text", stars=3)
    tablet.push(tablet.edit("delete", id, version))
    assert phone.row(id)["deleted"]
    assert phone.result(phone.edit("patch", id, version, title="Roma"))["status"] == "edit_wins"
    assert phone.row(id)["data"] == {"title": "Roma", "body": "text", "mood": "", "stars": 3, "views": 0}


def test_an_edit_of_what_is_gone_for_good_is_sent_whole_and_it_comes_back(phone: Phone, tablet: Phone) -> None:
    paper, _ = phone.make()
    id = str(uuid.uuid4())
    version = phone.result(phone.edit("create", id, type="slip", paperId=paper, place="a"))["version"]
    assert tablet.result(tablet.edit("delete", id, version, type="slip"))["status"] == "applied"
    told = phone.push(phone.edit("patch", id, version, type="slip", place="b"))
    assert (told["results"][0]["status"], told["results"][0]["reason"]) == ("rejected", "gone")
    assert told["gone"] == [id] and told["rows"] == []
    assert phone.result(phone.edit("create", id, type="slip", paperId=paper, place="b"))["status"] == "applied"
    assert Slip.objects.get().place == "b"
    assert [row["deleted"] for row in phone.get("changes/", scope=phone.scope)["changes"] if row["id"] == id] == [False]


def test_a_thing_with_a_matching_base_goes_only_as_it_was_seen(phone: Phone, tablet: Phone) -> None:
    paper, _ = phone.make()
    id = str(uuid.uuid4())
    version = phone.result(phone.edit("create", id, type="slip", paperId=paper, place="a"))["version"]
    Slip.objects.update(place="moved by the server")
    assert phone.result(phone.edit("delete", id, version, type="slip"))["status"] == "edit_wins"
    moved = phone.edit("patch", id, phone.row(id)["version"], type="slip", place="z")
    told = phone.push(moved, phone.edit("delete", id, moved["mid"], type="slip"))
    assert [one["status"] for one in told["results"]] == ["applied", "applied"]
    assert not Slip.objects.exists()


@pytest.mark.parametrize(
    ("said", "status", "reason"),
    [
        ({"type": "nothing"}, "rejected", "unknown_type"),
        ({"fields": {"colour": "red"}}, "rejected", "unknown_field"),
        ({"fields": {"views": 3}}, "rejected", "read_only"),
        ({"fields": {"title": "x" * 21}}, "rejected", "too_long"),
        ({"fields": {"title": "a\0b"}}, "rejected", "bad_text"),
        ({"fields": {"stars": "many"}}, "rejected", "impossible"),
        ({"fields": {"stars": 2**70}}, "rejected", "impossible"),
        ({"op": "burn"}, "rejected", "malformed"),
        ({"hlc": "yesterday"}, "rejected", "malformed"),
        ({"type": "slip", "fields": {"paperId": str(uuid.UUID(int=9))}}, "missing_ref", "missing_ref"),
        ({"op": "patch", "base": {"version": "1"}}, "rejected", "gone"),
    ],
)
def test_one_that_cannot_be_applied_leaves_the_others_alone(
    phone: Phone, said: dict[str, Any], status: str, reason: str
) -> None:
    bad = {**phone.edit("create", uuid.uuid4(), title="bad"), **said}
    good = phone.edit("create", uuid.uuid4(), title="good")
    told = phone.push(bad, good)
    first, second = told["results"]
    assert (first["status"], first["reason"], second["status"]) == (status, reason, "applied")
    assert first["detail"] and told["ackedThrough"] == 2
    assert [paper.title for paper in Paper.objects.all()] == ["good"]
    (error,) = DeviceState.objects.get(device=phone.device).errors
    assert (error["mid"], error["reason"]) == (1, reason)


def test_what_follows_a_creation_that_was_refused_has_nothing_to_refer_to(phone: Phone) -> None:
    id = uuid.uuid4()
    create = phone.edit("create", id, title="x" * 21)
    told = phone.push(create, phone.edit("patch", id, create["mid"], stars=1))
    assert [(one["status"], one["reason"]) for one in told["results"]] == [
        ("rejected", "too_long"),
        ("rejected", "gone"),
    ]


def test_two_devices_make_the_same_thing(phone: Phone, tablet: Phone) -> None:
    id, _ = phone.make(title="Rome", stars=3)
    assert tablet.result(tablet.edit("create", id, title="Rome", stars=3, ms=LATER))["status"] == "noop"
    assert tablet.result(tablet.edit("create", id, title="Roma", stars=3, ms=LATER))["status"] == "applied"
    assert phone.row(id)["data"]["title"] == "Roma"


def test_the_resolver_of_a_field_can_be_chosen(phone: Phone, tablet: Phone, settings: Any) -> None:
    settings.SYNC_RESOLVERS = {"paper.title": "manual"}
    id, version = phone.make(title="Rome")
    tablet.push(tablet.edit("patch", id, version, title="theirs"))
    assert phone.result(phone.edit("patch", id, version, title="mine", ms=LATER))["conflicts"] == ["title"]
    assert phone.row(id)["data"]["title"] == "theirs"


@pytest.mark.promise("S1-040")
def test_a_resolver_of_ones_own_decides_where_the_settings_name_it(
    phone: Phone, tablet: Phone, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolvers, "_RESOLVERS", dict(resolvers._RESOLVERS))
    both = lambda met: f"{met.remote.value} & {met.local.value}"  # noqa: E731
    resolvers.register("ampersand", lambda met: resolvers.Decision(resolvers.Outcome.MERGE, both(met)))
    settings.SYNC_RESOLVERS = {"paper.title": "ampersand"}
    id, version = phone.make(title="Rome", mood="calm")
    tablet.push(tablet.edit("patch", id, version, title="theirs", mood="glad"))
    phone.push(phone.edit("patch", id, version, title="mine", mood="sad", ms=LATER))
    assert (phone.row(id)["data"]["title"], phone.row(id)["data"]["mood"]) == ("theirs & mine", "glad")


@pytest.mark.promise("S1-X07")
def test_what_is_sent_as_new_overwrites_nothing_unseen_and_brings_nothing_back_silently(
    phone: Phone, tablet: Phone
) -> None:
    id, version = phone.make(title="Rome", stars=3)
    tablet.push(tablet.edit("patch", id, version, title="Roma", ms=LATER))
    assert phone.result(phone.edit("create", id, title="Rome", stars=3))["status"] == "merged"
    assert phone.row(id)["data"]["title"] == "Roma"
    cursor, seen = tablet.get("changes/", scope=tablet.scope)["cursor"], tablet.row(id)["version"]
    tablet.push(tablet.edit("delete", id, seen))
    told = phone.push(phone.edit("create", id, title="Rome", stars=3))
    assert told["results"][0]["status"] in ("edit_wins", "merged") and not told["rows"][0]["deleted"]
    assert phone.row(id)["data"]["title"] == "Roma"
    (row,) = tablet.get("changes/", scope=tablet.scope, cursor=cursor)["changes"]
    assert (row["id"], row["deleted"], int(row["version"]) > int(seen)) == (id, False, True)


def test_another_epoch_starts_over_and_then_the_count_goes_on(phone: Phone) -> None:
    id, version = phone.make(title="Rome")
    phone.mid = 80  # acknowledged by a later state of the server, which is lost
    edit = phone.edit("patch", id, version, title="Roma")
    epoch = raise_epoch()
    answer = phone.send(edit)
    assert (answer.status_code, answer.json()["type"]) == (410, "urn:photolala:problem:start_over")
    assert answer.json()["epoch"] == epoch and Paper.objects.get().title == "Rome"
    phone.epoch = phone.get("info/")["epoch"]
    assert phone.result(edit)["status"] == "applied"
    assert phone.push(edit)["ackedThrough"] == 81


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"deviceId": str(uuid.UUID(int=5))}, 403, "other_device"),
        ({"epoch": "one"}, 400, "malformed"),
        ({"mutations": {}}, 400, "malformed"),
        ({"surprise": 1}, 400, "invalid"),
        ({"mutations": [{"mid": 0}]}, 400, "malformed"),
        ({"mutations": [{}] * (MOST_MUTATIONS + 1)}, 413, "too_large"),
        ({"mutations": [{"mid": 1, "fields": {"body": "x" * MOST_BYTES}}]}, 413, "too_large"),
    ],
)
def test_a_batch_that_is_refused_whole(phone: Phone, change: dict[str, Any], status: int, code: str) -> None:
    answer = phone.send(**change)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:photolala:problem:{code}"), answer.content
    assert not PushedMutation.objects.exists()


def test_a_body_beyond_what_the_framework_reads_is_413_too(phone: Phone) -> None:
    answer = phone.client.post(f"{SYNC}push/", b" " * 3_000_000, content_type="application/json")
    assert answer.status_code == 413


def test_a_session_does_not_push(phone: Phone, alice: User) -> None:
    phone.client.credentials()
    phone.client.force_login(alice)
    answer = phone.send(phone.edit("create", uuid.uuid4(), title="x"))
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:photolala:problem:no_device")


def test_a_revoked_token_is_401(phone: Phone) -> None:
    phone.device.token.delete()
    assert phone.send().status_code == 401


def test_what_was_done_and_its_result_are_one_commit(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that dies between the last write and the commit leaves nothing; between commit and answer, everything."""
    edit = phone.edit("create", uuid.uuid4(), title="Rome")
    kept = PushedMutation.objects.bulk_create

    def dies(rows: Any) -> None:
        kept(rows)
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit), transaction.atomic():
        patch.setattr("sync.server.push.PushedMutation.objects.bulk_create", dies)
        phone.send(edit)
    assert (Paper.objects.count(), PushedMutation.objects.count(), DeviceState.objects.count()) == (0, 0, 0)
    first = phone.push(edit)
    assert json.dumps(phone.push(edit)["results"]) == json.dumps(first["results"])
    assert Paper.objects.count() == 1


def test_an_empty_push_tells_how_far_the_device_is(phone: Phone) -> None:
    phone.make()
    assert phone.push()["ackedThrough"] == 1


def test_what_waits_on_the_device_is_remembered(phone: Phone) -> None:
    phone.push(phone.edit("create", uuid.uuid4()), pending={"paper": 3, "slip": 1})
    assert DeviceState.objects.get(device=phone.device).pending == {"paper": 2, "slip": 1}
