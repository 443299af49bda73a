"""What was deleted for good and made again: what a device that knows only its first life sends does not overwrite the second."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from catalog.albums.trash import delete_what_is_due
from tests.factories import make_user

from .conftest import NOW_MS, Phone

EARLIER = NOW_MS - 1000


def block(text: str) -> dict[str, str]:
    return {"id": text, "type": "text", "text": text}


WORDS: list[tuple[str, str, Any, Any, Any]] = [
    ("note", "content", "first", "second", "third"),
    ("draft", "blocks", [block("first")], [block("second")], [block("third")]),
    ("album", "title", "first", "second", "third"),
]


@pytest.fixture
def phones(db: None) -> tuple[Phone, Phone]:
    """Two devices of alice, with the kinds of the catalog."""
    alice = make_user("alice")
    return Phone(alice), Phone(alice, "tablet")


def made_again(phone: Phone, type: str, field: str, first: Any, second: Any) -> tuple[str, str]:
    """Make a thing, delete it for good, and make it again; return its id and the version of its first life."""
    id = str(uuid4())
    version = phone.result(phone.edit("create", id, type=type, **{field: first}))["version"]
    assert phone.result(phone.edit("delete", id, version, type=type))["status"] == "applied"
    assert delete_what_is_due(timezone.now() + timedelta(days=40)) == 1
    assert phone.result(phone.edit("create", id, type=type, **{field: second}))["status"] == "applied"
    return id, version


@pytest.mark.parametrize("op", ["create", "patch"])
@pytest.mark.parametrize(("type", "field", "first", "second", "third"), WORDS)
def test_an_edit_of_the_first_life_meets_the_words_of_the_second(
    phones: tuple[Phone, Phone], type: str, field: str, first: Any, second: Any, third: Any, op: str
) -> None:
    phone, tablet = phones
    id, version = made_again(phone, type, field, first, second)
    answer = tablet.push(tablet.edit(op, id, version, type=type, ms=EARLIER, **{field: third}))
    assert answer["results"][0]["status"] == "merged"
    said = str(answer["rows"][0]["data"][field])
    assert "second" in said and ("third" in said) == (type != "album")  # of two titles the later one counts


@pytest.mark.parametrize(("type", "field", "first", "second", "third"), WORDS)
def test_a_deletion_of_the_first_life_leaves_the_second_alone(
    phones: tuple[Phone, Phone], type: str, field: str, first: Any, second: Any, third: Any
) -> None:
    phone, tablet = phones
    id, version = made_again(phone, type, field, first, second)
    answer = tablet.push(tablet.edit("delete", id, version, type=type))
    assert answer["results"][0]["status"] == "edit_wins"
    assert answer["rows"][0]["data"][field]


def test_whoever_made_it_changes_and_deletes_it_without_a_conflict(phones: tuple[Phone, Phone]) -> None:
    phone, _ = phones
    id = str(uuid4())
    create = phone.edit("create", id, type="note", content="first")
    patch = phone.edit("patch", id, create["mid"], type="note", content="second")
    results = phone.push(create, patch, phone.edit("delete", id, patch["mid"], type="note"))["results"]
    assert [result["status"] for result in results] == ["applied", "applied", "applied"]
