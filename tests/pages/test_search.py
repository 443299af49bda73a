"""The page of a search: results, mistakes at their place, and what works without scripts."""

import json
from html import unescape

import pytest
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from catalog.albums import albums, items
from catalog.models import Library
from tests.factories import make_library, make_photo

pytestmark = pytest.mark.django_db
PAGE = "/search/"
SUGGESTIONS = "/api/v1/search/suggestions/"


@pytest.fixture
def owner(db) -> User:
    return User.objects.create(username="owner")


@pytest.fixture
def library(owner, tmp_path) -> Library:
    return make_library(owner, tmp_path / "photos")


@pytest.fixture
def visitor(owner) -> Client:
    client = Client()
    client.force_login(owner)
    return client


def test_a_search_is_a_timeline_of_what_it_finds(library, visitor):
    photo = make_photo(library, "b & c/sea.jpg")
    text = 'folder:"b & c" sea'
    page = visitor.get(PAGE, {"q": f" {text} "})
    html = page.content.decode()
    assert json.loads(page.context["filters"]) == {"q": text}
    assert page.context["home_url"] == "/search/?q=folder%3A%22b+%26+c%22+sea"
    assert 'value="folder:&quot;b &amp; c&quot; sea"' in html  # still in the field
    without_scripts = unescape(html.split("<noscript>")[1].split('href="')[1].split('"')[0])
    assert str(photo.pk) in visitor.get(without_scripts).content.decode()
    opened = visitor.get(f"/photos/{photo.pk}/", {"q": text})
    assert json.loads(opened.context["filters"]) == {"q": text}
    assert opened.context["home_url"] == page.context["home_url"]


def test_a_mistake_is_shown_at_its_place(visitor):
    page = visitor.get(PAGE, {"q": "sea <b> colour:red"})
    assert "There is no `colour:`." in unescape(page.content.decode())
    assert "<code>sea &lt;b&gt; <mark>colour:red</mark></code>" in page.content.decode()
    assert "not closed" in visitor.get(PAGE, {"q": "(a"}).content.decode()
    assert "1,000 characters" in visitor.get(PAGE, {"q": "x" * 1001}).content.decode()


def test_without_words_it_says_how_to_search_and_every_example_works(visitor):
    page = visitor.get(PAGE)
    assert page.status_code == 200 and "is_search" not in page.context
    for example, _ in page.context["examples"]:
        assert visitor.get(PAGE, {"q": example}).context["is_search"]


def test_nobody_searches_without_signing_in(client):
    assert client.get(PAGE, {"q": "sea"}).status_code == 302


def test_suggestions_are_of_what_one_may_see_and_find_something(owner, library, tmp_path):
    bob = User.objects.create(username="bob")
    beach = make_photo(
        library,
        "2024/Beach walk/1.jpg",
        camera_make="Canon",
        camera_model="Canon Beachcam 3",
        lens_model="Beach 50",
        keywords=["beach life"],
    )
    album = albums.create(owner, "00000000-0000-0000-0000-000000000001", {"title": 'At "the" beach'})
    empty = albums.create(owner, "00000000-0000-0000-0000-000000000002", {"title": "Beach, still empty"})
    foreign = make_library(bob, tmp_path / "photos" / "bob")
    make_photo(foreign, "Beach secret/1.jpg", keywords=["beach secret"], camera_model="Beach secret")

    items.add(owner, album.pk, [items.Target("photo", beach.pk)])
    assert empty.pk != album.pk

    def ask(user: User, text: str) -> list[tuple[str, str, str]]:
        client = APIClient()
        client.force_authenticate(user)
        results = client.get(SUGGESTIONS, {"q": text}).json()["results"]
        return [(row["kind"], row["name"], row["query"]) for row in results]

    found = ask(owner, "sun or bea")
    assert found == [
        ("album", 'At "the" beach', 'sun or album:"At the beach" '),
        ("camera", "Canon Beachcam 3", 'sun or camera:"Canon Beachcam 3" '),
        ("lens", "Beach 50", 'sun or lens:"Beach 50" '),
        ("keyword", "beach life", 'sun or keyword:"beach life" '),
        ("folder", "2024/Beach walk", 'sun or folder:"2024/Beach walk" '),
    ]
    assert ask(owner, "keyword:bea") == [("keyword", "beach life", 'keyword:"beach life" ')]
    assert ask(owner, 'folder:"2024/bea') == [("folder", "2024/Beach walk", 'folder:"2024/Beach walk" ')]
    assert ask(owner, "20") == [
        ("year", "2024", "taken:2024 "),
        ("folder", "2024/Beach walk", 'folder:"2024/Beach walk" '),
    ]
    assert ask(owner, "taken:2024-") == [("month", "May 2024", "taken:2024-05 ")]
    assert ask(owner, "may") == [("month", "May 2024", "taken:2024-05 ")]
    assert ask(owner, "nowhere bea") == ask(owner, "(bea") == ask(owner, "") == ask(owner, "secret") == []
    assert {label for _, label, _ in ask(bob, "bea")} == {"Beach secret", "beach secret"}
    beach.delete()
    assert ask(owner, "bea") == []
