"""Operations through the API."""

from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from operations.models import Operation, State

from .conftest import API, Cast

OPERATIONS = f"{API}operations/"


def make(cast: Cast, state: State = State.RUNNING, **fields: Any) -> Operation:
    return Operation.objects.create(owner=cast.alice, kind="scan", subject="Holidays", state=state, **fields)


def test_only_ones_own(cast: Cast, alice: APIClient, bob: APIClient, anonymous: APIClient) -> None:
    operation = make(cast, done=50, total=200, rate=10.0)
    row = alice.get(OPERATIONS).json()["results"][0]
    assert (row["done"], row["total"], row["fraction"], row["eta_seconds"]) == (50, 200, 0.25, 15.0)
    assert alice.get(f"{OPERATIONS}{operation.pk}/").json()["id"] == row["id"]
    assert bob.get(OPERATIONS).json()["results"] == []
    assert bob.get(f"{OPERATIONS}{operation.pk}/").status_code == 404
    for verb in ("cancel", "resume", "retry"):
        assert bob.post(f"{OPERATIONS}{operation.pk}/{verb}/").status_code == 404
        assert anonymous.post(f"{OPERATIONS}{operation.pk}/{verb}/").status_code == 401
        assert alice.get(f"{OPERATIONS}{operation.pk}/{verb}/").status_code == 405
        assert alice.post(f"{OPERATIONS}{uuid4()}/{verb}/").status_code == 404
    assert anonymous.get(OPERATIONS).status_code == 401
    assert alice.post(OPERATIONS).status_code == 405


def test_states(cast: Cast, alice: APIClient) -> None:
    for state in State:
        make(cast, state)
    make(cast, State.FAILED, superseded=True)

    def states(query: str) -> set[str]:
        return {row["state"] for row in alice.get(OPERATIONS, {"state": query}).json()["results"]}

    assert states("incomplete") == {"pending", "running", "interrupted", "failed"}
    assert states("completed") == {"completed"}
    assert len(alice.get(OPERATIONS, {"state": "incomplete"}).json()["results"]) == 4
    assert alice.get(OPERATIONS, {"state": "lost"}).status_code == 400


@pytest.mark.parametrize("count", [2, 20])
def test_a_page_costs_one_query(cast: Cast, django_assert_num_queries: Any, count: int) -> None:
    for _ in range(count):
        make(cast)
    client = APIClient()
    client.force_authenticate(cast.alice)
    with django_assert_num_queries(1):
        assert len(client.get(OPERATIONS).json()["results"]) == count


def test_cancel(cast: Cast, alice: APIClient) -> None:
    running, waiting, ended = make(cast), make(cast, State.PENDING), make(cast, State.COMPLETED)
    assert alice.post(f"{OPERATIONS}{running.pk}/cancel/").json()["cancel_requested"] is True
    assert alice.post(f"{OPERATIONS}{waiting.pk}/cancel/").json()["state"] == "cancelled"
    assert alice.post(f"{OPERATIONS}{ended.pk}/cancel/").status_code == 409


@pytest.mark.parametrize("verb", ["resume", "retry"])
def test_resume_and_retry(cast: Cast, alice: APIClient, verb: str) -> None:
    failed = make(cast, State.FAILED, error_code="confirm_gone", active_key="scan:1")
    assert alice.post(f"{OPERATIONS}{failed.pk}/{verb}/", {"confirm_gone": "perhaps"}).status_code == 400
    answer = alice.post(f"{OPERATIONS}{failed.pk}/{verb}/", {"confirm_gone": True})
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")
    failed.refresh_from_db()
    assert failed.params == {"confirm_gone": True}
    assert alice.post(f"{OPERATIONS}{failed.pk}/{verb}/").status_code == 409
    other = make(cast, State.INTERRUPTED, active_key="scan:1")
    answer = alice.post(f"{OPERATIONS}{other.pk}/{verb}/")
    assert (answer.status_code, answer.json()["operation"]) == (409, str(failed.pk))
