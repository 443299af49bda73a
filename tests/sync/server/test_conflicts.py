"""Conflicts: a person decides, by the API or on the page; nobody else sees them."""

import uuid
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from sync.models import Conflict

from .conftest import SYNC, Phone
from .things import Paper


@pytest.fixture
def conflict(phone: Phone, tablet: Phone) -> Conflict:
    """The tablet wrote "glad", the phone "sad"."""
    id, version = phone.make(title="Diary", mood="calm")
    tablet.push(tablet.edit("patch", id, version, mood="glad"))
    phone.push(phone.edit("patch", id, version, mood="sad"))
    return Conflict.objects.get()


def decide(phone: Phone, conflict: Conflict, decision: str) -> Any:
    return phone.client.post(f"{SYNC}conflicts/{conflict.pk}/decide/", {"decision": decision}, format="json")


def test_both_sides_are_told(phone: Phone, conflict: Conflict) -> None:
    (told,) = phone.get("conflicts/", state="open")["results"]
    assert (told["type"], told["field"], told["title"], told["current"]) == ("paper", "mood", "Diary", "glad")
    assert (told["mine"]["value"], told["mine"]["device"], told["mine"]["isMine"]) == ("sad", "phone", True)
    assert (told["theirs"]["value"], told["theirs"]["device"], told["theirs"]["isMine"]) == ("glad", "tablet", True)
    assert told["mine"]["at"] == told["theirs"]["at"] == "2026-11-28T10:40:00Z"
    assert phone.get("status/")["conflicts"] == 1


@pytest.mark.parametrize(
    ("decision", "mood"),
    [("mine", "sad"), ("theirs", "glad"), ("both", "glad\n\n--- Merged conflict ---\n\nsad")],
)
def test_a_decision_counts_on_all_devices(phone: Phone, conflict: Conflict, decision: str, mood: str) -> None:
    answer = decide(phone, conflict, decision)
    assert (answer.status_code, answer.json()["state"], answer.json()["current"]) == (200, "decided", mood)
    assert phone.row(str(conflict.object_id))["data"]["mood"] == mood
    assert phone.get("conflicts/", state="open")["results"] == []
    again = decide(phone, conflict, "mine")
    assert (again.status_code, again.json()["type"]) == (409, "urn:photolala:problem:decided")


def test_both_that_are_too_long_for_one_text_are_two_things(phone: Phone, conflict: Conflict) -> None:
    Conflict.objects.update(mine="m" * 60_000)
    Paper.objects.update(mood="t" * 60_000)
    copy = decide(phone, conflict, "both").json()["copyId"]
    assert Paper.objects.get(pk=copy).mood == "m" * 60_000
    assert Paper.objects.get(pk=conflict.object_id).mood == "t" * 60_000
    assert Paper.objects.get(pk=copy).title == "Diary"


def test_deciding_brings_back_what_is_in_the_trash(phone: Phone, conflict: Conflict) -> None:
    phone.push(phone.edit("delete", conflict.object_id, phone.row(str(conflict.object_id))["version"]))
    assert decide(phone, conflict, "mine").status_code == 200
    assert phone.row(str(conflict.object_id))["data"]["mood"] == "sad"


def test_others_see_none_of_it(charlie: User, conflict: Conflict) -> None:
    other = Phone(charlie)
    assert other.get("conflicts/")["results"] == []
    unknown = other.client.post(f"{SYNC}conflicts/{uuid.uuid4()}/decide/", {"decision": "mine"}, format="json")
    answer = decide(other, conflict, "mine")
    assert (answer.status_code, answer.content) == (404, unknown.content)
    assert Paper.objects.get().mood == "glad"


def test_what_is_not_shared_any_more_is_not_told(phone: Phone, charlie: User, conflict: Conflict) -> None:
    """charlie's text lost once; the thing is none of his (any more): he reads his own side alone."""
    Conflict.objects.update(other=charlie)
    (told,) = Phone(charlie).get("conflicts/")["results"]
    assert (told["theirs"]["value"], told["mine"]["value"], told["current"], told["title"]) == ("glad", None, None, "")
    assert told["mayKeepBoth"] is False


def test_a_decision_that_there_is_not(phone: Phone, conflict: Conflict) -> None:
    assert decide(phone, conflict, "neither").status_code == 400
    assert phone.client.get(f"{SYNC}conflicts/", {"state": "lost"}).status_code == 400


@pytest.fixture
def page(alice: User) -> Client:
    """alice at her browser."""
    client = Client()
    client.force_login(alice)
    return client


def test_the_page_shows_both_sides_and_takes_the_decision(page: Client, phone: Phone, conflict: Conflict) -> None:
    text = page.get("/sync/").content.decode()
    assert "To decide" in text and "sad" in text and "glad" in text and "Keep both" in text
    answer = page.post(f"/sync/conflicts/{conflict.pk}/decide/", {"decision": "x"}, follow=True)
    assert "Choose which side is to count" in answer.content.decode() and Paper.objects.get().mood == "glad"
    answer = page.post(f"/sync/conflicts/{conflict.pk}/decide/", {"decision": "mine"}, follow=True)
    assert "What the device sent counts now." in answer.content.decode()
    assert "To decide" not in answer.content.decode() and "Decided" in answer.content.decode()
    assert Paper.objects.get().mood == "sad"
    answer = page.post(f"/sync/conflicts/{conflict.pk}/decide/", {"decision": "theirs"}, follow=True)
    assert "decided already" in answer.content.decode() and Paper.objects.get().mood == "sad"


def test_the_page_of_others(conflict: Conflict, charlie: User) -> None:
    client = Client()
    assert client.get("/sync/").status_code == 302
    client.force_login(charlie)
    text = client.get("/sync/").content.decode()
    assert "No device syncs yet" in text and "glad" not in text
    assert client.post(f"/sync/conflicts/{conflict.pk}/decide/", {"decision": "mine"}).status_code == 404
    assert client.post(f"/sync/conflicts/{conflict.pk}/decide/", {"decision": "x"}).status_code == 404


def test_the_page_names_devices_and_what_was_refused(page: Client, phone: Phone) -> None:
    phone.push(phone.edit("create", uuid.uuid4(), title="x" * 21), pending={"paper": 8})
    text = page.get("/sync/").content.decode()
    assert "7 paper" in text and "A title has 20 characters at most." in text and "1 change could not be taken" in text
