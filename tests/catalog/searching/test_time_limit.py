"""A search that takes too long is stopped with a sentence; without one, nothing is."""

from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client
from rest_framework.test import APIClient

from catalog.albums import albums
from catalog.browsing import photo_lists, search_suggestions, smart_cards
from catalog.browsing.filters import PhotoFilters
from catalog.searching import grammar
from catalog.words import indexing
from photolala.web import query_limits
from photolala.web.refusals import Unprocessable

from .conftest import World

pytestmark = pytest.mark.django_db
ADDRESSES = (
    "/api/v1/photos/?q=sea",
    "/api/v1/timeline/buckets/?q=sea",
    "/api/v1/timeline/bucket/?q=sea&bucket=2019-07",
)


def test_a_slow_search_is_refused_with_a_sentence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = APIClient()
    client.force_authenticate(world.alice)
    monkeypatch.setattr(settings, "SEARCH_SECONDS", 0)
    for address in ADDRESSES:
        answer = client.get(address)
        assert answer.status_code == 422, address
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:photolala:problem:search_too_slow"
        assert "fewer words" in answer.json()["detail"]
    for address in ADDRESSES:
        assert client.get(address.replace("q=sea", "rating=4")).status_code == 200, address
    monkeypatch.setattr(settings, "SEARCH_SECONDS", 30)
    assert [client.get(address).status_code for address in ADDRESSES] == [200, 200, 200]


def test_the_plain_list_says_it_as_a_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    client.force_login(world.alice)
    monkeypatch.setattr(settings, "SEARCH_SECONDS", 0)
    answer = client.get("/photos/?q=sea")
    assert answer.status_code == 422
    assert "takes longer than" in answer.content.decode()


def test_suggestions_end_with_what_was_found_in_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert search_suggestions.suggest(world.alice, "can")
    monkeypatch.setattr(search_suggestions, "SECONDS", 0)
    assert search_suggestions.suggest(world.alice, "can") == []


def test_exports_and_what_nobody_waits_for_have_no_limit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SEARCH_SECONDS", 0)
    filters = PhotoFilters(query=grammar.parse("sea"))
    assert photo_lists.photos(world.alice, filters).count() == 2
    with pytest.raises(Unprocessable):
        photo_lists.photo_page(world.alice, filters, {})


def test_nothing_is_indexed_within_a_limit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    indexing.catch_up()
    limits: list[bool] = []
    monkeypatch.setattr(indexing, "catch_up_before_a_search", lambda: limits.append(query_limits.is_limited()))
    assert search_suggestions.suggest(world.alice, "can")
    saved = albums.create(world.alice, uuid4(), {"title": "Sea", "query": {"q": "sea"}})
    assert smart_cards.smart_cards(world.alice, [saved])[saved.pk].photos == 2
    assert limits == [False, False]
