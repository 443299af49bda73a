"""Pull, digest, hints and info: who gets what, and what they cost."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import resolve
from django.utils import timezone

from accounts.models import User
from changes.models import EndedScope
from changes.scopes import raise_epoch
from sync.models import PulledScope, Server
from sync.protocol.digest import digest_of

from .conftest import SYNC, Phone
from .things import Paper

UNKNOWN = uuid.UUID(int=77)


def test_pages_of_changes_until_there_are_no_more(phone: Phone, tablet: Phone) -> None:
    made = [phone.make(title=f"{number}")[0] for number in range(5)]
    first = tablet.get("changes/", scope=tablet.scope, limit=3)
    assert first["hasMore"] and first["scope"] == tablet.scope
    second = tablet.get("changes/", scope=tablet.scope, limit=3, cursor=first["cursor"])
    rows = [*first["changes"], *second["changes"]]
    assert not second["hasMore"] and [row["id"] for row in rows] == made
    assert [int(row["version"]) for row in rows] == sorted(int(row["version"]) for row in rows)
    assert rows[0]["fieldVersions"] == {"title": rows[0]["version"]}
    third = tablet.get("changes/", scope=tablet.scope, cursor=second["cursor"])
    assert (third["changes"], third["hasMore"]) == ([], False)


def test_only_some_types(phone: Phone) -> None:
    paper, _ = phone.make(title="Rome")
    phone.push(phone.edit("create", uuid.uuid4(), type="slip", paperId=paper))
    page = phone.get("changes/", scope=phone.scope, types="slip")
    assert {row["type"] for row in page["changes"]} == {"slip"}
    answer = phone.client.get(f"{SYNC}changes/", {"scope": phone.scope, "types": "slip,ship"})
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:photolala:problem:bad_types")


@pytest.mark.promise("S1-031", "S1-045")
def test_each_type_may_have_a_cursor_of_its_own_after_which_come_changes_and_deletions(phone: Phone) -> None:
    paper, version = phone.make(title="Rome")
    other, _ = phone.make(title="Paris")
    pages = {name: phone.get("changes/", scope=phone.scope, types=name) for name in ("paper", "slip")}
    slip = str(uuid.uuid4())
    phone.push(phone.edit("create", slip, type="slip", paperId=paper))
    told = {}
    for name, page in pages.items():
        told[name] = phone.get("changes/", scope=phone.scope, types=name, cursor=page["cursor"])
    assert (told["paper"]["changes"], [row["id"] for row in told["slip"]["changes"]]) == ([], [slip])
    phone.push(phone.edit("delete", paper, version), phone.edit("patch", other, version, title="Lyon"))
    page = phone.get("changes/", scope=phone.scope, types="paper", cursor=told["paper"]["cursor"])
    rows = {row["id"]: (row["deleted"], row["data"] and row["data"]["title"]) for row in page["changes"]}
    assert rows == {paper: (True, None), other: (False, "Lyon")}
    page = phone.get("changes/", scope=phone.scope, types="slip", cursor=told["slip"]["cursor"])
    assert page["changes"] == []


@pytest.mark.promise("S1-023")
def test_all_routes_are_below_one_address(phone: Phone) -> None:
    asked = ("info/", f"changes/?scope={phone.scope}", f"digest/?scope={phone.scope}", "events/?wait=0", "status/")
    for path in (*asked, "conflicts/"):
        assert phone.client.get(f"/api/v1/sync/{path}").status_code == 200, path
    answer = phone.client.post("/api/v1/sync/push/", {}, format="json")
    assert answer.json()["type"] == "urn:photolala:problem:malformed"
    assert resolve(f"/api/v1/sync/conflicts/{UNKNOWN}/decide/").url_name == "sync-conflict-decide"


def test_a_poll_without_news_is_two_queries(phone: Phone) -> None:
    phone.make()
    cursor = phone.get("changes/", scope=phone.scope)["cursor"]
    phone.get("changes/", scope=phone.scope, cursor=cursor)  # notes that it has all
    phone.get("changes/", scope=phone.scope, cursor=cursor)
    with CaptureQueriesContext(connection) as captured:
        assert phone.get("changes/", scope=phone.scope, cursor=cursor)["changes"] == []
    signing_in = ('FROM "knox_authtoken"', "last_seen_at")
    asked = [one["sql"] for one in captured if not any(sign in one["sql"] for sign in signing_in)]
    assert len(asked) == 2, asked


def test_acknowledging_a_push_moves_no_cursor(phone: Phone, tablet: Phone) -> None:
    cursor = phone.get("changes/", scope=phone.scope)["cursor"]
    theirs, _ = tablet.make(title="theirs")
    mine, _ = phone.make(title="mine")
    page = phone.get("changes/", scope=phone.scope, cursor=cursor)
    assert [row["id"] for row in page["changes"]] == [theirs, mine]


def test_the_digest_is_that_of_the_rows(phone: Phone) -> None:
    made = [phone.make(title=f"{number}") for number in range(3)]
    phone.push(phone.edit("delete", made[0][0], made[0][1]))
    rows = [row for row in phone.get("changes/", scope=phone.scope)["changes"] if not row["deleted"]]
    expected = digest_of((row["type"], row["id"], int(row["version"])) for row in rows)["paper"]
    told = phone.get("digest/", scope=phone.scope)
    assert told["types"]["paper"] == {"count": 2, "sum": str(expected.total)}
    assert int(told["version"]) >= max(int(row["version"]) for row in rows)


def test_info(phone: Phone, alice: User) -> None:
    phone.make()
    EndedScope.objects.create(user=alice, scope=f"album:{UNKNOWN}", at=timezone.now())
    info = phone.get("info/")
    assert info["serverId"] == str(Server.objects.get().name)
    assert (info["userId"], info["deviceId"], info["ackedThrough"]) == (str(alice.pk), str(phone.device.pk), 1)
    assert info["limits"] == {"mutations": 500, "bytes": 1024 * 1024, "rows": 1000}
    (scope,) = info["scopes"]
    assert (scope["scope"], scope["role"]) == (phone.scope, "owner")
    assert scope["version"] == phone.get("digest/", scope=phone.scope)["version"]
    assert [one["scope"] for one in info["ended"]] == [f"album:{UNKNOWN}"]
    assert [kind["name"] for kind in info["kinds"]] == ["paper", "slip"]
    assert {"name": "views", "resolver": "last_writer", "writable": False} in info["kinds"][0]["fields"]
    phone.client.credentials()
    phone.client.force_login(alice)
    assert phone.get("info/")["deviceId"] == ""


@pytest.mark.parametrize(
    ("scope", "status", "code"),
    [
        ("", 400, "bad_scope"),
        ("user:me", 400, "bad_scope"),
        ("planet:00000000-0000-0000-0000-000000000001", 400, "bad_scope"),
        (f"user:{UNKNOWN}", 404, "not_found"),
        (f"library:{UNKNOWN}", 404, "not_found"),
    ],
)
def test_scopes_that_there_are_not(phone: Phone, scope: str, status: int, code: str) -> None:
    for path in ("changes/", "digest/"):
        answer = phone.client.get(SYNC + path, {"scope": scope})
        assert (answer.status_code, answer.json()["type"]) == (status, f"urn:photolala:problem:{code}")


def test_a_cursor_of_another_epoch_scope_or_kind(phone: Phone, charlie: User) -> None:
    phone.make()
    cursor = phone.get("changes/", scope=phone.scope)["cursor"]
    other = Phone(charlie)
    for asked in ({"scope": other.scope, "cursor": cursor}, {"scope": other.scope, "cursor": "abc"}):
        answer = other.client.get(f"{SYNC}changes/", asked)
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:photolala:problem:bad_cursor")
    answer = phone.client.get(f"{SYNC}changes/", {"scope": phone.scope, "cursor": cursor, "types": "slip"})
    assert answer.json()["type"] == "urn:photolala:problem:bad_cursor"
    epoch = raise_epoch()
    answer = phone.client.get(f"{SYNC}changes/", {"scope": phone.scope, "cursor": cursor})
    assert (answer.status_code, answer.json()["type"]) == (410, "urn:photolala:problem:start_over")
    assert answer.json()["epoch"] == epoch


def test_a_stranger_gets_nothing_and_cannot_tell_what_there_is(phone: Phone, charlie: User) -> None:
    """alice's scopes, ids, mids and cursors are to charlie's device what never was."""
    id, version = phone.make(title="secret")
    other = Phone(charlie)
    for path in ("changes/", "digest/"):
        answers = []
        for scope in (phone.scope, f"user:{UNKNOWN}"):
            with CaptureQueriesContext(connection) as captured:
                answer = other.client.get(SYNC + path, {"scope": scope})
            answers.append((answer.status_code, answer.content, len(captured)))
        assert answers[0] == answers[1] and answers[0][0] == 404
    other.push()
    for op, fields in (("patch", {"title": "x"}), ("delete", {})):
        told = []
        for target in (id, UNKNOWN):
            with CaptureQueriesContext(connection) as captured:
                reply = other.push(other.edit(op, target, version, **fields))
            result = {**reply["results"][0], "mid": 0}
            told.append((result, reply["rows"], len(reply["gone"]), len(captured)))
        assert told[0] == told[1]
    taken = other.result(other.edit("create", id, title="mine now"))
    assert (taken["status"], taken["reason"]) == ("rejected", "impossible") and "secret" not in str(taken)
    answer = other.send(deviceId=str(phone.device.pk))
    assert answer.status_code == 403
    assert Paper.objects.get().title == "secret" and Paper.objects.get().trashed_at is None


def test_a_scope_that_ended_says_so(phone: Phone, alice: User) -> None:
    at = timezone.now() - timedelta(hours=1)

    answer = phone.client.get(f"{SYNC}changes/", {"scope": f"library:{UNKNOWN}"})
    assert answer.status_code == 404
    EndedScope.objects.create(user=alice, scope=f"library:{UNKNOWN}", at=at)
    for path in ("changes/", "digest/"):
        answer = phone.client.get(SYNC + path, {"scope": f"library:{UNKNOWN}"})
        assert (answer.status_code, answer.json()["type"]) == (410, "urn:photolala:problem:scope_ended")
        assert answer.json()["endedAt"].endswith("Z")


def test_hints_at_once_when_something_changed_and_not_before(phone: Phone, tablet: Phone) -> None:
    first = phone.get("events/")
    assert [one["scope"] for one in first["scopes"]] == [phone.scope]
    answer = phone.client.get(f"{SYNC}events/", {"after": first["cursor"], "wait": 0})
    assert answer.status_code == 204
    tablet.make()
    second = phone.get("events/", after=first["cursor"], wait=25)
    assert second["cursor"] != first["cursor"]
    assert int(second["scopes"][0]["version"]) > int(first["scopes"][0]["version"])
    assert second["scopes"][0]["version"] == phone.get("digest/", scope=phone.scope)["version"]


@pytest.mark.parametrize("asked", [{"wait": "26"}, {"wait": "x"}, {"until": "1"}])
def test_questions_for_hints_that_cannot_be_meant(phone: Phone, asked: dict[str, Any]) -> None:
    assert phone.client.get(f"{SYNC}events/", asked).status_code == 400


def test_how_far_a_device_has_pulled_is_known(phone: Phone, tablet: Phone) -> None:
    phone.make(title="a")
    phone.make(title="b")
    status = tablet.get("status/")["devices"]
    assert {one["name"]: one["scopesBehind"] for one in status} == {"phone": 0, "tablet": 0}
    page = tablet.get("changes/", scope=tablet.scope, limit=1)
    page = tablet.get("changes/", scope=tablet.scope, cursor=page["cursor"], limit=1)
    (mine,) = [one for one in tablet.get("status/")["devices"] if one["current"]]
    assert (mine["toPull"], mine["scopesBehind"]) == ({"paper": 1}, 1)
    assert mine["lastPullAt"] is not None and mine["lastPushAt"] is None
    tablet.get("changes/", scope=tablet.scope, cursor=page["cursor"])
    (mine,) = [one for one in tablet.get("status/")["devices"] if one["current"]]
    assert (mine["toPull"], mine["scopesBehind"]) == ({}, 0)
    assert PulledScope.objects.filter(device=tablet.device).count() == 1


def test_the_status_names_what_was_refused_and_what_to_do(phone: Phone) -> None:
    phone.push(phone.edit("create", uuid.uuid4(), title="x" * 21), pending={"paper": 4})
    (mine,) = phone.get("status/")["devices"]
    assert mine["toPush"] == {"paper": 3} and mine["ackedThrough"] == 1
    (error,) = mine["errors"]
    assert (error["reason"], error["type"]) == ("too_long", "paper") and error["detail"] and error["advice"]
